"""What is seen of other members before a restart and before a change of version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from etcd_component.agent import gate, survey
from etcd_component.agent.decide.gate import Pass, Seen
from etcd_component.agent.decide.version import Surveyed, VoterVersion
from etcd_component.agent.options import Options
from etcd_component.agent.output import Refusal
from etcd_component.agent.paths import Paths
from etcd_component.agent.waits import Waits
from etcd_component.etcd_api.errors import (
    AnswerTimeout,
    EtcdError,
    TokenInvalid,
    UnexpectedAnswer,
)
from etcd_component.etcd_api.members import Alarm, Member, MemberStatus, Versions
from tests.unit.agent.fake_etcd import instance, member
from tests.unit.agent.fake_members import FakeMembers, FakeSession

OWN = Member(1, "etcd-1", ("https://one:2380",), ("https://one:2379",))
TWO, LEARNER, NEW = member(2), member(3, learner=True), member(4, learner=True, started=False)
STATUS = MemberStatus(1, 77, 2, 5, 5000, 5000, 1, is_learner=False, errors=(), downgrade_target="")
READY = {("https://m2:2379", ()), ("https://m3:2379", ("non_learner",))}


def healthy(**changes: Any) -> FakeSession:
    return replace(
        FakeSession(
            "https://one:2379",
            (OWN, TWO, LEARNER),
            (),
            {f"https://{name}:2379": STATUS for name in ("one", "m2", "m3")},
        ),
        **changes,
    )


def observe(client: FakeMembers, session: FakeSession) -> Any:
    return gate.observe(instance(), client, session)  # type: ignore[arg-type]


def test_each_other_member_is_looked_at_and_not_this_one() -> None:
    seen = observe(FakeMembers(ready=READY), healthy())
    assert seen.others == (Seen(TWO, STATUS, ready=True), Seen(LEARNER, STATUS, ready=True))
    assert (seen.members, seen.alarms, seen.reference) == ((OWN, TWO, LEARNER), (), STATUS)


@pytest.mark.parametrize(
    ("blind", "missing"),
    [
        ({"listed": AnswerTimeout("late")}, "members"),
        ({"raised": AnswerTimeout("late")}, "alarms"),
        ({"statuses": {"https://one:2379": AnswerTimeout("late")}}, "reference"),
    ],
)
def test_what_is_not_answered_is_not_seen(blind: dict[str, Any], missing: str) -> None:
    seen = observe(FakeMembers(), healthy(**blind))
    assert getattr(seen, missing) is None
    assert (seen.error, seen.others) == ("late", ())


def test_why_a_member_has_no_status_is_seen() -> None:
    statuses = {
        "https://one:2379": STATUS,
        "https://m2:2379": AnswerTimeout("late"),
        "https://m3:2379": TokenInvalid("invalid auth token"),
    }
    seen = observe(
        FakeMembers(ready=READY), healthy(statuses=statuses, listed=(OWN, TWO, LEARNER, NEW))
    )
    assert seen.others == (
        Seen(TWO, None, "late", ready=True),
        Seen(LEARNER, None, "invalid auth token", token_refused=True, ready=True),
        Seen(NEW),
    )


def test_quotas_are_looked_at_when_an_alarm_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    quota = {("https://one:2379", "/metrics"): "etcd_server_quota_backend_bytes 8.5e+09\n"}
    monkeypatch.setattr(
        "etcd_component.agent.files.read_text", lambda path: "quota-backend-bytes: 9000000000\n"
    )
    seen = observe(FakeMembers(texts=quota), healthy(raised=(Alarm(2, "NOSPACE"),)))
    assert (seen.quota, seen.wanted_quota) == (8.5e9, 9_000_000_000)
    assert observe(FakeMembers(texts=quota), healthy()).quota is None


# ---- waiting at the gate


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The gate, with nothing to wait for."""
    monkeypatch.setattr(Paths, "started", property(lambda paths: tmp_path / "run" / "etcd.started"))
    monkeypatch.setattr("etcd_component.agent.start.files_say", lambda paths: "something")
    active = {"now": True}
    monkeypatch.setattr("etcd_component.agent.systemd.is_active", lambda unit: active["now"])

    def run(session: FakeSession, *, runs: bool = True) -> Any:
        active["now"] = runs
        one = SimpleNamespace(waits=Waits(gate=0), options=Options())
        return gate.pass_gate(one, instance(), FakeMembers(ready=READY), session)  # type: ignore[arg-type]

    return run


