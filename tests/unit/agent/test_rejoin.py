"""Setting a member's data aside: what refuses before anything is changed, and what is noted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from etcd_component.agent import crash, data_directory, host, rejoin, systemd, version_change
from etcd_component.agent.client import FORMED, NOT_RUNNING, PeerState
from etcd_component.agent.instance import Instance
from etcd_component.agent.output import Refusal
from etcd_component.agent.paths import Paths
from etcd_component.etcd_api.members import Member

PEERS = "etcd-1=https://10.0.0.1:2380,etcd-2=https://10.0.0.2:2380"
MEMBERS = tuple(
    Member(seq, f"etcd-{seq}", (f"https://10.0.0.{seq}:2380",), (f"https://10.0.0.{seq}:2379",))
    for seq in (1, 2, 3)
)


class Others:
    """Two other members that are well."""

    def __init__(self) -> None:
        self.state = FORMED
        self.led = {"https://10.0.0.1:2379", "https://10.0.0.2:2379"}
        self.members_there = MEMBERS

    def probe(self, url: str) -> PeerState:
        return PeerState(self.state)

    def members(self, url: str) -> tuple[Member, ...]:
        return self.members_there

    def has_leader(self, url: str) -> bool:
        return url in self.led


class Login:
    """Root's session, with the status of the member that it is at."""

    endpoint = ""

    def choose(self, urls: list[str]) -> None:
        self.endpoint = urls[0]

    def status(self) -> Any:
        return SimpleNamespace(size=10 << 20, index=100, cluster_id=0xAB)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.setattr("etcd_component.agent.paths.CONFIGURATIONS", tmp_path / "etc")
    monkeypatch.setattr("os.fchown", lambda *_: None)
    monkeypatch.setattr(systemd, "show", lambda _: SimpleNamespace(is_active=False))
    monkeypatch.setattr(systemd, "systemctl", lambda *_: True)
    monkeypatch.setattr(systemd, "journal", lambda *_, **__: '"cluster-id":"ab"')
    monkeypatch.setattr(version_change, "refuse_to_join_another_minor", lambda *_: None)
    monkeypatch.setattr(host, "free_mib", lambda _: 202)
    monkeypatch.setattr(crash, "look", lambda *_: crash.Crash("tocommit(12)", "data"))
    data, url = tmp_path / "data", "https://10.0.0.3:2380"
    (tmp_path / "etc" / "etcd").mkdir(parents=True)
    (data / "member" / "wal").mkdir(parents=True)
    (data / "member" / "wal" / f"{0:016x}-{5:016x}.wal").touch()
    found = Instance(Paths("etcd"), "etcd-3", data, data, url, url, "https://10.0.0.3:2379")
    found.paths.settings.write_text("name: etcd-3\n")
    return found


def run(number: int = 1) -> Any:
    return SimpleNamespace(options=SimpleNamespace(reseat=number, peers=PEERS))


def set_aside(instance: Instance, others: Others) -> None:
    client: Any = others
    login: Any = Login()
    rejoin.set_data_aside(run(), instance, client, login, "it failed")


def test_the_data_are_kept_and_noted_before(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    set_aside(instance, Others())
    copy = rejoin.copy_kept(instance.paths, 1)
    assert copy is not None
    assert copy.name.startswith("member.before-reseat-")
    assert (copy / "wal").is_dir()
    assert not instance.holds_member
    # It never bootstraps from now on, wherever this run is cut off.
    assert instance.has_joined
    said = capsys.readouterr().out
    assert said.startswith(f"etcd-3: it failed (tocommit(12)); its data are set aside in {copy}")
    assert rejoin.done(instance.paths) == 0
    rejoin.note_done(run(), instance)
    assert rejoin.done(instance.paths) == 1
    assert not instance.paths.rejoin_begun.exists()
    assert f"its former data are kept in {copy}" in capsys.readouterr().out
    rejoin.note_done(run(), instance)
    assert capsys.readouterr().out == ""


def test_a_copy_counts_for_its_number_while_it_is_there(instance: Instance) -> None:
    assert rejoin.copy_kept(instance.paths, 1) is None
    note = instance.paths.rejoin_begun
    note.write_text(f"1 {instance.data}/member.before-reseat-x\n")
    assert rejoin.copy_kept(instance.paths, 1) is None
    (instance.data / "member.before-reseat-x").mkdir()
    assert rejoin.copy_kept(instance.paths, 1) == instance.data / "member.before-reseat-x"
    assert rejoin.copy_kept(instance.paths, 2) is None
    note.write_text("1\n")
    assert rejoin.copy_kept(instance.paths, 1) is None


def test_nothing_is_touched_where_the_machine_is_at_fault(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash, "look", lambda *_: crash.Crash("no space left", "machine"))
    refused(instance, Others(), "other data would not mend that: no space left")


def test_nothing_is_touched_where_nobody_answers(instance: Instance) -> None:
    others = Others()
    others.state = NOT_RUNNING
    refused(
        instance,
        others,
        r"cannot run with its data \(it failed \(tocommit.*\n  - etcd-1 at .*not-r",
    )


def test_nothing_is_touched_where_the_others_have_no_quorum(instance: Instance) -> None:
    others = Others()
    others.led = {"https://10.0.0.1:2379", "https://10.0.0.3:2379"}
    refused(instance, others, r"of 3 voters 2 must be healthy without it, and 1 are \(.*etcd-2\)")


def test_a_voter_that_never_started_is_not_healthy(instance: Instance) -> None:
    others = Others()
    others.members_there = (MEMBERS[0], Member(2, "", ("https://10.0.0.2:2380",), ()), MEMBERS[2])
    refused(instance, others, "of 3 voters 2 must be healthy without it, and 1 are")


def test_nothing_is_touched_without_room_for_both(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "free_mib", lambda _: 201)
    refused(instance, Others(), "beside it 201 MiB are free .* 202 MiB are needed")


def test_writes_that_only_this_one_has_are_warned_of(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (instance.data / "member" / "wal" / f"{1:016x}-{101:016x}.wal").touch()
    set_aside(instance, Others())
    assert "they reach entry 101, the others only 100" in capsys.readouterr().out


def refused(instance: Instance, others: Others, text: str) -> None:
    with pytest.raises(Refusal, match=text):
        set_aside(instance, others)
    assert instance.holds_member
    assert data_directory.state(instance.data) == "whole"
    assert not instance.paths.rejoin_begun.exists()
    assert not instance.has_joined


def test_a_disk_that_is_away_is_named(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "missing_mount", lambda _: "/data")
    with pytest.raises(Refusal, match="/etc/fstab has a disk for /data, and it is not mounted"):
        rejoin.refuse_without_disk(instance)
    monkeypatch.setattr(host, "missing_mount", lambda _: "")
    rejoin.refuse_without_disk(instance)
