"""Whom a machine belongs to: every row of the tables."""

from __future__ import annotations

import pytest

from etcd_component.agent.decide.claiming import (
    Free,
    Held,
    Neighbour,
    Occupant,
    Occupied,
    Ours,
    authorization,
    conflicts,
    foreign_data,
    holding,
)
from etcd_component.agent.decide.verdict import LeaveAlone, Proceed, Refuse, Verdict

MINE, OTHER = "mine", "other"
HERE = Held("etcd", "etcd-1", MINE)
LOST = Held("etcd", "etcd-1")
"""The claim is lost, the configuration is there."""
NOTHING = Held("etcd")

DESCRIBED = [
    (NOTHING, MINE, "holds no instance of cluster etcd"),
    (LOST, MINE, "holds etcd-1 of cluster etcd, which no stack has claimed"),
    (HERE, OTHER, "holds etcd-1 of another stack's cluster etcd"),
    (HERE, MINE, "holds etcd-1 of cluster etcd"),
    (HERE, "", "holds etcd-1 of cluster etcd"),
]


@pytest.mark.parametrize(("held", "owner", "words"), DESCRIBED)
def test_a_machine_says_what_it_holds(held: Held, owner: str, words: str) -> None:
    assert held.described(owner) == words


def verdict(held: Held, instance: str, owner: str, **more: bool) -> Verdict:
    return authorization(held, instance, owner, **{"removes": False, **more})


PROCEEDS = [
    (HERE, "etcd-1", MINE),
    # A user of the cluster is meant, and no instance.
    (HERE, "", MINE),
    # A person.
    (HERE, "etcd-1", ""),
    (HERE, "", ""),
    (NOTHING, "", ""),
    (LOST, "etcd-1", ""),
]


@pytest.mark.parametrize(("held", "instance", "owner"), PROCEEDS)
@pytest.mark.parametrize("removes", [True, False])
def test_what_is_here_may_be_touched(
    held: Held, instance: str, owner: str, *, removes: bool
) -> None:
    assert verdict(held, instance, owner, removes=removes) == Proceed()


REFUSED = [
    (HERE, "etcd-9", MINE, "holds etcd-1 of cluster etcd, not etcd-9", "put etcd_seq"),
    (HERE, "etcd-9", "", "holds etcd-1 of cluster etcd, not etcd-9", "put etcd_seq"),
    (HERE, "etcd-1", OTHER, "of another stack's cluster etcd, not etcd-1", "use the stack that"),
    (HERE, "", OTHER, "of another stack's cluster etcd, not one of this stack", "use the stack"),
    (LOST, "etcd-1", MINE, "no stack has claimed, not etcd-1", "etcd_repair on the host of etcd-1"),
    (
        LOST,
        "",
        MINE,
        "no stack has claimed, not one of this stack",
        "raise etcd_repair on its host",
    ),
    (NOTHING, "etcd-1", MINE, "no instance of cluster etcd, not etcd-1", "raise etcd_repair"),
    (NOTHING, "etcd-1", "", "no instance of cluster etcd, not etcd-1", "raise etcd_repair"),
]


@pytest.mark.parametrize(("held", "instance", "owner", "problem", "cure"), REFUSED)
def test_what_changes_refuses_anything_else(
    held: Held, instance: str, owner: str, problem: str, cure: str
) -> None:
    found = verdict(held, instance, owner)
    assert isinstance(found, Refuse)
    assert f"{problem}; no changes were made. Cure: " in found.reason
    assert cure in found.reason.partition("Cure: ")[2]


@pytest.mark.parametrize(
    ("held", "instance", "owner", "words"),
    [
        (
            HERE,
            "etcd-9",
            MINE,
            "etcd-9 is not on this machine, which holds etcd-1 of cluster etcd.",
        ),
        (HERE, "etcd-1", OTHER, "which holds etcd-1 of another stack's cluster etcd."),
        (HERE, "", OTHER, "etcd is not on this machine"),
        (LOST, "etcd-1", MINE, "which no stack has claimed."),
        (NOTHING, "etcd-1", MINE, "which holds no instance of cluster etcd."),
    ],
)
def test_what_removes_leaves_anything_else_alone(
    held: Held, instance: str, owner: str, words: str
) -> None:
    found = verdict(held, instance, owner, removes=True)
    assert isinstance(found, LeaveAlone)
    assert words in found.reason
    assert found.reason.endswith(" Nothing was removed")


def test_a_person_who_removes_another_instance_is_refused() -> None:
    assert isinstance(verdict(HERE, "etcd-9", "", removes=True), Refuse)


def test_only_where_nothing_is_held_an_uninstall_may_finish() -> None:
    assert verdict(NOTHING, "etcd-1", MINE, removes=True, may_finish=True) == Proceed()
    for held in (HERE, LOST):
        found = verdict(held, "etcd-9", MINE, removes=True, may_finish=True)
        assert isinstance(found, LeaveAlone)


