"""What a formed cluster is asked for by one that joins, and what forbids it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from etcd_component.agent.decide.admission import (
    Add,
    Complete,
    Keep,
    Promote,
    RemoveFormer,
    abandoned_learners,
    decide_admission,
    decide_role,
    initial_cluster,
    objection_to_removal,
    writes_only_here,
)
from etcd_component.agent.decide.joining import Observed
from etcd_component.agent.decide.verdict import Refuse
from etcd_component.agent.learner import entries_behind
from etcd_component.etcd_api.members import Member

HERE = Observed("etcd-3", "etcd", "/data/etcd", "https://c:2380")


def member(number: int, letter: str, *, started: bool = True, learner: bool = False) -> Member:
    return Member(
        number,
        f"etcd-{number}" if started else "",
        (f"https://{letter}:2380",),
        (f"https://{letter}:2379",) if started else (),
        learner,
    )


ONE, TWO, OWN = member(1, "a"), member(2, "b"), member(3, "c")
ADDED = member(3, "c", started=False, learner=True)


@pytest.mark.parametrize(
    ("seen", "own", "decision"),
    [
        (HERE, None, Add()),
        (HERE, ADDED, Complete()),
        (replace(HERE, repair=1), ADDED, Complete()),
        (replace(HERE, rejoin=1, rejoin_done=1), ADDED, Complete()),
        # It may have taken data that are lost now, and etcd counts on them under its ID.
        (replace(HERE, rejoin=1), ADDED, RemoveFormer(ADDED)),
        (replace(HERE, rejoin=1), replace(ADDED, is_learner=False), Complete()),
        (replace(HERE, rejoin=1), OWN, RemoveFormer(OWN)),
        (replace(HERE, rejoin=2, rejoin_done=1), OWN, RemoveFormer(OWN)),
        # A repair has nobody join, but one that is wanted for another reason.
        (replace(HERE, repair=1, founders="x=y"), None, Add()),
        (replace(HERE, repair=1, rejoin=1, rejoin_done=1), None, Add()),
        (replace(HERE, repair=1, has_left=True), None, Add()),
    ],
)
def test_what_is_asked_for(seen: Observed, own: Member | None, decision: object) -> None:
    assert decide_admission(seen, own) == decision


@pytest.mark.parametrize(
    ("seen", "own", "text"),
    [
        (HERE, OWN, "the cluster knows it as 3"),
        (replace(HERE, founders="x=y"), OWN, "set etcd_reseat on this host to 1 "),
        (replace(HERE, rejoin=4, rejoin_done=4), OWN, "set etcd_reseat on this host to 5 "),
        (replace(HERE, repair=1), None, "etcd_repair has nobody join"),
    ],
)
def test_what_is_refused(seen: Observed, own: Member | None, text: str) -> None:
    decision = decide_admission(seen, own)
    assert isinstance(decision, Refuse)
    assert text in decision.reason


@pytest.mark.parametrize(
    ("role", "wants_learner", "decision"),
    [
        ("voter", False, Keep()),
        ("learner", False, Promote()),
        ("unknown", False, Promote()),
        ("learner", True, Keep()),
        ("unknown", True, Keep()),
    ],
)
def test_roles(role: str, wants_learner: bool, decision: object) -> None:
    assert decide_role("etcd-3", role, wants_learner=wants_learner) == decision


def test_a_voter_becomes_no_learner() -> None:
    decision = decide_role("etcd-3", "voter", wants_learner=True)
    assert isinstance(decision, Refuse)
    assert "etcd-3 votes, and etcd makes no learner of a voter" in decision.reason


def test_only_learners_that_never_started_and_that_nobody_declares_are_abandoned() -> None:
    lost = member(4, "d", started=False, learner=True)
    running = member(5, "e", learner=True)
    voter = member(6, "f", started=False)
    members = [ONE, lost, running, voter]
    assert abandoned_learners(members, "etcd-1=https://a:2380") == [lost]
    assert abandoned_learners(members, "x=https://z:2380,etcd-4=https://d:2380") == []
    assert abandoned_learners(members, "") == []


def test_the_list_of_one_that_joins_is_the_live_one() -> None:
    unstarted = member(7, "g", started=False)
    both = replace(TWO, peer_urls=("https://b:2380", "https://b:2381"))
    assert initial_cluster([ONE, both, ADDED, unstarted], "etcd-3", ("https://c:2380",)) == (
        "etcd-1=https://a:2380,etcd-2=https://b:2380,etcd-2=https://b:2381,"
        "etcd-3=https://c:2380,unstarted-7=https://g:2380"
    )


@pytest.mark.parametrize(
    ("voters", "healthy", "may"),
    [
        (1, 0, False),
        (2, 1, False),
        (3, 1, False),
        (3, 2, True),
        (4, 2, False),
        (4, 3, True),
        (5, 2, False),
        (5, 3, True),
        (0, 0, False),
        (0, 5, False),
    ],
)
def test_the_others_must_be_able_to_spare_it(voters: int, healthy: int, may: bool) -> None:
    assert (objection_to_removal("etcd-3", voters, healthy, []) == "") is may


def test_who_is_missing_and_what_helps() -> None:
    two = objection_to_removal("etcd-2", 2, 0, ["etcd-1"])
    assert (
        "of 2 voters 2 must be healthy without it, and 0 are (not healthy: etcd-1). A clus" in two
    )
    assert "A cluster of 2 can spare nobody: restore a snapshot" in two
    three = objection_to_removal("etcd-2", 3, 1, ["etcd-1", "etcd-3"])
    assert "(not healthy: etcd-1 etcd-3). Bring the others back" in three
    assert "and 1 are. Bring" in objection_to_removal("etcd-2", 3, 1, [])
    assert "cannot be read" in objection_to_removal("etcd-2", 0, 0, [])


@pytest.mark.parametrize(
    ("own", "highest", "crash", "text"),
    [
        ("ab", 5, "tocommit(12)", ""),
        ("", 9, "", ""),
        ("ab", 10, "", "they reach entry 10, the others only 9"),
        ("cd", 5, "", "another cluster (cd; the others are ab)"),
        ("ab", 9, "entry 5 conflict with committed entry", "set back"),
    ],
)
def test_writes_that_the_others_lack(own: str, highest: int, crash: str, text: str) -> None:
    said = writes_only_here(own, "ab", highest, 9, crash)
    assert text in said
    assert bool(said) is bool(text)


@pytest.mark.parametrize(
    ("index", "applied", "behind"),
    [(100, 89.0, 11), (100, 90.0, 0), (100, None, 0), (20, 0.0, 20), (0, 0.0, 0)],
)
def test_entries_behind(index: int, applied: float | None, behind: int) -> None:
    assert entries_behind(index, applied) == behind
