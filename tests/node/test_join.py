"""Becoming a member: bootstrap, join, come back, or refuse."""

from __future__ import annotations

from bench.writer import Writer
from lab import Lab
from tests.node.conftest import Cluster
from tests.node.members import HURRY, Members, credentials, eventually, in_parallel

VOTERS = {"etcd-1": "voter", "etcd-2": "voter", "etcd-3": "voter"}


def prepared(members: Members) -> Members:
    members.prepare_all()
    return members


# ---- founding


def test_founders_that_start_together_form_one_cluster(cluster: Cluster) -> None:
    three = cluster(3).found()

    assert three.roles() == VOTERS
    assert len(three.cluster_ids()) == 1


def test_a_seat_that_is_taken_again_changes_nothing(cluster: Cluster) -> None:
    one = cluster(1).found()
    process = one.pid(1)

    assert "runs, voter" in one.join(1, founders=[1]).stdout
    assert "runs, voter" in one.run(1, "join", stdin=credentials()).stdout
    assert one.pid(1) == process


def test_a_founder_waits_for_others_that_have_begun(cluster: Cluster) -> None:
    """Longer than for those that have not: these may come after it only."""
    three = prepared(cluster(3, waits={"founders": 60}))
    first = three.begin_join(1, founders=three.everyone)
    eventually("the first founder has started", lambda: three.starts(1))
    three.shell(1, "sleep 5.5")
    in_parallel(lambda seq: three.join(seq, founders=three.everyone), [2, 3])
    told, _ = first.communicate()

    assert first.returncode == 0
    assert "waiting for the others" in told
    assert f"etcd-3 at {three.instance(3).peer_url}: not-running" in told
    assert "founded the cluster with 2 other members; runs, voter" in told
    assert three.roles() == VOTERS


def test_founders_form_a_cluster_one_after_another(cluster: Cluster) -> None:
    """As with `pulumi up --parallel 1`, where no step begins before the last one is done."""
    three = prepared(cluster(3))
    first = three.join(1, founders=three.everyone)
    assert "etcd-1: started as a founder; etcd-2, etcd-3 have not begun yet" in first.stdout
    process = three.pid(1)
    # Run again, it is the same; and it may not begin anew meanwhile.
    again = three.join(1, founders=three.everyone)
    assert "etcd-1: started as a founder; etcd-2, etcd-3 have not begun yet" in again.stdout
    assert three.pid(1) == process
    assert "founded the cluster" in three.join(2, founders=three.everyone).stdout
    assert "joined the cluster; runs, voter" in three.join(3, founders=three.everyone).stdout
    assert three.roles() == VOTERS
    assert len(three.cluster_ids()) == 1
    assert initial_state(three, 1) == "new"

    assert "no restart" in three.rollout(1).stdout
    assert three.pid(1) == process
    assert [initial_state(three, seq) for seq in three.everyone] == ["existing"] * 3


def test_a_founder_that_began_first_keeps_its_data_or_never_begins_again(cluster: Cluster) -> None:
    three = prepared(cluster(3, waits=HURRY))
    three.join(1, founders=three.everyone)
    # Its machine boots, with its data; nobody else has begun.
    three.shell(1, "systemctl stop etcd; systemctl start --no-block etcd")
    eventually("it goes on", lambda: three.starts(1))
    # And now without them.
    three.wipe(1)
    three.shell(1, "timeout 10 systemctl start etcd; systemctl stop etcd", check=False)
    assert three.shell(1, "ls /data/etcd/member/wal 2>/dev/null", check=False) == ""
    refused = three.join(1, founders=three.everyone, check=False)
    assert refused.returncode == 1
    assert "it began as a founder before" in refused.stderr
    assert not three.starts(1)
    # The others can form the cluster, and then it joins them.
    in_parallel(lambda seq: three.join(seq, founders=three.everyone), [2, 3])
    eventually("both see each other", lambda: len(three.roles(2)) == 3)
    assert "joined the cluster" in three.join(1, founders=three.everyone).stdout
    assert three.roles() == VOTERS


def test_one_that_is_no_founder_waits_for_the_founders(cluster: Cluster) -> None:
    three = prepared(cluster(3))
    three.join(1, founders=[1, 2])
    third = three.begin_join(3, founders=[1, 2])
    three.shell(3, "sleep 2")
    assert not three.starts(3)
    three.join(2, founders=[1, 2])
    told, _ = third.communicate()
    assert third.returncode == 0, told
    assert "joined the cluster; runs, voter" in told
    assert three.roles() == VOTERS


def initial_state(members: Members, seq: int) -> str:
    text = members.shell(seq, "grep '^initial-cluster-state' /etc/etcd/etcd/etcd.yaml")
    return text.partition(": ")[2]


