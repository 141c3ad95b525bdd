"""What etcd reads, and what a member must not change."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from etcd_component.agent import composition, configuration, drift
from etcd_component.agent.decide.version import Change
from etcd_component.agent.instance import Instance, has_joined
from etcd_component.agent.output import Refusal
from tests.unit.agent.fake_machine import Machine, machine

__all__ = ["machine"]


def test_without_a_membership_etcd_has_nobody_to_begin_with(machine: Machine) -> None:
    machine.configure()
    assert composition.composition(machine.paths) == (
        machine.paths.settings.read_text()
        + "# No seat is taken. Without data etcd refuses to start with this.\n"
        "initial-cluster-state: existing\ninitial-cluster: etcd-1=https://10.0.0.1:2380\n"
    )


def test_nothing_is_made_of_settings_that_are_gone(machine: Machine) -> None:
    machine.configure()
    before = machine.paths.configuration.read_text()
    machine.paths.settings.unlink()
    with pytest.raises(Refusal, match=r"settings\.yaml is missing or empty"):
        composition.compose(machine.paths)
    assert machine.paths.configuration.read_text() == before


def test_how_it_joins_and_that_it_has_joined(machine: Machine) -> None:
    machine.configure()
    composition.write_joining(machine.paths, "new", "etcd-1=a,etcd-2=b", "")
    text = machine.paths.configuration.read_text()
    assert text.endswith(
        "initial-cluster-state: new\ninitial-cluster: etcd-1=a,etcd-2=b\n"
        "initial-cluster-token: etcd\n"
    )
    assert not has_joined(machine.paths)
    composition.write_joining(machine.paths, "existing", "etcd-1=a", "key")
    assert "initial-cluster-token: key\n" in machine.paths.configuration.read_text()

    instance = Instance.load(machine.paths)
    composition.write_joined(instance)
    assert has_joined(machine.paths)
    text = machine.paths.configuration.read_text()
    assert text.endswith(
        "initial-cluster-state: existing\ninitial-cluster: etcd-1=https://10.0.0.1:2380\n"
    )
    # What is so already is not written again.
    machine.write(machine.paths.configuration, "edited\n")
    composition.write_joined(instance)
    assert machine.paths.configuration.read_text() == "edited\n"
    assert not composition.is_composed(machine.paths)
    composition.compose(machine.paths)
    assert composition.is_composed(machine.paths)


# ---- who the member is


def another(machine: Machine, **changes: str) -> str:
    text = machine.paths.settings.read_text()
    for name, value in changes.items():
        key = name.replace("_", "-")
        text = "".join(
            f"{key}: {value}\n" if line.startswith(f"{key}:") else f"{line}\n"
            for line in text.splitlines()
        )
    return text


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "etcd-2"},
        {"data_dir": "/srv"},
        {"initial_advertise_peer_urls": "https://10.0.0.2:2380"},
    ],
)
def test_a_member_does_not_become_somebody_new(machine: Machine, changes: dict[str, str]) -> None:
    machine.configure("membership\n")
    with pytest.raises(Refusal, match=r"cannot change its .*; nothing was changed"):
        configuration._refuse_another_member(machine.paths, another(machine, **changes), None)
    wanted = another(machine, **changes)
    machine.paths.settings.unlink()
    configuration._refuse_another_member(machine.paths, wanted, None)
    machine.configure("membership\n")
    machine.paths.membership.unlink()
    configuration._refuse_another_member(machine.paths, wanted, None)


def test_another_peer_port_is_announced_later_and_alone(machine: Machine) -> None:
    machine.configure("membership\n")
    port = another(machine, initial_advertise_peer_urls="https://10.0.0.1:2480")
    with pytest.raises(Refusal, match="another peer port is wanted, too"):
        configuration._refuse_another_member(
            machine.paths, port, Change("etcd-1", "3.5.35", "3.6.16")
        )
    assert not machine.paths.former_peer_url.exists()
    configuration._refuse_another_member(machine.paths, port, None)
    assert machine.paths.former_peer_url.read_text() == "https://10.0.0.1:2380\n"
    # The first of several changes is the one that the cluster knows.
    machine.write(machine.paths.configuration, port)
    again = another(machine, initial_advertise_peer_urls="https://10.0.0.1:2580")
    configuration._refuse_another_member(machine.paths, again, None)
    assert machine.paths.former_peer_url.read_text() == "https://10.0.0.1:2380\n"


def test_units_are_read_again_only_when_one_has_changed(machine: Machine) -> None:
    machine.paths.unit_file.parent.mkdir(parents=True)
    configuration._write_unit(machine.paths, "[Unit]\n")
    assert machine.called == [("daemon-reload",)]
    configuration._write_unit(machine.paths, "[Unit]\n")
    assert machine.called == [("daemon-reload",)]
    configuration._write_unit(machine.paths, "[Service]\n")
    assert machine.called == [("daemon-reload",)] * 2


def test_a_file_that_somebody_changes_shows(machine: Machine) -> None:
    machine.configure()
    files = [machine.paths.settings, machine.paths.configuration]
    drift.note_as_put(machine.paths, "config", files)
    assert drift.changed_files(machine.paths) == []
    machine.write(files[0], "changed: true\n")
    assert drift.changed_files(machine.paths) == [str(files[0])]
    files[1].unlink()
    assert drift.changed_files(machine.paths) == [str(one) for one in files]


def test_nobody_s_links_are_followed_when_data_change_their_owner(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration._own_all(machine.root / "data/member", os.getuid(), os.getgid())
    machine.have_data()
    outside = machine.root / "outside"
    machine.write(outside / "file", "")
    member = machine.root / "data/member"
    (member / "link").symlink_to(outside)
    changed: list[str] = []

    def chown(path: object, user: int, group: int, **more: object) -> None:
        assert more.get("follow_symlinks") is False
        changed.append(Path(str(path)).name)

    monkeypatch.setattr(os, "chown", chown)
    configuration._own_all(member, os.getuid() + 1, os.getgid())
    assert sorted(changed) == ["0.wal", "link", "member", "wal"]


def test_a_member_at_work_may_remove_a_file_meanwhile(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.have_data()
    machine.write(machine.root / "data/member/wal/1.tmp", "")
    look, changed = os.stat, []

    def stat(path: Any, **more: Any) -> os.stat_result:
        if path == "1.tmp":
            raise FileNotFoundError
        return look(path, **more)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "chown", lambda path, *_, **__: changed.append(Path(path).name))
    configuration._own_all(machine.root / "data/member", os.getuid() + 1, os.getgid())
    assert "0.wal" in changed


def test_a_data_directory_that_turns_into_a_link_is_not_followed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.configure()
    instance = Instance.load(machine.paths)
    monkeypatch.setattr(pwd, "getpwnam", lambda _: pwd.getpwuid(os.getuid()))
    monkeypatch.setattr(grp, "getgrnam", lambda _: grp.getgrgid(os.getgid()))
    theirs = machine.root / "theirs"
    theirs.mkdir(mode=0o755)
    (machine.root / "data").symlink_to(theirs)
    with pytest.raises(OSError, match="data"):
        configuration.own_data_directory(instance)
    assert theirs.stat().st_mode & 0o777 == 0o755
