"""Who may go: a member that leaves, and one whose machine is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from etcd_component.agent import leave as leave_command
from etcd_component.agent.client import PeerState
from etcd_component.agent.decide.leaving import (
    Ask,
    Observed,
    Remove,
    Stop,
    Surroundings,
    how_to_leave,
    leave,
    remove_lost,
)
from etcd_component.agent.decide.verdict import Refuse
from etcd_component.agent.instance import Instance
from etcd_component.etcd_api.errors import ConnectionRefused
from etcd_component.etcd_api.members import Member
from tests.unit.agent.fake_etcd import member
from tests.unit.agent.fake_machine import Machine, machine

__all__ = ["machine"]

ALONE = Surroundings(
    name="etcd-1",
    voters=(),
    learners_only=False,
    peers=(),
    has_joined=True,
    answers=True,
    peers_noted=True,
    peers_file="/etc/etcd/etcd/peers",
    unit="etcd.service",
)


def test_the_others_are_asked_where_some_are_known() -> None:
    urls = ("https://m2:2379", "https://m3:2379")
    everything = replace(ALONE, voters=urls, learners_only=True, peers=("x",), answers=False)
    assert how_to_leave(everything) == Ask(urls)


def test_the_only_voter_does_not_leave_its_learners() -> None:
    found = how_to_leave(replace(ALONE, learners_only=True, peers=("x",)))
    assert isinstance(found, Refuse)
    assert "it is the only voter" in found.reason


def test_nobody_leaves_whose_others_do_not_answer() -> None:
    line = "  - etcd-2 at https://m2:2380: not-running"
    found = how_to_leave(replace(ALONE, peers=(line,)))
    assert isinstance(found, Refuse)
    assert "no other member answers" in found.reason
    assert line in found.reason


@pytest.mark.parametrize(
    ("changes", "why_not"),
    [
        ({}, "it is the only member"),
        ({"answers": False}, "it is the only member"),
        ({"peers_noted": False}, "it is the only member"),
        (
            {"answers": False, "peers_noted": False},
            "/etc/etcd/etcd/peers, where the other members are noted, is missing",
        ),
    ],
)
def test_the_only_member_does_not_leave(changes: dict[str, bool], why_not: str) -> None:
    found = how_to_leave(replace(ALONE, **changes))  # type: ignore[arg-type]
    assert isinstance(found, Refuse)
    assert why_not in found.reason


@pytest.mark.parametrize("answers", [True, False])
def test_one_that_never_joined_stops(answers: bool) -> None:
    """Nobody counts on it."""
    found = how_to_leave(replace(ALONE, has_joined=False, answers=answers, peers_noted=False))
    assert found == Stop()


def observed(healthy: int, ill: int, learners: int = 0) -> list[Observed]:
    """So many other members; the numbers begin with 2."""
    voters = [Observed(member(2 + number), number < healthy) for number in range(healthy + ill)]
    first = 2 + healthy + ill
    return voters + [
        Observed(member(number, learner=True), healthy=True)
        for number in range(first, first + learners)
    ]


@pytest.mark.parametrize(
    ("healthy", "ill", "allowed"),
    [
        (1, 0, True),
        (0, 1, False),
        (2, 0, True),
        (1, 1, False),
        (3, 0, True),
        (2, 1, True),
        (1, 2, False),
        (3, 1, True),
        (2, 2, False),
        (3, 2, True),
        (2, 3, False),
    ],
)
@pytest.mark.parametrize("learners", [0, 2])
def test_a_voter_leaves_when_those_that_stay_have_a_quorum(
    healthy: int, ill: int, allowed: bool, learners: int
) -> None:
    found = leave(member(1), observed(healthy, ill, learners))
    assert isinstance(found, Remove if allowed else Refuse)


def test_the_only_voter_does_not_leave() -> None:
    assert leave(member(1), observed(0, 0, learners=2)) == Refuse("it is the only voter")


def test_a_learner_may_always_leave() -> None:
    assert leave(member(1, learner=True), observed(0, 2)) == Remove()


def test_who_is_not_healthy_is_named() -> None:
    others = [
        Observed(member(2), healthy=True),
        Observed(member(3), healthy=False),
        Observed(member(4, started=False), healthy=False),
    ]
    assert leave(member(1), others) == Refuse(
        "of the 3 voters that stay, 2 must be well, and 1 are (not well: etcd-3 4 (never started))"
    )


@pytest.mark.parametrize(
    ("healthy", "ill", "allowed"),
    [
        # A cluster of one or two can spare nobody.
        (0, 0, False),
        (1, 0, False),
        (2, 0, True),
        (1, 1, False),
        # Of four, three must agree.
        (3, 0, True),
        (2, 1, False),
        (4, 0, True),
        (3, 1, True),
        (2, 2, False),
        (4, 1, True),
        (3, 2, False),
    ],
)
@pytest.mark.parametrize("learners", [0, 2])
def test_a_lost_voter_is_removed_when_a_quorum_with_it_is_healthy(
    healthy: int, ill: int, allowed: bool, learners: int
) -> None:
    found = remove_lost(member(1), observed(healthy, ill, learners))
    assert isinstance(found, Remove if allowed else Refuse)


@pytest.mark.parametrize(
    ("healthy", "ill", "allowed"), [(1, 0, True), (1, 1, False), (2, 1, True), (2, 2, False)]
)
def test_a_lost_learner_never_counted(healthy: int, ill: int, allowed: bool) -> None:
    found = remove_lost(member(1, learner=True), observed(healthy, ill))
    assert isinstance(found, Remove if allowed else Refuse)


def test_how_many_are_missing_is_said() -> None:
    assert remove_lost(member(1), observed(1, 2)) == Refuse("of 4 voters 3 must be well, and 1 are")


# ---- one that leaves before it was noted that it has joined


THREE = tuple(member(number) for number in (1, 2, 3))
WAITING = (THREE[0], *(replace(one, client_urls=()) for one in THREE[1:]))
FOUNDERS = ",".join(f"etcd-{one.id}={one.peer_url}" for one in THREE)


class Others:
    """What the peer ports say, by the number of the member; the others are not running."""

    def __init__(self, lists: dict[int, tuple[Member, ...]]) -> None:
        self._lists = {THREE[number - 1].peer_url: found for number, found in lists.items()}

    def members(self, url: str, seconds: float | None = None) -> tuple[Member, ...]:
        if url not in self._lists:
            raise ConnectionRefused("connection refused")
        return self._lists[url]

    def members_or_none(self, url: str, seconds: float = 3) -> tuple[Member, ...] | None:
        return self._lists.get(url)

    def probe(self, url: str) -> PeerState:
        return PeerState("not-running")


@pytest.mark.parametrize(
    ("state", "lists", "decision"),
    [
        # It waits for founders that never began, and will count on it when they do.
        ("new", {1: WAITING}, Refuse),
        ("new", {}, Refuse),
        # They formed the cluster with it, or without it.
        ("new", {1: THREE}, Ask),
        ("new", {2: THREE}, Ask),
        ("new", {1: WAITING, 3: THREE}, Ask),
        # It was being added to a cluster that was formed.
        ("existing", {2: THREE}, Ask),
        ("existing", {}, Refuse),
    ],
)
def test_one_that_is_on_its_way_in_asks_those_it_was_on_its_way_to(
    machine: Machine,
    state: str,
    lists: dict[int, tuple[Member, ...]],
    decision: type,
) -> None:
    machine.configure(f"initial-cluster-state: {state}\ninitial-cluster: {FOUNDERS}\n")
    url = THREE[0].peer_url
    instance = replace(Instance.load(machine.paths), peer_url=url, new_peer_url=url)
    others: Any = Others(lists)
    assert isinstance(how_to_leave(leave_command._look_around(others, instance)), decision)
