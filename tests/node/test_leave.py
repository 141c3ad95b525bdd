"""Giving up a seat, and what must not be lost by it."""

from __future__ import annotations

import pytest

from lab import Lab
from tests.node.conftest import Cluster
from tests.node.members import HURRY, Members, eventually, in_parallel


def has_data(members: Members, seq: int) -> bool:
    return bool(members.shell(seq, "ls /data/etcd/member/wal", check=False))


def test_two_leave_at_once_of_five(cluster: Cluster) -> None:
    five = cluster(5).found(access=True)
    five.make_leader(5)
    said = in_parallel(five.leave, [4, 5])

    assert "etcd-4: removed from the cluster" in said[0].stdout
    assert "etcd-5: removed from the cluster" in said[1].stdout
    assert "etcd-5: handed the leadership over" in said[1].stdout
    assert five.roles() == {"etcd-1": "voter", "etcd-2": "voter", "etcd-3": "voter"}
    for seq in (4, 5):
        assert not five.is_active(seq)
        assert five.shell(seq, "systemctl is-enabled etcd", check=False) == "disabled"
        # They belong to `uninstall`.
        assert has_data(five, seq)
    assert "has no seat" in five.leave(5).stdout

    # A member that is down leaves as well, through those that it knew.
    five.stop(3)
    assert "etcd-3: removed from the cluster" in five.leave(3).stdout
    assert five.roles() == {"etcd-1": "voter", "etcd-2": "voter"}


def test_a_learner_leaves(cluster: Cluster) -> None:
    two = cluster(2, learners=frozenset({2})).found([1], access=True)
    two.join(2, founders=[1])

    assert "removed" in two.leave(2).stdout
    assert two.roles() == {"etcd-1": "voter"}
    assert not two.is_active(2)


def test_the_last_member_does_not_leave(cluster: Cluster) -> None:
    """Only a replaced or targeted resource demands that; a destroy takes a cluster as a whole."""
    two = cluster(2).found()
    assert "removed" in two.leave(2).stdout
    assert two.roles() == {"etcd-1": "voter"}

    # It knows that nobody else is there, although there was.
    refused = two.leave(1, check=False)
    assert refused.returncode == 1
    assert "it is the only member" in refused.stderr
    assert two.is_active(1)
    assert has_data(two, 1)
    two.stop(1)
    assert "it is the only member" in two.leave(1, check=False).stderr
    assert has_data(two, 1)


def test_the_only_voter_does_not_leave_its_learner(cluster: Cluster) -> None:
    two = cluster(2, learners=frozenset({2}), waits=HURRY).found([1])
    two.join(2, founders=[1])
    refused = two.leave(1, check=False)

    assert refused.returncode == 1
    assert "cannot leave" in refused.stderr
    assert two.is_active(1)


def test_leaving_is_refused_when_the_rest_would_lose_its_quorum(three: Members) -> None:
    three.waits = HURRY
    three.stop(2)
    refused = three.leave(3, check=False)

    assert refused.returncode == 1
    assert (
        "of the 2 voters that stay, 2 must be well, and 1 are (not well: etcd-2)" in refused.stderr
    )
    assert "Nothing was removed" in refused.stderr
    assert three.is_active(3)
    assert has_data(three, 3)
    assert set(three.roles()) == {"etcd-1", "etcd-2", "etcd-3"}


@pytest.mark.parametrize("runs", [True, False])
def test_one_that_reaches_nobody_does_not_leave(three: Members, lab: Lab, runs: bool) -> None:
    """It must not be taken for the last member."""
    three.waits = HURRY
    if not runs:
        three.stop(3)
    lab.cut(12, peers=True)
    refused = three.leave(3, check=False)
    lab.heal(12)

    assert refused.returncode == 1
    assert "no other member answers" in refused.stderr or "no member lets root in" in refused.stderr
    assert three.is_active(3) is runs
    assert has_data(three, 3)
    assert set(three.roles()) == {"etcd-1", "etcd-2", "etcd-3"}


def test_a_leave_that_was_interrupted_is_completed(cluster: Cluster) -> None:
    three = cluster(3).found()
    three.shell(1, "sleep 5.2")
    three.call(1, "cluster/member/remove", {"ID": three.member_id(3)})
    eventually("the removed member stops", lambda: not three.is_active(3))

    assert "does not know this member any more" in three.leave(3).stdout
    assert three.shell(3, "systemctl is-enabled etcd", check=False) == "disabled"
    assert three.roles() == {"etcd-1": "voter", "etcd-2": "voter"}
