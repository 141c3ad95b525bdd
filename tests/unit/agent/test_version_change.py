"""A change of version as a whole: the check, the switch, the way back, and the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from etcd_component.agent import (
    downgrade,
    paths,
    readiness,
    snapshot,
    version_change,
    version_switch,
)
from etcd_component.agent.decide.version import Change, Survey, Surveyed
from etcd_component.agent.frame import Stopped
from etcd_component.agent.instance import Instance
from etcd_component.agent.options import Options
from etcd_component.agent.output import Refusal
from etcd_component.agent.waits import Waits
from etcd_component.etcd_api.errors import EtcdError, NoDowngrade
from etcd_component.etcd_api.members import Member, MemberStatus, Versions
from tests.unit.agent.fake_members import FakeMembers, FakeSession

PEER, CLIENT = "https://one:2380", "https://one:2379"
OWN = Member(1, "etcd-1", (PEER,), (CLIENT,))
ENABLED = (PEER, "/downgrade/enabled")
WAITS = Waits(survey=0, cluster_version=0, downgrade=0, start=0)
TEXTS = {(CLIENT, "/health"): '{"health":"true"}', ENABLED: "false"}


@dataclass
class Machine:
    """A machine with one member, whose files are below a directory of the test's."""

    root: Path
    client: FakeMembers
    active: bool = True
    started: str = ""
    installed: set[str] = field(default_factory=lambda: {"3.6.16", "3.7.3"})
    broken: set[str] = field(default_factory=set)
    """Versions that do not run."""
    starts: list[str] = field(default_factory=list)

    @property
    def instance(self) -> Instance:
        here = paths.Paths("etcd")
        return Instance(here, "etcd-1", self.root, self.root, PEER, PEER, CLIENT)

    def run(self, version: str = "3.7.3") -> Any:
        return SimpleNamespace(
            options=Options(version=version), waits=WAITS, program=SimpleNamespace(name="etcd-node")
        )

    def runs(self, server: str, cluster: str = "3.6.0", storage: str = "") -> None:
        self.client.running[PEER] = Versions(server, cluster, storage)

    def read(self, name: str) -> str:
        return (self.root / "etc" / "etcd" / name).read_text()

    def check(self, version: str = "3.7.3") -> Change | None:
        return version_change.check(self.run(version), self.instance)

    def switch(self) -> None:
        version_switch.switch(self.run(), self.instance, self.fake, "3.6.16", "3.7.3")

    @property
    def fake(self) -> Any:
        return self.client

    @property
    def linked(self) -> str:
        return (self.root / "opt" / "clusters" / "etcd").readlink().name

    def restart(self, *_: object) -> None:
        self.starts.append(self.linked)
        if self.linked in self.broken:
            raise Refusal(f"{self.linked} does not run")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    client = FakeMembers({PEER: (OWN,)}, {}, dict(TEXTS))
    made = Machine(tmp_path, client)
    made.runs("3.6.16")
    monkeypatch.setattr(paths, "CONFIGURATIONS", tmp_path / "etc")
    monkeypatch.setattr(paths, "SOFTWARE", tmp_path / "opt")
    monkeypatch.setattr("etcd_component.agent.software.VERSIONS", tmp_path / "opt" / "versions")
    monkeypatch.setattr("etcd_component.agent.software.is_program", lambda path: True)
    monkeypatch.setattr(
        "etcd_component.agent.software.reported_version",
        lambda path: path.parts[-3] if path.parts[-3] in made.installed else "",
    )
    monkeypatch.setattr("etcd_component.agent.systemd.is_active", lambda unit: made.active)
    monkeypatch.setattr("etcd_component.agent.systemd.journal_tail", lambda unit: "the end")
    monkeypatch.setattr("etcd_component.agent.start.started_version", lambda paths: made.started)
    monkeypatch.setattr("etcd_component.agent.version_change.Client", lambda pki: client)
    monkeypatch.setattr(readiness, "restart_member", made.restart)
    monkeypatch.setattr("etcd_component.agent.files.atomic_write", _write)
    files = {
        "seat.yaml": "# The seat is taken\n",
        "etcd.yaml": "name: etcd-1\nformer: yes\n",
        "settings.yaml": "name: etcd-1\n",
    }
    for name, text in files.items():
        _write(tmp_path / "etc" / "etcd" / name, text)
    (tmp_path / "opt" / "clusters").mkdir(parents=True)
    (tmp_path / "opt" / "clusters" / "etcd").symlink_to("../versions/3.6.16")
    return made


def _write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


# ---- the check


