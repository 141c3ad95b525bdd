"""A first run with a mistake in it: what of it binds, and what the next run does about it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from etcd_component import previous
from etcd_component.model import Cluster
from tests.unit.exported import left
from tests.unit.recording import Recording, cluster, node, record

MISTAKEN = cluster(3, safeguard=True)


def with_third(model: Cluster = MISTAKEN, **changes: Any) -> Cluster:
    *others, third = model.instances
    return dataclasses.replace(model, instances=(*others, dataclasses.replace(third, **changes)))


def corrected(
    monkeypatch: pytest.MonkeyPatch, model: Cluster, *missing: str, before: Cluster = MISTAKEN
) -> Recording:
    """What is registered after a run that left all but Commands whose names end like these."""
    state = left(record(before), without=lambda one: one.name.endswith(missing))
    monkeypatch.setattr(previous, "found", lambda: state)
    return record(model)


def of_all(step: str) -> tuple[str, ...]:
    return tuple(f"-{seq}-{step}" for seq in (1, 2, 3))


def founders(found: Recording) -> list[str]:
    return list(found.stash("etcd-genesis").inputs["input"][1:])


ELSEWHERE = with_third(node=node("10.10.10.99"))


def test_an_address_can_be_corrected_until_the_cluster_is_formed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = corrected(monkeypatch, ELSEWHERE, *of_all("member"), *of_all("rollout"))
    place, machine = found.stash("etcd-3-place"), found.command("etcd-3-node")
    assert place.ignore_changes == ()
    # The former machine is uninstalled, and then this one claimed: with all that a new one needs.
    assert machine.inputs["triggers"] == ["10.10.10.99"]
    assert machine.delete_before_replace
    assert machine.ignore_changes == ()
    assert found.command("etcd-2-node").ignore_changes == ("create",)
    # What is protected is not replaced.
    genesis = found.stash("etcd-genesis")
    assert genesis.ignore_changes == ()
    assert not genesis.protect
    assert "etcd-3=https://10.10.10.99:2380" in founders(found)
    (directory,) = (
        one for (kind, name), one in found.resources.items() if name.startswith("etcd-3: ")
    )
    assert "etcd-3: /data/etcd on 10.10.10.12, deleted with it" in directory.aliases


@pytest.mark.parametrize(
    "changes", [{"peer_port": 3380}, {"seq": 4}, {"learner": True}], ids=lambda one: next(iter(one))
)
def test_all_that_makes_a_founder_can_be_corrected(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    found = corrected(monkeypatch, with_third(**changes), *of_all("member"))
    assert found.stash("etcd-genesis").ignore_changes == ()
    assert "etcd-3=https://10.10.10.12:2380" not in founders(found)


def test_what_is_not_wrong_is_not_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    found = corrected(monkeypatch, MISTAKEN, *of_all("member"))
    assert found.stash("etcd-genesis").ignore_changes == ("input",)
    assert found.stash("etcd-genesis").protect
    assert found.command("etcd-3-node").ignore_changes == ("create",)


@pytest.mark.parametrize("missing", [(), ("-3-member",), ("-2-member", "-3-member")])
def test_a_formed_cluster_binds_whoever_was_contacted(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    found = corrected(monkeypatch, MISTAKEN, *missing)
    assert found.stash("etcd-3-place").ignore_changes == ("input",)
    assert found.stash("etcd-genesis").ignore_changes == ("input",)
    assert found.command("etcd-3-node").ignore_changes == ("create",)


def test_a_newcomer_that_was_never_contacted_can_be_corrected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = corrected(monkeypatch, ELSEWHERE, "-3-member", "-3-node")
    assert found.stash("etcd-3-place").ignore_changes == ()
    assert found.stash("etcd-genesis").ignore_changes == ("input",)


def test_one_that_is_lost_before_there_is_a_cluster_is_nobody_s_to_remove(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = with_third(lost=True)
    assert "etcd-3-lost" not in corrected(monkeypatch, lost, *of_all("member")).commands
    assert "etcd-3-lost" in corrected(monkeypatch, lost, "-3-member").commands
