"""What a preview refuses by the state alone, with the decisions of the agent."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from etcd_component import previous
from etcd_component.changes.refused import foreseen
from etcd_component.model import Cluster
from etcd_component.previous import UNKNOWN, Previous
from tests.unit.exported import export, left
from tests.unit.recording import Recording, cluster, record

_RECORDED: dict[tuple[int, str], Recording] = {}


def recorded(size: int, version: str) -> Recording:
    if (size, version) not in _RECORDED:
        _RECORDED[size, version] = record(cluster(size, version=version))
    return _RECORDED[size, version]


def after(version: str, size: int = 3) -> Previous:
    return left(recorded(size, version))


def one(model: Cluster, seq: int, **changes: Any) -> Cluster:
    instances = tuple(
        dataclasses.replace(each, **changes) if each.seq == seq else each
        for each in model.instances
    )
    return dataclasses.replace(model, instances=instances)


def refused(before: Previous, wanted: Cluster) -> list[str]:
    return [str(mistake) for mistake in foreseen(before, [wanted])]


SKIPPED = "etcd goes from one minor version to the next, never over one; set etcd_version to a"


@pytest.mark.parametrize(
    ("before", "wanted", "reason"),
    [
        ("3.6.14", "3.6.14", ""),
        ("3.6.14", "3.6.16", ""),
        ("3.6.14", "3.7.1", ""),
        ("3.5.35", "3.6.14", ""),
        ("3.7.1", "3.6.14", ""),
        ("3.5.35", "3.7.1", f"etcd 3.5.35 does not become 3.7.1: {SKIPPED} release of 3.6 first"),
        ("3.7.1", "3.5.35", f"etcd 3.7.1 does not become 3.5.35: {SKIPPED} release of 3.6 first"),
        (
            "3.5.31",
            "3.6.14",
            (
                "etcd 3.5.31 does not become 3.6.14: etcd-1 runs etcd 3.5.31, and 3.6 may only"
                " follow 3.5.32 or later; set etcd_version to such a release of 3.5 first"
            ),
        ),
        ("3.5.32", "3.6.14", ""),
    ],
)
def test_versions_go_from_one_minor_to_the_next(before: str, wanted: str, reason: str) -> None:
    found = refused(after(before), cluster(3, version=wanted))
    assert found == ([f"cluster etcd: {reason}"] if reason else [])


def test_a_learner_and_a_newcomer_wait_for_a_change_of_version() -> None:
    learner = one(cluster(4), 4, learner=True)
    before = left(record(learner))
    (found,) = refused(before, one(cluster(4, version="3.7.1"), 4, learner=True))
    assert "etcd-4 is a learner" in found
    (found,) = refused(after("3.6.14"), cluster(4, version="3.7.1"))
    assert "etcd-4 would join with etcd 3.7.1, but the cluster runs 3.6.14" in found
    assert refused(after("3.6.14"), cluster(4, version="3.6.16")) == []


def test_what_was_begun_may_be_finished_or_turned_back_and_nothing_else() -> None:
    """The first of three members has been restarted with 3.6."""
    begun = json.loads(export(recorded(3, "3.6.14")))["deployment"]["resources"]
    newer = {each["urn"]: each for each in begun if "::etcd-1-rollout" in each["urn"]}
    state = json.loads(export(recorded(3, "3.5.35")))
    resources = state["deployment"]["resources"]
    state["deployment"]["resources"] = [newer.get(each["urn"], each) for each in resources]
    before = previous.parse(json.dumps(state))
    assert refused(before, cluster(3, version="3.6.14")) == []
    assert refused(before, cluster(3, version="3.5.35")) == []
    (found,) = refused(before, cluster(3, version="3.7.1"))
    assert SKIPPED in found or "a change that was not finished" in found


@pytest.mark.parametrize(
    ("size", "lost", "is_refused"),
    [(3, (3,), False), (3, (2, 3), True), (4, (4,), False), (4, (3, 4), True), (5, (4, 5), False)],
)
def test_more_lost_voters_than_the_others_can_remove_are_refused(
    size: int,
    lost: tuple[int, ...],
    is_refused: bool,
) -> None:
    wanted = cluster(size)
    for seq in lost:
        wanted = one(wanted, seq, lost=True)
    found = refused(after("3.6.14", size), wanted)
    assert bool(found) is is_refused
    assert not found or "cannot be removed as lost: of" in found[0]


def test_those_that_are_removed_already_are_not_counted() -> None:
    wanted = one(cluster(3), 3, lost=True)
    assert refused(left(record(wanted)), wanted) == []


def test_nothing_is_refused_where_nothing_is_known() -> None:
    assert refused(UNKNOWN, cluster(3, version="3.7.1")) == []
    assert refused(Previous(), cluster(3, version="3.7.1")) == []