def test_a_change_of_the_minor_version_is_found(machine: Machine) -> None:
    change = machine.check()
    assert change is not None
    assert (change.mine, change.version, change.has_begun) == ("3.6.16", "3.7.3", False)


def test_nothing_changes_without_a_version_an_instance_or_another_minor(machine: Machine) -> None:
    assert machine.check("") is None
    assert version_change.check(machine.run(), None) is None
    assert machine.check("3.6.17") is None
    assert machine.check("3.6.16") is None
    (machine.root / "etc" / "etcd" / "seat.yaml").unlink()
    assert machine.check() is None


def test_one_that_has_switched_is_asked_only_while_it_runs_in_a_change(machine: Machine) -> None:
    machine.runs("3.7.3")
    assert machine.check("3.6.16") is None
    before = "etcd.yaml.before"
    _write(machine.root / "etc" / "etcd" / before, "# Of etcd 3.7.3\n")
    assert machine.check("3.6.16") is not None
    machine.active = False
    assert machine.check("3.6.16") is None


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("3.8.0", "Set etcd_version to a release of 3.7 first"),
        ("3.4.45", "Set etcd_version to a release of 3.5 first"),
    ],
)
def test_a_skip_is_refused(machine: Machine, version: str, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        machine.check(version)


def test_what_the_members_lack_is_refused(machine: Machine) -> None:
    machine.client.texts = {}
    with pytest.raises(Refusal, match=r"etcd-1 is not healthy: .* Mend that and run `pulumi up`"):
        machine.check()
    machine.client.texts = dict(TEXTS)
    machine.runs("3.6.1")
    with pytest.raises(Refusal, match=r"3.7 may only follow 3.6.11 or later"):
        machine.check()


def test_the_own_version_is_what_runs_or_was_begun_or_started_or_linked(machine: Machine) -> None:
    def own() -> str:
        return version_change.own_version(machine.instance, machine.fake)

    kept = machine.root / "etc" / "etcd" / "etcd.yaml.before"
    _write(kept, "# Of etcd 3.5.35\nname: etcd-1\n")
    machine.started = "3.4.45"
    assert own() == "3.6.16"
    machine.client.running = {}
    assert own() == "3.5.35"
    kept.write_text("name: etcd-1\n")
    assert own() == "3.4.45"
    machine.active = False
    assert own() == "3.6.16"
    (machine.root / "opt" / "clusters" / "etcd").unlink()
    assert own() == "none"


# ---- joining


def test_one_that_joins_asks_the_voters(machine: Machine, capsys: Any) -> None:
    other = Member(2, "etcd-2", ("https://two:2380",), ("https://two:2379",))
    silent = Member(3, "etcd-3", ("https://three:2380",), ("https://three:2379",))
    machine.client.running = {"https://two:2380": Versions("3.6.16", "3.6.0", "")}

    def join(version: str) -> None:
        version_change.refuse_to_join_another_minor(
            machine.run(version), machine.instance, machine.fake, (OWN, other, silent)
        )

    with pytest.raises(Refusal, match=r"would join with etcd 3.7.3, but the cluster runs 3.6.16"):
        join("3.7.3")
    join("")
    assert capsys.readouterr().out == ""
    join("3.6.11")
    assert "these voters do not tell their version: etcd-3 at https://three:2380" in (
        capsys.readouterr().out
    )


# ---- the switch


def test_what_etcd_read_before_is_kept_until_the_end(machine: Machine) -> None:
    machine.switch()
    assert machine.starts == ["3.7.3"]
    assert machine.read("etcd.yaml.before") == "# Of etcd 3.6.16\nname: etcd-1\nformer: yes\n"
    assert machine.read("etcd.yaml") == "name: etcd-1\n# The seat is taken\n"


def test_a_second_attempt_keeps_what_the_first_has_kept(machine: Machine) -> None:
    machine.switch()
    machine.switch()
    assert "former: yes" in machine.read("etcd.yaml.before")


def test_a_version_that_does_not_run_is_put_back(machine: Machine, capsys: Any) -> None:
    machine.broken = {"3.7.3"}
    with pytest.raises(Refusal) as refused:
        machine.switch()
    assert "etcd 3.6.16 was put back and runs again" in str(refused.value)
    assert machine.starts == ["3.7.3", "3.6.16"]
    assert machine.read("etcd.yaml") == "name: etcd-1\nformer: yes\n"
    assert not (machine.root / "etc" / "etcd" / "etcd.yaml.before").exists()
    assert "etcd-node: 3.7.3 does not run" in capsys.readouterr().err


def _gone_on(machine: Machine) -> None:
    _write(machine.root / "etc" / "etcd" / "peers", "etcd-2=https://two:2380\n")
    machine.client.running["https://two:2380"] = Versions("3.7.3", "3.7.0", "")


def _not_here(machine: Machine) -> None:
    machine.installed = {"3.7.3"}


def _broken_too(machine: Machine) -> None:
    machine.broken = {"3.6.16", "3.7.3"}


@pytest.mark.parametrize(
    ("trouble", "said", "starts"),
    [
        (_gone_on, "cannot be put back, because the cluster is at 3.7 already", 1),
        (_not_here, "cannot be put back, because it is not on this machine any more", 1),
        (_broken_too, "was put back and does not become ready either", 2),
    ],
)
def test_what_cannot_be_put_back_says_why(
    machine: Machine, trouble: Callable[[Machine], None], said: str, starts: int
) -> None:
    machine.broken = {"3.7.3"}
    trouble(machine)
    with pytest.raises(Refusal, match=said):
        machine.switch()
    assert len(machine.starts) == starts
    # It tells the next run what to go back to.
    assert (machine.root / "etc" / "etcd" / "etcd.yaml.before").exists()


def test_one_that_is_stopped_in_the_middle_begins_no_way_back(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        machine.starts.append(machine.linked)
        raise Stopped

    monkeypatch.setattr(readiness, "restart_member", stopped)
    with pytest.raises(Stopped):
        machine.switch()
    assert machine.starts == ["3.7.3"]


def test_others_that_are_as_far_as_before_do_not_stop_the_way_back(machine: Machine) -> None:
    _gone_on(machine)
    machine.client.running["https://two:2380"] = Versions("3.7.3", "3.6.0", "")
    machine.broken = {"3.7.3"}
    with pytest.raises(Refusal, match="was put back and runs again"):
        machine.switch()


# ---- the end


def confirm(machine: Machine, version: str, session: FakeSession | None = None) -> None:
    def log_in() -> Any:
        assert session is not None, "nobody had to log in"
        return session

    version_change.confirm(machine.run(version), machine.instance, machine.fake, version, log_in)


def begun_with(machine: Machine, version: str) -> None:
    _write(machine.root / "etc" / "etcd" / "etcd.yaml.before", f"# Of etcd {version}\n")


def test_the_cluster_that_has_followed_is_reported(machine: Machine, capsys: Any) -> None:
    begun_with(machine, "3.6.16")
    machine.runs("3.7.3", "3.7.0")
    confirm(machine, "3.7.3")
    assert capsys.readouterr().out == "etcd-1: all members run 3.7.3, the cluster is at 3.7\n"


def test_a_cluster_that_does_not_follow_is_refused(machine: Machine) -> None:
    machine.runs("3.7.3", "3.6.0")
    with pytest.raises(Refusal, match=r"all members run etcd 3.7, but the cluster is still at 3.6"):
        confirm(machine, "3.7.3")


def test_nothing_is_said_where_no_minor_version_changed(machine: Machine, capsys: Any) -> None:
    machine.client.lists = {}
    confirm(machine, "3.6.16")
    begun_with(machine, "3.6.15")
    confirm(machine, "3.6.16")
    machine.runs("3.8.0", "")
    confirm(machine, "3.8.0")
    assert capsys.readouterr().out == ""


def test_nothing_is_said_before_the_last_member(machine: Machine, capsys: Any) -> None:
    two = Member(2, "etcd-2", ("https://two:2380",), ("https://two:2379",))
    machine.client.lists = {PEER: (OWN, two)}
    machine.client.texts["https://two:2379", "/health"] = '{"health":"true"}'
    machine.runs("3.7.3", "3.6.0")
    confirm(machine, "3.7.3")
    assert "whether the cluster is at etcd 3.7 is not known yet: etcd-2 does not answer" in (
        capsys.readouterr().out
    )
    machine.client.running["https://two:2380"] = Versions("3.6.16", "3.6.0", "")
    confirm(machine, "3.7.3")
    assert capsys.readouterr().out == ""


def test_a_downgrade_that_was_begun_is_called_off_at_the_end(machine: Machine) -> None:
    machine.runs("3.7.3", "3.6.0")
    machine.client.texts[ENABLED] = "true"
    session = FakeSession(CLIENT)
    with pytest.raises(Refusal):
        confirm(machine, "3.7.3", session)
    assert session.calls == [("maintenance/downgrade", {"action": "CANCEL"}, "")]


# ---- downgrades

STATUS = MemberStatus(1, 7, 1, 5, 9, 9, 1, is_learner=False, errors=(), downgrade_target="")


def begin(machine: Machine, session: FakeSession, *servers: str) -> bool:
    members = tuple(
        Surveyed(f"etcd-{number}", "", True, Versions(server, "3.7.0", ""), True)
        for number, server in enumerate(servers or ("3.7.3",))
    )
    change = Change("etcd-1", "3.7.3", "3.6.16", Survey(members))
    fake: Any = session
    return downgrade.begin(machine.run("3.6.16"), machine.instance, machine.fake, fake, change)


def actions(session: FakeSession) -> list[str]:
    return [body["action"] for _, body, _ in session.calls]


def test_a_cluster_whose_data_are_ready_needs_no_downgrade(machine: Machine) -> None:
    machine.runs("3.7.3", "3.6.0", "3.6.0")
    session = FakeSession(CLIENT, statuses={CLIENT: STATUS})
    # It never finished its upgrade.
    assert begin(machine, session, "3.7.3", "3.6.16") is False
    assert session.calls == []


def test_one_that_has_not_finished_its_upgrade_is_waited_for(machine: Machine) -> None:
    machine.runs("3.7.3", "3.6.0", "3.6.0")
    with pytest.raises(Refusal, match=r"the members run etcd 3.7, but the cluster is still at 3.6"):
        begin(machine, FakeSession(CLIENT))


def test_etcd_is_asked_to_write_older_data(machine: Machine) -> None:
    machine.runs("3.7.3", "3.7.0", "3.7.0")
    session = FakeSession(CLIENT, statuses={CLIENT: STATUS})
    with pytest.raises(Refusal, match=r"the cluster is at 3.7.0 for etcd-1 after a minute"):
        begin(machine, session)
    assert actions(session) == ["VALIDATE", "ENABLE"]
    assert {body["version"] for _, body, _ in session.calls} == {"3.6"}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("3.6.0", ["CANCEL"]),
        # One to elsewhere is called off before.
        ("3.5.0", ["CANCEL", "VALIDATE", "ENABLE", "CANCEL"]),
        ("", ["CANCEL", "VALIDATE", "ENABLE", "CANCEL"]),
    ],
)
def test_a_downgrade_on_its_way_is_waited_for_and_another_called_off(
    machine: Machine, target: str, expected: list[str]
) -> None:
    machine.runs("3.7.3", "3.7.0", "3.7.0")
    machine.client.texts[ENABLED] = "true"
    status = MemberStatus(1, 7, 1, 5, 9, 9, 1, is_learner=False, errors=(), downgrade_target=target)
    session = FakeSession(CLIENT, statuses={CLIENT: status})
    with pytest.raises(Refusal, match="after a minute"):
        begin(machine, session)
    # In the end it is called off, since the data did not get ready.
    assert actions(session) == expected


