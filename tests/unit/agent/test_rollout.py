"""In which order a member is restarted, and what stands before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from etcd_component.agent import drift, rollout
from etcd_component.agent.decide.gate import Pass
from etcd_component.agent.decide.version import Survey, Surveyed
from etcd_component.agent.instance import Instance
from etcd_component.agent.options import Options
from etcd_component.agent.output import Refusal
from etcd_component.agent.paths import Paths
from etcd_component.agent.session import Credentials
from etcd_component.agent.waits import Waits
from etcd_component.etcd_api.errors import AnswerTimeout, EtcdError
from etcd_component.etcd_api.members import Member, MemberStatus, Versions
from tests.unit.agent.fake_etcd import ROOT, instance
from tests.unit.agent.fake_members import FakeMembers, FakeSession

OWN = Member(1, "etcd-1", ("https://one:2380",), ("https://one:2379",))
HEIR = Member(2, "etcd-2", ("https://m2:2380",), ("https://m2:2379",))
FOLLOWS, LEADS = Pass(OWN, False, HEIR), Pass(OWN, True, HEIR)
ALONE = Pass(OWN, True, None)


@dataclass
class Steps:
    """What a rollout does, noted in the place of doing it."""

    noted: list[str] = field(default_factory=list)
    active: Iterator[bool] = field(default_factory=lambda: iter([True] * 9))
    passes: Iterator[Pass | None] = field(default_factory=lambda: iter([FOLLOWS] * 9))
    mine: str = "3.6.16"
    up_to_date: bool = False
    old_entries: bool = False
    took_a_while: bool = False
    members: FakeMembers = field(default_factory=FakeMembers)
    session: FakeSession = field(default_factory=lambda: FakeSession("https://one:2379"))
    survey: Survey = field(
        default_factory=lambda: Survey(
            (Surveyed("etcd-2", "", True, Versions("3.6.16", "3.6.0", ""), True),)
        )
    )
    fault: str = ""

    def note(self, name: str, result: object = None) -> Any:
        def step(*_: object) -> Any:
            self.noted.append(name)
            return result

        return step

    def do(self, version: str = "3.6.16", *, of: Instance | None = None, **options: Any) -> None:
        run: Any = SimpleNamespace(
            options=Options(version=version, **options), waits=Waits(survey=0)
        )
        client: Any = self.members
        made = rollout.Rollout(run, of or instance(), client, Credentials(ROOT))
        session: Any = self.session
        made._session = session
        made.do()

    @property
    def handed_over(self) -> bool:
        return any("transfer" in method for method, _, _ in self.session.calls)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Steps:
    made = Steps()

    def gate(*_: object) -> Pass | None:
        made.noted.append("gate")
        return next(made.passes)

    in_place: dict[str, Any] = {
        "pass_gate": gate,
        "settle": made.note("settle", OWN),
        "compose": made.note("compose"),
        "await_survey": lambda *_: (made.survey, made.fault),
        "is_composed": lambda _: True,
    }
    for name, function in in_place.items():
        monkeypatch.setattr(f"etcd_component.agent.rollout.{name}", function)
    functions: dict[str, Any] = {
        "systemd.is_active": lambda _: next(made.active),
        "version_change.own_version": lambda *_: made.mine,
        "version_change.confirm": made.note("confirm"),
        "version_change.kept_version": lambda _: "",
        "version_switch.switch": made.note("switch"),
        "old_entries.must_be_left_behind": lambda *_: made.old_entries,
        "old_entries.leave_behind": made.note("leave behind"),
        "downgrade.begin": lambda *_: made.note("downgrade")() or made.took_a_while,
        "downgrade.call_off": made.note("call off"),
        "snapshot.ensure": lambda *_: made.note("snapshot")() or made.took_a_while,
        "readiness.restart_member": made.note("restart"),
        "readiness.await_member": made.note("await"),
        "readiness.remember_peers": made.note("remember"),
        "software.link_version": made.note("link"),
        "software.is_linked": lambda *_: made.up_to_date,
        "software.is_program": lambda _: True,
        "start.runs_what_the_files_say": lambda _: made.up_to_date,
        "start.fingerprint": lambda _: "0123456789ab",
    }
    for name, function in functions.items():
        monkeypatch.setattr(f"etcd_component.agent.{name}", function)
    monkeypatch.setattr(Paths, "etc", property(lambda paths: tmp_path))
    started = tmp_path / "started"
    started.write_text("noted\n")
    monkeypatch.setattr(Paths, "started", property(lambda paths: started))
    return made


RESTART = ["compose", "link", "restart", "settle", "confirm"]


def test_what_is_up_to_date_is_not_restarted(steps: Steps, capsys: Any) -> None:
    steps.up_to_date = True
    steps.do()
    assert steps.noted == ["await", "remember"]
    assert capsys.readouterr().out == "etcd-1: runs what the files say; no restart\n"


def test_a_follower_restarts_behind_the_gate(steps: Steps, capsys: Any) -> None:
    steps.do()
    assert steps.noted == ["gate", *RESTART]
    assert not steps.handed_over
    assert capsys.readouterr().out == "etcd-1: restarted; voter, in sync\n"


def test_a_leader_hands_over_first(steps: Steps, capsys: Any) -> None:
    steps.passes = iter([LEADS])
    steps.do()
    assert steps.session.calls == [
        ("maintenance/transfer-leadership", {"targetID": "2"}, "https://one:2379")
    ]
    assert capsys.readouterr().out == (
        "etcd-1: restarted after etcd-2 took over as leader; voter, in sync\n"
    )


def leading(leader: int) -> MemberStatus:
    return MemberStatus(1, 7, leader, 5, 9, 9, 1, is_learner=False, errors=(), downgrade_target="")


def test_a_handover_whose_answer_was_lost_is_one(steps: Steps) -> None:
    steps.passes = iter([LEADS])
    steps.session.refused = EtcdError("etcdserver: not leader")
    steps.session.statuses = {"https://one:2379": leading(HEIR.id)}
    steps.do()
    assert steps.noted == ["gate", *RESTART]


@pytest.mark.parametrize("status", [leading(OWN.id), leading(0), AnswerTimeout("late")])
def test_a_leader_that_cannot_hand_over_stays(
    steps: Steps, status: MemberStatus | AnswerTimeout
) -> None:
    steps.passes = iter([LEADS])
    steps.session.refused = EtcdError("no")
    steps.session.statuses = {"https://one:2379": status}
    with pytest.raises(Refusal, match="is the leader and could not hand over to etcd-2: no"):
        steps.do()
    assert steps.noted == ["gate"]


def test_one_that_is_alone_has_nobody_to_hand_over_to(steps: Steps) -> None:
    steps.passes = iter([ALONE])
    steps.do()
    assert not steps.handed_over
    assert steps.noted == ["gate", *RESTART]


def test_one_that_is_down_is_started_without_asking(steps: Steps) -> None:
    steps.active = iter([False] * 9)
    steps.do()
    assert steps.noted == RESTART


def test_one_that_came_up_meanwhile_passes_the_gate(steps: Steps) -> None:
    steps.active = iter([False, True, True])
    steps.passes = iter([LEADS])
    steps.do()
    assert steps.noted == ["gate", *RESTART]
    assert steps.handed_over


def test_one_that_went_down_at_the_gate_is_started(steps: Steps) -> None:
    steps.active = iter([True, False, False])
    steps.passes = iter([None])
    steps.do()
    assert steps.noted == ["gate", *RESTART]


def test_one_that_goes_down_behind_the_gate_hands_nothing_over(steps: Steps) -> None:
    steps.active = iter([True, False])
    steps.passes = iter([LEADS])
    steps.do()
    assert not steps.handed_over


def test_a_version_that_is_not_here_is_refused(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etcd_component.agent.software.is_program", lambda _: False)
    with pytest.raises(Refusal, match=r"etcd 3\.9\.9 is not on this machine"):
        steps.do("3.9.9")
    assert steps.noted == []


def test_a_start_that_was_not_noted_is_refused(steps: Steps) -> None:
    Paths("etcd").started.write_text("")
    with pytest.raises(Refusal, match="so every update would restart it again"):
        steps.do()


# ---- another version


def test_another_patch_release_is_switched_to_without_a_survey(steps: Steps) -> None:
    steps.fault = "nobody was to be asked"
    steps.do("3.6.17")
    assert steps.noted == ["gate", "switch", "settle", "confirm"]


@pytest.mark.parametrize("took_a_while", [False, True])
def test_an_upgrade_is_behind_a_snapshot(steps: Steps, took_a_while: bool) -> None:
    steps.took_a_while = took_a_while
    steps.do("3.7.3")
    again = ["gate"] if took_a_while else []
    assert steps.noted == ["gate", "call off", "snapshot", *again, "switch", "settle", "confirm"]


def test_an_upgrade_that_was_begun_wants_no_other_snapshot(steps: Steps) -> None:
    begun = Surveyed("etcd-3", "", True, Versions("3.7.3", "3.6.0", ""), True)
    steps.survey = Survey((*steps.survey.members, begun))
    steps.do("3.7.3")
    assert steps.noted == ["gate", "call off", "switch", "settle", "confirm"]


@pytest.mark.parametrize("took_a_while", [False, True])
def test_a_downgrade_has_its_data_prepared(steps: Steps, took_a_while: bool) -> None:
    steps.took_a_while = took_a_while
    steps.do("3.5.35")
    again = ["gate"] if took_a_while else []
    assert steps.noted == ["gate", "downgrade", *again, "switch", "settle", "confirm"]


def test_a_gate_that_closes_meanwhile_lets_nothing_through(steps: Steps) -> None:
    """The second look sees another leader."""
    steps.took_a_while = True
    steps.passes = iter([FOLLOWS, LEADS])
    steps.do("3.7.3")
    assert steps.handed_over


def test_members_that_are_not_healthy_hold_a_change_of_version_up(steps: Steps) -> None:
    steps.fault = "etcd-2 is not healthy"
    with pytest.raises(Refusal, match="etcd-1 is not restarted: etcd-2 is not healthy"):
        steps.do("3.7.3")
    assert steps.noted == ["gate"]


def test_old_entries_are_left_behind_before_the_switch(steps: Steps) -> None:
    steps.old_entries = True
    steps.passes = iter([LEADS, FOLLOWS])
    steps.do("3.7.3")
    assert steps.handed_over
    assert steps.noted[-5:] == ["leave behind", "gate", "switch", "settle", "confirm"]


# ---- changes by hand


@pytest.mark.parametrize(
    ("declared", "warned"), [("", False), ("0123456789ab", False), ("ba9876543210", True)]
)
def test_files_that_were_changed_by_hand_are_reported(
    steps: Steps, capsys: Any, declared: str, warned: bool
) -> None:
    steps.up_to_date = True
    steps.do(to=declared)
    assert ("was changed by hand" in capsys.readouterr().out) is warned


def test_a_configuration_that_was_edited_is_reported(
    steps: Steps, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etcd_component.agent.rollout.is_composed", lambda _: False)
    steps.do(to="0123456789ab")
    # It is the former version's until the switch.
    assert "by hand" not in capsys.readouterr().out
    steps.up_to_date = True
    steps.do(to="0123456789ab")
    assert "was changed by hand" in capsys.readouterr().out


def test_a_rollout_without_the_files_that_it_is_for_is_refused(steps: Steps) -> None:
    """As with `--target`: the update after it would find nothing to do, and restart nobody."""
    steps.up_to_date = True
    one = instance()
    one.paths.settings.write_text("name: etcd-1\n")
    for step in ("config", "tls"):
        drift.note_as_put(one.paths, step, [one.paths.settings])
    with pytest.raises(Refusal, match="etcd-1-config or etcd-1-tls was left out"):
        steps.do(of=one, to="ba9876543210")
    assert steps.noted == []
    steps.do(of=one, to="0123456789ab")


# ---- another peer port


def test_another_peer_port_is_announced_before_the_restart(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = "https://one:2390"
    moving = replace(instance(), new_peer_url=new)
    moving.paths.former_peer_url.write_text(f"{moving.peer_url}\n")
    monkeypatch.setattr(Instance, "load", classmethod(lambda cls, paths: instance()))

    def change(session: Any, of: Instance, seconds: float, method: str, body: Any) -> None:
        steps.noted.append(f"{method} {body['ID']} {body['peerURLs'][0]}")
        steps.session.listed = (replace(OWN, peer_urls=(new,)), HEIR)

    monkeypatch.setattr("etcd_component.agent.membership.change", change)
    monkeypatch.setattr(FakeSession, "members", FakeSession.list_members, raising=False)
    steps.session.listed = (OWN, HEIR)
    steps.do(of=moving)
    assert steps.noted == ["gate", f"update 1 {new}", *RESTART]
    assert not moving.paths.former_peer_url.exists()


# ---- one that has not joined


def take_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *there: str) -> bool:
    monkeypatch.setattr(Paths, "etc", property(lambda paths: tmp_path))
    files = {"seat.yaml": "initial-cluster-state: new\n", "left": "", "joined": ""}
    for name in there:
        (tmp_path / name).write_text(files.get(name, ""))
    if "joined" in there:
        (tmp_path / "seat.yaml").write_text("# The seat is taken\n")
    if "data" in there:
        (tmp_path / "member" / "wal").mkdir(parents=True)
        (tmp_path / "member" / "wal" / "0.wal").touch()
    waited: list[object] = []
    monkeypatch.setattr(
        "etcd_component.agent.readiness.start_member", lambda *words: waited.append(words)
    )
    run: Any = SimpleNamespace(waits=Waits())
    client: Any = None
    rollout._take_part(run, replace(instance(), data=tmp_path), client)
    return bool(waited)


@pytest.mark.parametrize(
    ("there", "waits"),
    [
        (("seat.yaml", "data"), True),
        # It would be a new beginning without its data, and none without its membership.
        (("seat.yaml",), False),
        (("data",), False),
        (("seat.yaml", "data", "left"), False),
        (("seat.yaml", "data", "joined"), False),
    ],
)
def test_a_founder_that_was_left_to_the_others_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: tuple[str, ...], waits: bool
) -> None:
    assert take_part(monkeypatch, tmp_path, *there) is waits