# ---- claiming

NEVER = Occupant(never_joined=True)
REMOVED = Occupant(removed=True)
RUNS = Occupant(takes_part=True)
UNKNOWN = Occupant()


@pytest.mark.parametrize("occupant", [NEVER, REMOVED, RUNS, UNKNOWN])
def test_an_empty_machine_is_free_and_the_same_instance_finds_itself(occupant: Occupant) -> None:
    for owner in (MINE, ""):
        assert holding(NOTHING, "etcd-1", owner, occupant) == Free()
        assert holding(HERE, "etcd-1", owner, occupant) == Ours()
        assert holding(LOST, "etcd-1", owner, occupant) == Ours()


@pytest.mark.parametrize("name", ["etcd-1", "etcd-2"])
@pytest.mark.parametrize("occupant", [NEVER, REMOVED, RUNS, UNKNOWN])
def test_another_stack_keeps_its_machine(name: str, occupant: Occupant) -> None:
    found = holding(HERE, name, OTHER, occupant)
    assert isinstance(found, Occupied)
    assert found.finding.problem == ("etcd-1 was put here by another stack (or its state was lost)")
    assert "uninstall --cluster etcd --name etcd-1 --remove-data --yes`" in found.finding.cure


@pytest.mark.parametrize("held", [HERE, LOST])
def test_another_number_gets_a_machine_that_nobody_misses(held: Held) -> None:
    assert holding(held, "etcd-2", MINE, NEVER) == Free("claimed")
    assert holding(held, "etcd-2", MINE, REMOVED) == Free("removed")


@pytest.mark.parametrize(
    ("owner", "occupant", "uninstalls"),
    [
        (MINE, RUNS, False),
        (MINE, UNKNOWN, True),
        ("", NEVER, True),
        ("", REMOVED, True),
        ("", RUNS, False),
    ],
)
def test_a_member_keeps_its_machine(owner: str, occupant: Occupant, *, uninstalls: bool) -> None:
    found = holding(HERE, "etcd-2", owner, occupant)
    assert isinstance(found, Occupied)
    assert found.finding.problem == "this machine holds etcd-1 of cluster etcd, not etcd-2"
    assert found.finding.cure.startswith("put etcd_seq of its host back; to replace etcd-1, ")
    # A member that takes part must leave, and not be torn out.
    assert ("uninstall" in found.finding.cure) == uninstalls


# ---- neighbours and foreign data

NEIGHBOUR = Neighbour("other", "other-1", (2379, 2480), "/data/etcd")


@pytest.mark.parametrize(
    ("ports", "real", "problems"),
    [
        ((2579, 2580), "/srv/etcd", []),
        ((2579, 2580), "/data/etcd2", []),
        ((2379, 2580), "/srv/etcd", ["the port 2379 is claimed by other-1 of cluster other"]),
        ((2480, 2379), "/srv/etcd", ["the port 2379", "the port 2480"]),
        ((2579, 2580), "/data/etcd", ["is /data/etcd, which cannot be shared with /given"]),
        ((2579, 2580), "/data/etcd/sub", ["which cannot be shared"]),
        ((2579, 2580), "/data", ["which cannot be shared"]),
    ],
)
def test_what_a_neighbour_has_nobody_else_has(
    ports: tuple[int, int], real: str, problems: list[str]
) -> None:
    found = conflicts(NEIGHBOUR, ports, "/given", real)
    assert len(found) == len(problems)
    for one, words in zip(found, problems, strict=True):
        assert words in one.problem


def test_a_claim_without_a_real_directory_says_nothing_of_any() -> None:
    assert conflicts(Neighbour("other", "other-1", (1, 2), ""), (3, 4), "/data", "/data") == []


WHOSE = {"cluster": "etcd", "name": "etcd-3", "owner": MINE}


@pytest.mark.parametrize(
    ("mark", "has_member", "owner", "problem"),
    [
        ({}, True, MINE, "/r is not empty and not this instance's"),
        (WHOSE, False, MINE, "/r is not empty and not this instance's"),
        (WHOSE, True, MINE, "/r holds the data of etcd-3 of cluster etcd"),
        (WHOSE, True, "", "/r holds the data of etcd-3 of cluster etcd"),
        (
            WHOSE,
            True,
            OTHER,
            "/r holds the data of etcd-3 of cluster etcd of another stack",
        ),
        (
            {**WHOSE, "left": "2026-01-01"},
            True,
            MINE,
            "/r holds the data of etcd-3 of cluster etcd, which has left it",
        ),
    ],
)
def test_foreign_data_are_called_by_their_name(
    mark: dict[str, str], problem: str, owner: str, *, has_member: bool
) -> None:
    found = foreign_data(mark, has_member=has_member, real="/r", owner=owner)
    assert found.problem.replace(" (or one that was destroyed)", "") == problem
