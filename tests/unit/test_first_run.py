"""A first run with a mistake in it: what of it binds, and what the next run does about it."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from etcd_component import contact, previous
from etcd_component.agent import bootstrap
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


BEGUN = "etcd-3: started as a founder; etcd-1 has not begun yet [etcd-node join done]"


def test_who_has_joined_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    found = corrected(monkeypatch, MISTAKEN)
    assert found.stash("etcd-3-place").ignore_changes == ("input",)
    assert found.stash("etcd-genesis").ignore_changes == ("input",)
    assert not any(name.endswith("-former") for name in found.commands)


def test_one_that_did_not_come_to_a_formed_cluster_can_be_corrected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = corrected(monkeypatch, ELSEWHERE, "-3-member")
    assert found.stash("etcd-3-place").ignore_changes == ()
    assert found.stash("etcd-2-place").ignore_changes == ("input",)
    assert found.stash("etcd-genesis").ignore_changes == ("input",)
    # The cluster lists it where it was expected; only when that is over, its machine is cleaned.
    former = found.command("etcd-3-former")
    assert "--lost etcd-3=https://10.10.10.12:2380" in former.inputs["create"]
    assert former.parent == "etcd-1"
    assert "etcd-3-former" in found.command("etcd-3-node").depends_on
    assert "etcd-3-former" in found.command("etcd-3-member").depends_on


def test_a_founder_that_did_not_come_can_have_another_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = corrected(monkeypatch, with_third(seq=4), "-3-member")
    assert "etcd-3-former" in found.command("etcd-4-member").depends_on


def test_a_newcomer_of_which_another_machine_was_tried_can_be_corrected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = left(record(with_third(seq=4)), without="-4-member")
    genesis = {"output": ["token", "etcd-1=https://10.10.10.10:2380"]}
    outputs = {**state.outputs, (previous.STASH, "etcd-genesis"): genesis}
    state = dataclasses.replace(state, outputs=outputs)
    monkeypatch.setattr(previous, "found", lambda: state)
    found = record(with_third(seq=4, node=node("10.10.10.99")))
    former = found.command("etcd-4-former")
    assert "--lost etcd-4=https://10.10.10.12:2380" in former.inputs["create"]


def test_a_founder_that_only_began_is_no_member_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    before = record(MISTAKEN)
    state = left(
        before,
        without=lambda one: one.name.endswith(("-1-member", "-2-member", *of_all("rollout"))),
        stdout={"etcd-3-member": BEGUN},
    )
    assert state.instances["etcd-3"].begun
    assert not state.formed("etcd")
    monkeypatch.setattr(previous, "found", lambda: state)
    found = record(ELSEWHERE)
    assert found.stash("etcd-3-place").ignore_changes == ()
    assert "etcd-3=https://10.10.10.99:2380" in founders(found)
    # It may begin anew, with the founders of today.
    assert "--founders etcd-1=" in found.command("etcd-3-member").inputs["update"]
    assert "--founders" not in found.command("etcd-1-member").inputs["update"]
    # A run that was cut off may have recorded what is correct now, so it is not compared.
    assert "--founders" in record(MISTAKEN).command("etcd-3-member").inputs["update"]


def test_a_founder_that_began_before_the_others_is_a_member_when_it_is_rolled_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it said when it began stays in the state for ever."""
    state = left(record(MISTAKEN), stdout={"etcd-1-member": BEGUN})
    assert state.instances["etcd-1"].joined
    assert not state.instances["etcd-1"].begun
    monkeypatch.setattr(previous, "found", lambda: state)
    found = record(dataclasses.replace(MISTAKEN, instances=MISTAKEN.instances[1:]))
    assert not any(name.endswith("-former") for name in found.commands)


def test_what_a_node_says_of_a_founder_that_waits_is_known_as_that() -> None:
    assert contact.only_began(f"starting\n{BEGUN}\n")
    several = BEGUN.replace("etcd-1 has", "etcd-1, etcd-2 have")
    assert contact.only_began(several)
    assert not contact.only_began("etcd-3: runs, voter [etcd-node join done]")
    assert not contact.only_began(BEGUN.replace("join", "leave"))
    source = inspect.getsource(bootstrap.await_others)
    assert "started as a founder;" in source
    assert "not begun" in source


def test_one_that_is_lost_before_there_is_a_cluster_is_nobody_s_to_remove(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = with_third(lost=True)
    assert "etcd-3-lost" not in corrected(monkeypatch, lost, *of_all("member")).commands
    assert "etcd-3-lost" in corrected(monkeypatch, lost, "-3-member").commands