def test_founding_is_refused_while_a_founder_cannot_be_asked(cluster: Cluster, nodes: Lab) -> None:
    three = prepared(cluster(3))
    # Its packets are dropped, as by a firewall; a port that refuses would be etcd not running.
    nodes.cut(12, 10)
    refused = three.join(1, founders=three.everyone, check=False)

    assert refused.returncode == 1
    assert "only when every other member can be asked" in refused.stderr
    assert f"etcd-3 at {three.instance(3).peer_url}: unreachable" in refused.stderr
    assert not three.starts(1)
    nodes.heal(12)
    in_parallel(lambda seq: three.join(seq, founders=three.everyone), three.everyone)
    assert three.roles() == VOTERS


def test_a_late_founder_joins_the_cluster_that_the_others_formed(cluster: Cluster) -> None:
    three = prepared(cluster(3))
    in_parallel(lambda seq: three.join(seq, founders=three.everyone), [1, 2])

    assert "joined the cluster; runs, voter" in three.join(3, founders=three.everyone).stdout
    assert three.roles() == VOTERS
    assert len(three.cluster_ids()) == 1


def test_a_founder_whose_program_was_killed_is_completed_by_the_next_run(cluster: Cluster) -> None:
    three = prepared(cluster(3))
    running = three.begin_join(1, founders=three.everyone)
    eventually("etcd has started", lambda: three.starts(1))
    three.kill_program(1, "join")
    running.communicate()

    in_parallel(lambda seq: three.join(seq, founders=three.everyone), three.everyone)
    assert three.roles() == VOTERS


# ---- never founding


def test_an_added_instance_never_founds_although_no_peer_runs(cluster: Cluster) -> None:
    two = prepared(cluster(2, waits=HURRY))
    refused = two.join(2, founders=[1], check=False)

    assert refused.returncode == 1
    assert "not one of the founders" in refused.stderr
    assert "never founds a second cluster" in refused.stderr
    assert f"etcd-1 at {two.instance(1).peer_url}: not-running" in refused.stderr
    assert not two.starts(2)


def test_an_update_of_a_seat_never_founds(cluster: Cluster) -> None:
    one = prepared(cluster(1, waits=HURRY))
    refused = one.run(1, "join", stdin=credentials(), check=False)

    assert refused.returncode == 1
    assert "never founds a second cluster" in refused.stderr
    assert not one.starts(1)


def test_a_wiped_member_never_founds_again_although_all_others_are_down(cluster: Cluster) -> None:
    three = cluster(3, waits=HURRY).found()
    three.wipe(3)
    in_parallel(three.stop, [1, 2])
    refused = three.join(3, founders=three.everyone, check=False)

    assert refused.returncode == 1
    assert "has lost its data" in refused.stderr
    assert "never founds a cluster again" in refused.stderr
    assert not three.is_active(3)
    assert three.shell(3, "ls -A /data/etcd") in {"", ".etcd-node"}


def test_a_wiped_member_does_not_start_by_itself(cluster: Cluster) -> None:
    """As after a boot without the data disk, the others being away or not."""
    three = cluster(3).found()
    three.wipe(3)
    for others_run in (True, False):
        if not others_run:
            in_parallel(three.stop, [1, 2])
        three.shell(3, "systemctl restart etcd", check=False)
        eventually(
            "etcd refuses to start",
            lambda: "cannot fetch cluster info" in three.shell(3, "journalctl -u etcd"),
        )
        assert three.shell(3, "ls -A /data/etcd/member/wal 2>/dev/null", check=False) == ""
        assert "does not start without its data" in three.shell(3, "journalctl -u etcd")
        three.shell(
            3, "systemctl stop etcd; journalctl --rotate -q; journalctl --vacuum-time=1s -q"
        )
    in_parallel(three.join, [1, 2])
    assert three.roles() == VOTERS


def test_the_only_member_that_was_wiped_never_founds_again(cluster: Cluster) -> None:
    one = cluster(1, waits=HURRY).found()
    one.wipe(1)
    refused = one.join(1, founders=[1], check=False)

    assert refused.returncode == 1
    assert "it was the only one; restore a snapshot" in refused.stderr
    assert not one.is_active(1)


def test_a_wiped_member_that_is_cut_off_waits_for_its_peers(cluster: Cluster, nodes: Lab) -> None:
    three = cluster(3, waits=HURRY).found()
    three.wipe(3)
    nodes.cut(12, peers=True)
    refused = three.join(3, "--reseat", "1", founders=three.everyone, check=False)
    nodes.heal(12)

    assert refused.returncode == 1
    assert f"etcd-1 at {three.instance(1).peer_url}: unreachable" in refused.stderr
    assert not three.is_active(3)
    assert three.roles() == VOTERS


# ---- members that lost something