def test_what_etcd_does_not_go_back_to_is_refused(machine: Machine) -> None:
    machine.runs("3.7.3", "3.7.0", "3.7.0")
    session = FakeSession(CLIENT, statuses={CLIENT: STATUS}, refused=EtcdError("invalid target"))
    with pytest.raises(Refusal, match=r"etcd does not go back to 3.6: invalid target"):
        begin(machine, session)


def test_one_that_is_over_is_called_off(machine: Machine) -> None:
    machine.client.texts[ENABLED] = "true"

    def call_off(refused: EtcdError) -> None:
        fake: Any = FakeSession(CLIENT, refused=refused)
        downgrade.call_off(machine.instance, machine.fake, fake)

    call_off(NoDowngrade("no inflight downgrade"))
    with pytest.raises(Refusal, match="cannot be called off: something"):
        call_off(EtcdError("something"))


def test_a_downgrade_of_which_nobody_says_anything_may_be_on_its_way(machine: Machine) -> None:
    machine.runs("3.7.3", "3.6.0", "3.6.0")
    del machine.client.texts[ENABLED]
    fake: Any = FakeSession(CLIENT)
    with pytest.raises(Refusal, match="does not say whether a downgrade is on its way"):
        downgrade.call_off(machine.instance, machine.fake, fake)
    assert not downgrade.await_cluster_minor(machine.instance, machine.fake, "3.6", 0)


# ---- the snapshot before it


def test_only_an_upgrade_that_nobody_has_begun_wants_a_snapshot(machine: Machine) -> None:
    """The others do not even want a login."""
    begun = Survey((Surveyed("etcd-2", "", True, Versions("3.7.3", "3.6.0", ""), True),))
    for change in (
        Change("etcd-1", "3.7.3", "3.6.16"),
        Change("etcd-1", "3.6.16", "3.7.3", begun),
    ):
        snapshot.before_upgrade(machine.run(), machine.instance, machine.fake, change)
