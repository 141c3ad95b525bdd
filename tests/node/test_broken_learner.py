"""What is broken must not hold up its own cure: learners, lost members, quotas, certificates."""

from __future__ import annotations

from tests.node.conftest import Cluster
from tests.node.members import HURRY, Members, credentials, eventually
from tests.node.test_rollout import change


def ghost(members: Members, seq: int) -> None:
    """Add a learner that never starts."""
    add(members, members.instance(seq).peer_url)


def add(members: Members, peer_url: str) -> None:
    """Have etcd take a learner, which it does when its voters have known each other for a while."""
    learner = {"peerURLs": [peer_url], "isLearner": True}
    eventually(
        "the learner is added",
        lambda: "member" in members.call(1, "cluster/member/add", learner, members.token(1)),
    )


def test_a_learner_that_never_started_holds_up_no_update(cluster: Cluster) -> None:
    four = cluster(4, waits=HURRY).found([1, 2, 3], access=True)
    ghost(four, 4)
    before = four.pids()
    for seq in (1, 2, 3):
        four.options = {"snapshot-count": 9999}
        four.put_config(seq)
        done = four.rollout(seq)
        assert "restarted" in done.stdout
        if seq == 1:
            # Every declared member has its seat when a rollout begins, so it is nobody's.
            assert "a learner that never started" in done.stdout
            assert "is removed" in done.stdout
    assert all(one != two for one, two in zip(before[:3], four.pids()[:3], strict=True))
    assert set(four.roles().values()) == {"voter"}
    # And its number joins as if nothing had been, also beside one that nobody declares.
    add(four, "https://10.99.99.99:2380")
    assert "joined the cluster" in four.join(4).stdout


def test_a_learner_that_is_down_holds_up_no_update_and_leaves(cluster: Cluster) -> None:
    four = cluster(4, learners=frozenset({4}), waits=HURRY).found([1, 2, 3], access=True)
    four.join(4)
    four.stop(4)
    change(four)
    four.stop(4)
    for seq in (1, 2, 3):
        done = four.rollout(seq)
        assert "restarted" in done.stdout
        assert "warning: etcd-" in done.stdout
        assert "etcd-4 at https://" in done.stdout
    four.shell(4, "systemctl disable -q etcd; rm -rf /data/etcd/member")
    assert "removed from the cluster" in four.leave(4).stdout
    assert len(four.roles()) == 3


def test_a_voter_that_is_down_still_holds_up_an_update(cluster: Cluster) -> None:
    three = cluster(3, waits=HURRY).found(access=True)
    change(three)
    three.stop(3)
    before = three.pid(1)
    refused = three.rollout(1, check=False)
    assert "the cluster could lose its quorum: etcd-3 at" in refused.stderr
    assert three.pid(1) == before
    # Its own removal is the cure, and nothing holds that up.
    assert "removed from the cluster" in three.leave(3).stdout
    assert "restarted" in three.rollout(1).stdout


def test_a_machine_is_not_added_in_the_middle_of_a_change_of_version(cluster: Cluster) -> None:
    """A downgrade stopped after one of three; then a machine is lost and replaced."""
    four = cluster(4, version="3.7.3").found([1, 2, 3], access=True)
    four.version = "3.6.16"
    for seq in (1, 2, 3):
        four.put_binary(seq)
        four.put_config(seq)
    four.rollout(1)
    four.wipe(3)
    four.shell(3, "systemctl disable -q etcd")
    lost = f"etcd-3={four.instance(3).peer_url}"
    four.run(1, "remove-member", "--lost", lost, stdin=credentials())
    four.prepare(4)
    for version, named in (("3.6.16", "etcd-2 3.7.3"), ("3.7.3", "etcd-1 3.6.16")):
        four.version = version
        four.put_binary(4)
        refused = four.join(4, check=False)
        assert refused.returncode == 1
        assert "the members run different minor versions" in refused.stderr
        assert named in refused.stderr
        assert len(four.roles()) == 2
    # The cure that it names.
    four.version = "3.6.16"
    four.put_binary(4)
    assert "restarted" in four.rollout(2).stdout
    assert "joined the cluster" in four.join(4).stdout
    assert {four.status(seq)["version"] for seq in (1, 2, 4)} == {"3.6.16"}


def test_a_learner_that_never_started_holds_up_no_way_back(cluster: Cluster) -> None:
    """The same, as it was left by somebody else: the learner was added, and cannot run."""
    three = cluster(3, version="3.7.3").found([1, 2], access=True)
    three.version = "3.6.16"
    for seq in (1, 2):
        three.put_binary(seq)
        three.put_config(seq)
    three.rollout(1)
    ghost(three, 3)
    three.put_binary(2)
    assert "restarted" in three.rollout(2).stdout
    eventually(
        "both run 3.6", lambda: {three.status(one)["version"] for one in (1, 2)} == {"3.6.16"}
    )
    assert set(three.roles().values()) == {"voter"}


# ---- other circles


def test_an_alarm_for_space_does_not_hold_up_a_larger_quota(cluster: Cluster) -> None:
    three = cluster(3, waits=HURRY).found(access=True)
    alarm = {"action": "ACTIVATE", "memberID": three.member_id(2), "alarm": "NOSPACE"}
    three.call(1, "maintenance/alarm", alarm, three.token(1))
    change(three)
    assert three.rollout(1, check=False).returncode == 1
    three.change(quota_backend_bytes=16 * 1024**3)
    for seq in three.everyone:
        assert "restarted" in three.rollout(seq).stdout


def test_an_alarm_for_corruption_does_not_hold_up_who_is_replaced(cluster: Cluster) -> None:
    three = cluster(3, waits=HURRY).found(access=True)
    alarm = {"action": "ACTIVATE", "memberID": three.member_id(3), "alarm": "CORRUPT"}
    three.call(1, "maintenance/alarm", alarm, three.token(1))
    change(three)
    refused = three.rollout(1, check=False)
    assert "the alarm CORRUPT is raised" in refused.stderr
    assert "removed from the cluster" in three.leave(3).stdout
    assert len(three.roles()) == 2