def test_a_healthy_cluster_is_passed(passing: Any, tmp_path: Path) -> None:
    assert passing(healthy()) == Pass(OWN, leads=False, heir=TWO)
    assert list((tmp_path / "run").iterdir()) == []


def test_one_that_is_not_holds_a_running_member_up(passing: Any) -> None:
    silent = healthy(raised=(Alarm(2, "CORRUPT"),))
    with pytest.raises(Refusal) as refused:
        passing(silent)
    assert str(refused.value) == (
        "etcd-1 is not restarted, since the cluster could lose its quorum: the alarm CORRUPT is"
        " raised: `etcdctl alarm list` says where. Mend that and run `pulumi up` again; a member"
        " that will not come back goes first with etcd_lost on its host"
    )
    # It has gone down meanwhile, and has nothing to lose.
    assert passing(silent, runs=False) is None


def test_a_start_that_could_not_be_noted_is_refused(passing: Any, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file, and no directory")
    with pytest.raises(Refusal, match="nothing can be written in /run/etcd-node"):
        passing(healthy())


def test_a_learner_that_never_started_is_removed(
    passing: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    session = healthy(listed=(OWN, TWO, NEW))
    assert passing(session).abandoned == (NEW,)
    assert session.calls == [("cluster/member/remove", {"ID": "4"}, "")]
    assert "the member 4 at https://m4:2380, a learner that never started, is removed" in (
        capsys.readouterr().out
    )
    passing(healthy(listed=(OWN, TWO, NEW), refused=EtcdError("no")))
    assert "cannot be removed: no" in capsys.readouterr().out


def test_an_ailing_learner_is_reported(passing: Any, capsys: pytest.CaptureFixture[str]) -> None:
    statuses = {**healthy().statuses, "https://m3:2379": AnswerTimeout("late")}
    passing(healthy(statuses=statuses))
    assert (
        "restarted although the learner is not well, which counts for no quorum: etcd-3 at"
        " https://m3:2379 does not answer: late." in capsys.readouterr().out
    )


# ---- behind the restart


def streams(*lines: str) -> str:
    return "\n".join(["etcd_server_has_leader 1", *lines, ""])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (streams('etcd_network_active_peers{Local="2",Remote="1f"} 2'), 2),
        (streams('etcd_network_active_peers{Local="2",Remote="1f"} 0'), 0),
        (streams('etcd_network_active_peers{Local="1f",Remote="2"} 2'), 0),
        (streams('etcd_network_active_peers{Local="2",Remote="1f0"} 2'), 0),
        (streams(), 0),
        ("", None),
        ("something else", None),
    ],
)
def test_streams_to_a_restarted_member_are_counted(text: str, expected: int | None) -> None:
    client = FakeMembers(texts={("https://m2:2379", "/metrics"): text})
    assert gate._streams(client, TWO, 31) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (None, "etcd-1 was restarted, but gives no member list: connection refused"),
        ((TWO,), "etcd-1 was restarted, but is not in its own member list"),
        (
            (OWN, TWO),
            (
                "etcd-1 was restarted, but no other voter says whether it has a connection to it;"
                " the others were left alone"
            ),
        ),
    ],
)
def test_a_restarted_member_that_is_not_seen_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch, listed: tuple[Member, ...] | None, said: str
) -> None:
    monkeypatch.setattr("etcd_component.agent.systemd.journal_tail", lambda unit: "the end")
    client = FakeMembers(lists={"https://one:2380": listed} if listed else {})
    one: Any = SimpleNamespace(waits=Waits(settle=0))
    with pytest.raises(Refusal) as refused:
        gate.settle(one, instance(), client)  # type: ignore[arg-type]
    assert str(refused.value) == said


