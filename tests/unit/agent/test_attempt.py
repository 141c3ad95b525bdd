"""Which attempt to become a member binds the next one."""

from __future__ import annotations

import pytest

from etcd_component.agent.decide.attempting import may_be_a_member
from etcd_component.agent.instance import Peer

ONE, TWO, THREE = (Peer(f"etcd-{seq}", f"https://10.0.0.{seq}:2380") for seq in (1, 2, 3))


@pytest.mark.parametrize(
    ("away", "voters", "runs"),
    [
        ((), 1, False),
        ((), 1, True),
        ((), 3, False),
        ((THREE,), 3, True),
        ((TWO, THREE), 4, True),
        ((THREE,), 4, False),
        ((THREE,), 5, False),
    ],
)
def test_what_no_quorum_can_have_formed_binds_nobody(
    away: tuple[Peer, ...], voters: int, runs: bool
) -> None:
    assert may_be_a_member((), away, voters, runs=runs) == ""


@pytest.mark.parametrize(
    ("formed", "away", "voters", "runs", "said"),
    [
        ((TWO,), (), 3, True, "etcd-2 at https://10.0.0.2:2380 is in a formed cluster"),
        ((TWO,), (THREE,), 3, True, "etcd-2 at"),
        ((), (TWO, THREE), 3, True, "cannot be asked: etcd-2 at https://10.0.0.2:2380, etcd-3 at"),
        # It has a log and does not run: with the one that is away it may be a quorum.
        ((), (THREE,), 3, False, "cannot be asked: etcd-3"),
        ((), (TWO, THREE), 4, False, "cannot be asked"),
        ((), (TWO, THREE), 5, False, "cannot be asked"),
        ((), (), 0, True, "not known with whom"),
    ],
)
def test_what_a_cluster_may_count_on_binds(
    formed: tuple[Peer, ...], away: tuple[Peer, ...], voters: int, runs: bool, said: str
) -> None:
    assert said in may_be_a_member(formed, away, voters, runs=runs)