def test_a_wiped_member_is_removed_and_joins_again_only_when_told_to(cluster: Cluster) -> None:
    three = cluster(3).found(access=True)
    three.put(1, "kept", "yes")
    former = three.member_id(3)
    three.wipe(3)
    refused = three.join(3, founders=three.everyone, check=False)

    assert refused.returncode == 1
    assert f"the cluster knows it as {former}" in refused.stderr
    assert "set etcd_reseat on this host to 1" in refused.stderr
    assert three.member_id(3) == former
    assert not three.is_active(3)

    done = three.join(3, "--reseat", "1", founders=three.everyone)
    assert "runs, voter" in done.stdout
    assert three.roles() == VOTERS
    assert three.member_id(3) != former
    assert three.get(3, "kept") == "yes"

    # The number stays in the inventory, but the next loss is another one.
    three.wipe(3)
    again = three.join(3, "--reseat", "1", founders=three.everyone, check=False)
    assert again.returncode == 1
    assert "set etcd_reseat on this host to 2" in again.stderr


def test_a_member_that_was_removed_by_hand_says_so_and_stays_down(cluster: Cluster) -> None:
    three = cluster(3).found()
    three.shell(1, "sleep 5.2")
    three.call(1, "cluster/member/remove", {"ID": three.member_id(3)})
    eventually("the removed member stops", lambda: not three.is_active(3))
    refused = three.join(3, founders=three.everyone, check=False)

    assert refused.returncode == 1
    assert "was removed from its cluster" in refused.stderr
    assert three.shell(3, "sleep 3; systemctl is-active etcd", check=False) == "inactive"

    three.shell(3, "rm -rf /data/etcd/member")
    assert "joined the cluster" in three.join(3, founders=three.everyone).stdout
    assert three.roles() == VOTERS


def test_data_of_a_foreign_member_are_refused(cluster: Cluster) -> None:
    one = prepared(cluster(1))
    one.shell(1, "mkdir -p /data/etcd/member/wal && touch /data/etcd/member/wal/0.wal")
    refused = one.join(1, founders=[1], check=False)

    assert refused.returncode == 1
    assert "did not take its seat through etcd-node" in refused.stderr
    assert not one.starts(1)


# ---- joining


def test_a_single_member_grows_by_two_at_once_and_goes_on_writing(cluster: Cluster) -> None:
    """Authentication is still off; etcd takes one learner at a time, so one of the two may wait."""
    three = prepared(cluster(3))
    three.join(1, founders=[1])
    with Writer(three.client(1)) as writer:
        in_parallel(lambda seq: three.join(seq, founders=[1]), [2, 3])

    assert three.roles() == VOTERS
    assert not writer.failed
    assert not writer.lost()


def test_one_that_joins_right_after_founding_waits_until_etcd_lets_it(cluster: Cluster) -> None:
    """With authentication on, and etcd's five seconds of distrust after a start."""
    four = cluster(4).found([1, 2, 3], access=True)
    joined = four.join(4, founders=[1, 2, 3])

    assert "waiting, etcd says: etcdserver: unhealthy cluster" in joined.stdout
    assert four.roles() == {**VOTERS, "etcd-4": "voter"}


def test_an_addition_that_was_interrupted_is_continued(cluster: Cluster) -> None:
    two = prepared(cluster(2))
    two.join(1, founders=[1])
    body = {"peerURLs": [two.instance(2).peer_url], "isLearner": True}
    added = two.call(1, "cluster/member/add", body)["member"]["ID"]

    two.join(2, founders=[1])
    assert two.roles() == {"etcd-1": "voter", "etcd-2": "voter"}
    assert two.member_id(2) == added


def test_a_learner_stays_one_until_the_inventory_says_otherwise(cluster: Cluster) -> None:
    """The same as an interruption between the start and the promotion."""
    two = prepared(cluster(2, learners=frozenset({2})))
    two.join(1, founders=[1])
    two.access(1)
    assert "runs, learner" in two.join(2, founders=[1]).stdout
    assert "runs, learner" in two.join(2, founders=[1]).stdout
    assert two.roles() == {"etcd-1": "voter", "etcd-2": "learner"}
    process = two.pid(2)

    two.learners = frozenset()
    # What an update has: neither peers nor founders.
    assert "runs, voter" in two.run(2, "join", stdin=credentials()).stdout
    assert two.roles() == {"etcd-1": "voter", "etcd-2": "voter"}
    assert two.pid(2) == process


def test_a_wrong_password_is_told_and_nothing_joins(cluster: Cluster) -> None:
    two = prepared(cluster(2))
    two.join(1, founders=[1])
    two.access(1)
    refused = two.join(2, founders=[1], password="wrong", check=False)

    assert refused.returncode == 1
    assert "etcd refuses root's password" in refused.stderr
    assert "wrong" not in refused.stderr + refused.stdout
    assert two.roles() == {"etcd-1": "voter"}


def test_missing_credentials_are_told(cluster: Cluster) -> None:
    one = prepared(cluster(1))
    refused = one.run(1, "join", check=False)

    assert refused.returncode == 1
    assert "credentials are missing on standard input" in refused.stderr