def test_learners_and_those_that_never_started_see_nobody() -> None:
    client = FakeMembers(lists={"https://one:2380": (OWN, LEARNER, NEW, member(5, started=False))})
    one: Any = SimpleNamespace(waits=Waits(settle=0))
    assert gate.settle(one, instance(), client) == OWN  # type: ignore[arg-type]


# ---- versions and health


def ask(client: FakeMembers) -> Any:
    return survey.survey_members(instance(), client)  # type: ignore[arg-type]


def health(name: str, text: str) -> dict[tuple[str, str], str]:
    return {(f"https://{name}:2379", "/health"): text}


VERSIONS = Versions("3.6.16", "3.6.0", "3.6.0")
HEALTHY = '{"health":"true","reason":""}'


def test_all_members_are_asked_for_version_and_health() -> None:
    client = FakeMembers(
        {"https://one:2380": (OWN, TWO, LEARNER)},
        {"https://one:2380": VERSIONS, "https://m2:2380": VERSIONS},
        {**health("one", HEALTHY), **health("m2", '{"health":"false","reason":"ALARM NOSPACE"}')},
    )
    assert ask(client).members == (
        Surveyed("etcd-1", "https://one:2380", True, VERSIONS, True, ""),
        Surveyed("etcd-2", "https://m2:2380", True, VERSIONS, False, "ALARM NOSPACE"),
        Surveyed("etcd-3", "https://m3:2380", False, None),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "its answer cannot be read"),
        ("[]", "its answer cannot be read"),
        ("{}", "its answer cannot be read"),
        ('{"health":true}', ""),
        ('{"health":"false"}', ""),
    ],
)
def test_only_one_that_says_so_is_healthy(text: str, reason: str) -> None:
    client = FakeMembers(
        {"https://one:2380": (OWN,)}, {"https://one:2380": VERSIONS}, health("one", text)
    )
    (found,) = ask(client).members
    assert (found.healthy, found.health_reason) == (False, reason)


def test_one_that_serves_no_clients_is_not_healthy() -> None:
    silent = replace(OWN, client_urls=())
    client = FakeMembers({"https://one:2380": (silent,)}, {"https://one:2380": VERSIONS})
    assert not ask(client).members[0].healthy


def test_whoever_answers_first_gives_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "etcd_component.agent.instance.files.read_text",
        lambda path, default="": "etcd-2=https://m2:2380\n",
    )
    assert ask(FakeMembers()).error == "no member answers"
    assert [one.label for one in ask(FakeMembers({"https://m2:2380": (OWN, TWO)})).members] == [
        "etcd-1",
        "etcd-2",
    ]
    garbled = UnexpectedAnswer("the member list cannot be read")
    assert ask(FakeMembers({"https://one:2380": garbled, "https://m2:2380": (OWN,)})).error == (
        "the member list cannot be read"
    )


def test_patience_ends_with_what_is_wrong() -> None:
    client: Any = FakeMembers({"https://one:2380": (OWN,)})
    _, fault = survey.await_survey(instance(), client, 0)
    assert fault == "etcd-1 does not answer at https://one:2380"


def test_voters_besides_this_one_say_what_they_run() -> None:
    client: Any = FakeMembers(running={"https://m2:2380": VERSIONS})
    asked = survey.ask_voters(client, (OWN, TWO, LEARNER, member(5)), ["https://one:2380"])
    assert asked == [
        VoterVersion("etcd-2", "https://m2:2380", "3.6.16"),
        VoterVersion("etcd-5", "https://m5:2380", ""),
    ]
