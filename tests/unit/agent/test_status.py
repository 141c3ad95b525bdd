"""What a person reads on a machine: every member, who leads, and who is away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from etcd_component.agent import describe, status
from etcd_component.agent.client import FORMED, NOT_RUNNING, UNREACHABLE, PeerState
from etcd_component.agent.decide.lifecycle import JOINED, JOINING, LOST, REMOVED
from etcd_component.agent.status import Seen
from etcd_component.agent.systemd import UnitState
from etcd_component.etcd_api.members import Member

RUNS = PeerState(FORMED)


def seen(seq: int, state: PeerState = RUNS, *, leads: bool = False, learner: bool = False) -> Seen:
    url = f"https://10.0.0.{seq}"
    member = Member(seq + 0xAB00, f"etcd-{seq}", (f"{url}:2380",), (f"{url}:2379",), learner)
    return Seen(member, state, leads)


@pytest.mark.parametrize(
    ("one", "is_own", "expected"),
    [
        (
            seen(1),
            True,
            "  etcd-1  000000000000ab01 voter   runs, this one at https://10.0.0.1:2380",
        ),
        (
            seen(2, leads=True),
            False,
            "  etcd-2  000000000000ab02 leader  runs at https://10.0.0.2:2380",
        ),
        (
            seen(3, PeerState(UNREACHABLE, "no connection"), learner=True),
            False,
            (
                "  etcd-3  000000000000ab03 learner unreachable (no connection) at"
                " https://10.0.0.3:2380"
            ),
        ),
    ],
)
def test_a_row(one: Seen, is_own: bool, expected: str) -> None:
    assert status.row(one, is_own=is_own) == expected


def test_one_that_never_started_has_no_name() -> None:
    member = Member(255, "", ("https://10.0.0.9:2380",), ())
    line = status.row(Seen(member, PeerState(NOT_RUNNING), leads=False), is_own=False)
    assert line == "  -       00000000000000ff voter   not-running at https://10.0.0.9:2380"


@pytest.mark.parametrize(
    ("members", "follows", "expected"),
    [
        (
            [seen(1, leads=True), seen(2), seen(3)],
            True,
            "3 of 3 voters up, 2 needed; etcd-1 leads",
        ),
        (
            [seen(1), seen(2, PeerState(NOT_RUNNING)), seen(3, PeerState(UNREACHABLE))],
            False,
            "1 of 3 voters up, 2 needed; nobody leads; away: etcd-2, etcd-3",
        ),
        (
            [seen(1), seen(2, PeerState(UNREACHABLE)), seen(3)],
            True,
            "2 of 3 voters up, 2 needed; one leads that does not answer here; away: etcd-2",
        ),
        (
            [seen(1, leads=True), seen(2, PeerState(NOT_RUNNING), learner=True)],
            True,
            "1 of 1 voters up, 1 needed; etcd-1 leads; away: etcd-2",
        ),
    ],
)
def test_the_quorum(members: list[Seen], follows: bool, expected: str) -> None:
    assert status.summary(members, follows=follows) == expected


def unit(active: str = "active", **more: Any) -> UnitState:
    values = {
        "sub": "running",
        "restarts": 0,
        "has_job": False,
        "main_pid": 1,
        "needs_reload": False,
        "drop_ins": (),
        "since": "today",
        "enabled": True,
    }
    return UnitState(active, **{**values, **more})


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (unit(), "etcd.service is active (running) since today"),
        (
            unit("inactive", sub="dead", enabled=False),
            "etcd.service is inactive (dead); does not start at boot",
        ),
        (
            unit(restarts=3, drop_ins=("/a", "/b")),
            (
                "etcd.service is active (running) since today, restarted 3 times by systemd;"
                " changed by /a, /b"
            ),
        ),
    ],
)
def test_the_unit(state: UnitState, expected: str) -> None:
    assert describe.unit("etcd.service", state) == expected


@pytest.mark.parametrize(
    ("stage", "state", "has_crashed", "expected"),
    [
        (JOINED, unit(), False, ""),
        (JOINED, unit("failed"), True, ""),
        (JOINED, unit("failed"), False, "`journalctl -u etcd.service` says why it is down"),
        (REMOVED, unit("failed"), False, "raise etcd_reseat on its host"),
        (LOST, unit("failed"), False, ""),
        (JOINING, unit("inactive"), False, ""),
    ],
)
def test_what_to_do(stage: str, state: UnitState, has_crashed: bool, expected: str) -> None:
    instance: Any = SimpleNamespace(paths=SimpleNamespace(unit="etcd.service"))
    found = describe.to_do(instance, stage, state, has_crashed=has_crashed)
    assert expected in found
    assert bool(found) == bool(expected)
