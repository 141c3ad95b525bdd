"""Waiting for a member, the founder's and the newcomer's attendants, and what is noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from etcd_component.agent import bootstrap, learner, membership, peers, readiness, systemd
from etcd_component.agent.client import FORMED, FORMING, NOT_RUNNING, UNREACHABLE, PeerState
from etcd_component.agent.instance import JOINED, Instance
from etcd_component.agent.output import Refusal
from etcd_component.agent.paths import Paths
from etcd_component.agent.systemd import UnitState
from etcd_component.agent.waits import Waits
from etcd_component.etcd_api.members import Member

ACTIVE = UnitState("active", "running", 0, False, 1, False, (), "", True)
STARTING = replace(ACTIVE, active="activating", sub="start", has_job=True)
FAILED = replace(ACTIVE, active="failed", sub="failed")
INACTIVE = replace(ACTIVE, active="inactive", sub="dead")
RETRYING = replace(ACTIVE, active="activating", sub="auto-restart", restarts=3)

MEMBERS = (
    Member(1, "etcd-1", ("https://10.0.0.1:2380",), ("https://10.0.0.1:2379",)),
    Member(2, "etcd-2", ("https://10.0.0.2:2380",), ("https://10.0.0.2:2379",)),
    Member(3, "", ("https://10.0.0.3:2380",), ()),
)
FOUNDERS = ",".join(f"etcd-{seq}=https://10.0.0.{seq}:2380" for seq in (1, 2, 3))


class Peers:
    """What peers say, by the last digit of their addresses; others are not running."""

    def __init__(self, **kinds: str) -> None:
        self.kinds = kinds
        self.members: tuple[Member, ...] | None = MEMBERS
        self.is_ready = True

    def probe(self, url: str) -> PeerState:
        return PeerState(self.kinds.get(f"p{url.split(':')[1][-1]}", NOT_RUNNING))

    def members_or_none(self, url: str, seconds: float = 3) -> tuple[Member, ...] | None:
        return self.members

    def takes_part(self, url: str) -> bool:
        return self.is_ready


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.setattr("etcd_component.agent.paths.CONFIGURATIONS", tmp_path / "etc")
    monkeypatch.setattr("etcd_component.agent.paths.RUN", tmp_path / "run")
    monkeypatch.setattr("os.fchown", lambda *_: None)
    (tmp_path / "etc" / "etcd").mkdir(parents=True)
    data, url = tmp_path / "data", "https://10.0.0.1:2380"
    return Instance(Paths("etcd"), "etcd-1", data, data, url, url, "https://10.0.0.1:2379")


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have systemd say one state after another, the last one for ever."""
    monkeypatch.setattr(readiness, "PAUSE", 0)
    monkeypatch.setattr(systemd, "journal", lambda *_, **__: "the journal\n")
    monkeypatch.setattr(systemd, "systemctl", lambda *_: True)

    def say(*wanted: UnitState) -> None:
        left = iter(wanted)
        last = wanted[-1]
        monkeypatch.setattr(systemd, "show", lambda _: next(left, last))

    return say


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second goes by between two looks."""
    seconds: Iterator[int] = iter(range(10_000))
    time = SimpleNamespace(monotonic=lambda: float(next(seconds)), sleep=lambda _: None)
    monkeypatch.setattr(readiness, "time", time)
    monkeypatch.setattr(learner, "time", time)


def run(**options: Any) -> Any:
    return SimpleNamespace(options=SimpleNamespace(peers=FOUNDERS, **options), waits=Waits())


def await_member(instance: Instance, client: Peers, seconds: float = 5, **more: Any) -> None:
    readiness.await_member(run(), instance, client, seconds, **more)  # type: ignore[arg-type]


# ---- waiting


def test_it_waits_until_the_start_is_done_and_the_member_takes_part(
    instance: Instance, states: Callable[..., None]
) -> None:
    client = Peers()
    asked: list[str] = []

    def takes_part(url: str) -> bool:
        asked.append(url)
        return len(asked) > 1

    client.takes_part = takes_part  # type: ignore[method-assign]
    states(
        INACTIVE, replace(INACTIVE, has_job=True), STARTING, replace(ACTIVE, has_job=True), ACTIVE
    )
    await_member(instance, client)
    assert asked == [instance.client_url] * 2


def test_a_restart_that_is_queued_is_not_taken_for_done(
    instance: Instance, states: Callable[..., None]
) -> None:
    states(ACTIVE, replace(ACTIVE, has_job=True), FAILED)
    with pytest.raises(Refusal, match="it failed"):
        await_member(instance, Peers())


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (FAILED, "it failed"),
        (INACTIVE, "it stopped by itself"),
        (RETRYING, "it fails and is started again and again"),
    ],
)
def test_it_gives_up_what_cannot_come(
    instance: Instance, states: Callable[..., None], state: UnitState, reason: str
) -> None:
    states(STARTING, state)
    with pytest.raises(Refusal, match=f"etcd-1 does not become ready: {reason}. Mend"):
        await_member(instance, Peers())


@pytest.mark.parametrize(
    ("state", "limit", "reason"),
    [
        (FAILED, 3, "it failed"),
        (replace(FAILED, has_job=True), 3, ""),
        (INACTIVE, 3, "it stopped by itself"),
        (replace(INACTIVE, has_job=True), 3, ""),
        (replace(RETRYING, restarts=4), 3, ""),
        (replace(RETRYING, restarts=5), 3, "it fails and is started again and again"),
        (replace(RETRYING, restarts=4), 2, "it fails and is started again and again"),
        (ACTIVE, 3, ""),
    ],
)
def test_when_there_is_nothing_to_wait_for(state: UnitState, limit: int, reason: str) -> None:
    assert readiness.why_given_up(state, 2, limit) == reason


@pytest.mark.usefixtures("clock")
def test_it_waits_for_so_long_and_says_for_whom(
    instance: Instance, states: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    states(STARTING)
    with pytest.raises(Refusal, match="it has been waiting for a quorum for 20 s"):
        await_member(instance, Peers(p2=FORMED), 20)
    said = capsys.readouterr().out
    assert said.count("waiting for the others") == 1
    assert "etcd-3 at https://10.0.0.3:2380: not-running" in said
    assert "etcd-2" not in said


def test_the_reason_of_a_crash_comes_first(
    instance: Instance,
    states: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states(FAILED)
    monkeypatch.setattr(systemd, "journal", lambda *_, **__: '{"level":"fatal","msg":"corrupt"}')
    with pytest.raises(Refusal):
        await_member(instance, Peers(p2=FORMED))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("etcd-1 does not run: corrupt; a raised etcd_reseat")
    assert lines[1] == "  - etcd-2 at https://10.0.0.2:2380: formed"
    assert lines[3].startswith("the end of `journalctl -u etcd.service`:")


def test_one_that_was_removed_is_told_so(instance: Instance, states: Callable[..., None]) -> None:
    states(INACTIVE)
    client = Peers(p2=FORMED)
    client.members = MEMBERS[1:]
    with pytest.raises(Refusal, match="etcd-1 was removed from its cluster"):
        await_member(instance, client)


def test_whether_peers_know_it(instance: Instance) -> None:
    # One that is in no cluster has no say, and all that are in one must say so.
    client: Any = Peers(p2=FORMING)
    client.members = MEMBERS[1:]
    assert not peers.is_unknown_to_peers(client, instance, FOUNDERS)
    client = Peers(p2=FORMED, p3=FORMED)
    lists = {"https://10.0.0.2:2380": MEMBERS[1:], "https://10.0.0.3:2380": MEMBERS}
    client.members_or_none = lists.get
    assert not peers.is_unknown_to_peers(client, instance, FOUNDERS)
    client = Peers(p2=FORMED)
    assert not peers.is_unknown_to_peers(client, instance, FOUNDERS)
    client.members = None
    assert not peers.is_unknown_to_peers(client, instance, FOUNDERS)
    client.members = MEMBERS[1:]
    assert peers.is_unknown_to_peers(client, instance, FOUNDERS)
    assert not peers.is_unknown_to_peers(client, instance, "")
    moved = replace(instance, peer_url="https://10.0.0.1:9", new_peer_url="https://10.0.0.2:2380")
    assert not peers.is_unknown_to_peers(client, moved, FOUNDERS)


@pytest.mark.usefixtures("clock")
def test_whether_it_can_run_with_its_data(instance: Instance, states: Callable[..., None]) -> None:
    client: Any = Peers()
    states(STARTING, ACTIVE)
    assert readiness.takes_part_within(instance, client, 10) == ""
    client.is_ready = False
    assert readiness.takes_part_within(instance, client, 10) == "it was not ready within 10 s"
    states(replace(RETRYING, restarts=0), replace(RETRYING, restarts=2))
    assert readiness.takes_part_within(instance, client, 10) == readiness.FLAPS


# ---- founders that come later


def begin(instance: Instance, client: Any) -> bool:
    return bootstrap.await_others(run(), instance, client, FOUNDERS)


def write_log(instance: Instance, *, is_noted: bool = True) -> None:
    (instance.data / "member" / "wal").mkdir(parents=True)
    (instance.data / "member" / "wal" / "0.wal").touch()
    if is_noted:
        instance.paths.identity.write_text("1.2 3.4\n")


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("client", "line"),
    [
        (Peers(), "etcd-1: started as a founder; etcd-2, etcd-3 have not begun yet\n"),
        (Peers(p2=FORMING), "etcd-1: started as a founder; etcd-3 has not begun yet\n"),
    ],
)
def test_a_founder_does_not_wait_for_those_that_have_not_begun(
    instance: Instance,
    states: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    client: Peers,
    line: str,
) -> None:
    write_log(instance)
    states(STARTING)
    assert begin(instance, client) is False
    assert capsys.readouterr().out == line


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    "client",
    [Peers(p2=FORMING, p3=FORMING), Peers(p2=FORMED), Peers(p2=UNREACHABLE)],
)
def test_it_waits_where_all_have_begun_or_something_else_is_wrong(
    instance: Instance, states: Callable[..., None], client: Peers
) -> None:
    write_log(instance)
    states(STARTING)
    with pytest.raises(Refusal, match="waiting for a quorum"):
        begin(instance, client)


@pytest.mark.usefixtures("clock")
def test_it_waits_until_its_data_are_written(
    instance: Instance, states: Callable[..., None]
) -> None:
    """Without them, nothing may begin when the step that permits it is over."""
    states(STARTING)
    with pytest.raises(Refusal, match="waiting for a quorum"):
        begin(instance, Peers())


def test_it_gives_the_others_some_seconds_to_begin(instance: Instance) -> None:
    write_log(instance)
    client: Any = Peers()
    founder = bootstrap._Founder(run(), instance, client, FOUNDERS)
    founder.attend(2.9)
    with pytest.raises(bootstrap._OthersToComeError):
        founder.attend(3.0)


@pytest.mark.usefixtures("clock")
def test_it_waits_until_it_is_noted_that_it_has_begun(
    instance: Instance, states: Callable[..., None]
) -> None:
    """Without that, it would begin anew where its data are lost."""
    write_log(instance, is_noted=False)
    states(STARTING)
    with pytest.raises(Refusal, match="waiting for a quorum"):
        begin(instance, Peers())


def test_who_is_a_founder_that_has_begun(instance: Instance) -> None:
    path = instance.paths.membership
    path.write_text("# Read by etcd\ninitial-cluster-state: new\n")
    assert not bootstrap.has_begun(instance)
    write_log(instance)
    assert bootstrap.has_begun(instance)
    assert not bootstrap.was_joining(instance)
    path.write_text("# Read by etcd\ninitial-cluster-state: existing\n")
    assert not bootstrap.has_begun(instance)
    assert bootstrap.was_joining(instance)
    path.write_text(f"{JOINED}. ...\ninitial-cluster-state: existing\n")
    assert not bootstrap.was_joining(instance)


# ---- newcomers


@pytest.mark.usefixtures("clock")
def test_a_newcomer_says_how_much_has_come_and_is_woken_once(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    woken: list[str] = []
    monkeypatch.setattr(systemd, "restart_without_waiting", woken.append)
    session: Any = SimpleNamespace(status=lambda: SimpleNamespace(size=5 << 20))
    newcomer = learner.Newcomer(instance, session)
    newcomer.attend(2.9)
    assert not newcomer.has_reported
    (instance.data / "member" / "snap").mkdir(parents=True)
    (instance.data / "member" / "snap" / "db.tmp").write_bytes(bytes(2 << 20))
    newcomer.attend(3.0)
    newcomer.attend(5.9)
    assert capsys.readouterr().out == "etcd-1: has 2 of 5 MiB of the cluster's data\n"
    assert newcomer.has_reported
    (instance.data / "member" / "snap" / "1.snap").touch()
    newcomer.attend(5.9)
    assert woken == []
    newcomer.attend(5.9)
    newcomer.attend(5.9)
    assert woken == ["etcd.service"]


def test_one_without_a_login_says_nothing(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    newcomer = learner.Newcomer(instance, None)
    newcomer.attend(60)
    assert not newcomer.has_reported
    assert capsys.readouterr().out == ""


def test_a_promoted_member_is_awaited_until_it_knows_that_it_votes(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted: list[Any] = []
    monkeypatch.setattr(learner, "_PAUSE", 0)
    monkeypatch.setattr(membership, "change", lambda *words: promoted.append(words[3:]))
    views = iter([None, (replace(MEMBERS[0], is_learner=True),), MEMBERS, ()])
    client: Any = SimpleNamespace(metric=lambda *_: None, members_or_none=lambda _: next(views))
    session: Any = SimpleNamespace(
        waits=Waits(),
        endpoint="https://10.0.0.2:2379",
        members=lambda: MEMBERS,
        go_to_leader=lambda _: None,
        status=lambda: SimpleNamespace(index=9),
    )
    learner.promote(instance, session, client)
    assert promoted == [("promote", {"ID": "1"})]
    assert next(views) == ()


# ---- what is noted


def test_what_is_noted_of_one_that_has_taken_part(instance: Instance) -> None:
    client: Any = Peers()
    paths = instance.paths
    paths.settings.write_text("name: etcd-1\n")
    paths.bootstrapping.parent.mkdir()
    paths.bootstrapping.write_text("1\n")
    readiness.seal(instance, client)
    alone = "initial-cluster: etcd-1=https://10.0.0.1:2380\n"
    assert instance.has_joined
    assert alone in paths.configuration.read_text()
    assert not paths.bootstrapping.exists()
    assert paths.known_peers.read_text() == (
        "etcd-2=https://10.0.0.2:2380\nmember-3=https://10.0.0.3:2380\n"
    )
    before = paths.membership.stat().st_ino, paths.known_peers.stat().st_ino
    readiness.seal(instance, client)
    assert before == (paths.membership.stat().st_ino, paths.known_peers.stat().st_ino)
    moved = replace(instance, new_peer_url="https://10.0.0.1:9")
    readiness.seal(moved, client)
    assert "initial-cluster: etcd-1=https://10.0.0.1:9\n" in paths.membership.read_text()


def test_a_founder_alone_is_noted_as_one_that_has_joined(instance: Instance) -> None:
    client: Any = Peers()
    instance.paths.settings.write_text("name: etcd-1\n")
    instance.paths.membership.write_text(
        "initial-cluster-state: new\ninitial-cluster: etcd-1=https://10.0.0.1:2380\n"
    )
    readiness.seal(instance, client)
    assert instance.has_joined


def test_a_list_that_nobody_gives_changes_nothing(instance: Instance) -> None:
    client: Any = Peers()
    readiness.remember_peers(instance, client)
    before = instance.paths.known_peers.read_text()
    client.members = None
    readiness.remember_peers(instance, client)
    assert instance.paths.known_peers.read_text() == before
    client.members = MEMBERS[:1]
    readiness.remember_peers(instance, client)
    assert instance.paths.known_peers.read_text() == ""
