"""Which attempt to become a member binds the next one."""

from __future__ import annotations

import pytest

from etcd_component.agent.decide.attempting import may_be_a_member
from etcd_component.agent.instance import Peer

ONE, TWO, THREE = (Peer(f"etcd-{seq}", f"https://10.0.0.{seq}:2380") for seq in (1, 2, 3))


@pytest.mark.parametrize(
    ("formed", "away", "voters"),
    [((), (), 1), ((), (), 3), ((), (THREE,), 3), ((), (TWO, THREE), 4)],
)
def test_what_no_quorum_can_have_formed_binds_nobody(
    formed: tuple[Peer, ...], away: tuple[Peer, ...], voters: int
) -> None:
    assert may_be_a_member(formed, away, voters) == ""


@pytest.mark.parametrize(
    ("formed", "away", "voters", "said"),
    [
        ((TWO,), (), 3, "etcd-2 at https://10.0.0.2:2380 is in a formed cluster"),
        ((TWO,), (THREE,), 3, "etcd-2 at"),
        ((), (TWO, THREE), 3, "cannot be asked: etcd-2 at https://10.0.0.2:2380, etcd-3 at"),
        ((), (ONE,), 1, "cannot be asked"),
        ((), (), 0, "not known with whom"),
    ],
)
def test_what_a_cluster_may_count_on_binds(
    formed: tuple[Peer, ...], away: tuple[Peer, ...], voters: int, said: str
) -> None:
    assert said in may_be_a_member(formed, away, voters)
