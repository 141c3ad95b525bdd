"""Restarting members one at a time, and only when it is safe."""

from __future__ import annotations

import pytest

from bench.writer import Writer
from etcd_component import render
from lab import Lab
from tests.authority import Authority
from tests.node.conftest import SUBNET, Cluster
from tests.node.members import HURRY, Members, eventually, in_parallel

_count = iter(range(9000, 10000))


def change(members: Members) -> None:
    """Give all members some new configuration."""
    members.change(snapshot_count=next(_count))


def settings(members: Members, seq: int) -> str:
    return members.shell(seq, "cat /etc/etcd/etcd/settings.yaml")


def test_nothing_changed_restarts_nothing(three: Members) -> None:
    before = three.pids()
    for seq in three.everyone:
        assert "no restart" in three.rollout(seq).stdout
    assert three.pids() == before


def test_a_renewed_certificate_is_served_without_a_restart(three: Members) -> None:
    before, serial = three.pids(), three.serial(1)
    three.put_certificate(1)

    assert "no restart" in three.rollout(1).stdout
    assert three.serial(1) != serial
    assert three.serial(1, peer=True) == three.serial(1)
    assert three.pids() == before


def test_a_changed_setting_restarts_each_member_once_and_loses_no_write(three: Members) -> None:
    before = three.pids()
    three.make_leader(2)
    change(three)
    said = []
    with Writer(three.client()) as writer:
        for seq in three.everyone:
            here = three.pids()
            said.append(three.rollout(seq).stdout)
            there = three.pids()
            assert [one + 1 for one in range(3) if here[one] != there[one]] == [seq]
        after = three.pids()
        for seq in three.everyone:
            assert "no restart" in three.rollout(seq).stdout
    print(f"longest gap {writer.longest_gap():.3f} s of {len(writer.acknowledged)} writes")
    print(f"failed: {writer.failed} {writer.reasons}")

    assert not set(before) & set(after)
    assert three.pids() == after
    assert "took over as leader" in said[1]
    assert "took over as leader" not in said[0]
    assert not writer.lost()
    # An election would take a second at least; a hand-over does not.
    assert writer.longest_gap() < 1


def test_a_changed_bundle_of_cas_restarts(cluster: Cluster) -> None:
    one = cluster(1).found()
    process = one.pid(1)
    one.authority.also_trusted = Authority().pem
    one.put_certificate(1)

    assert "restarted" in one.rollout(1).stdout
    assert one.pid(1) != process


def test_a_learner_is_restarted_too(cluster: Cluster) -> None:
    two = cluster(2, learners=frozenset({2})).found([1], access=True)
    two.join(2, founders=[1])
    change(two)
    for seq in (1, 2):
        process = two.pid(seq)
        assert "restarted" in two.rollout(seq).stdout
        assert two.pid(seq) != process
    assert two.roles() == {"etcd-1": "voter", "etcd-2": "learner"}


def test_a_rollout_says_when_files_were_changed_by_hand(three: Members) -> None:
    model, instance = three.model, three.instance(1)
    declared = render.fingerprint(
        render.etcd_config(model, instance),
        render.unit(model, instance),
        three.authority.bundle,
    )
    assert "by hand" not in three.rollout(1, "--to", declared).stdout

    three.shell(1, "echo 'max-txn-ops: 129' >>/etc/etcd/etcd/settings.yaml")
    told = three.rollout(1, "--to", declared).stdout
    three.put_config(1)
    three.rollout(1)
    assert "was changed by hand" in told


# ---- refusals


def down(three: Members, lab: Lab) -> None:
    three.stop(3)


def unreachable(three: Members, lab: Lab) -> None:
    lab.cut(12, 10)


def out_of_space(three: Members, lab: Lab) -> None:
    alarm = {"action": "ACTIVATE", "memberID": three.member_id(2), "alarm": "NOSPACE"}
    three.call(1, "maintenance/alarm", alarm, three.token(1))


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (down, f"etcd-3 at https://{SUBNET}.12:2379 does not answer"),
        (unreachable, f"etcd-3 at https://{SUBNET}.12:2379 does not answer"),
        (out_of_space, "the alarm NOSPACE is raised: compact and defragment, then `etcdctl alarm"),
    ],
)
def test_a_restart_is_refused_while_the_cluster_is_not_well(
    three: Members, lab: Lab, trouble: object, message: str
) -> None:
    three.waits = HURRY
    three.make_leader(2)
    change(three)
    process = three.pid(1)
    assert callable(trouble)
    trouble(three, lab)
    refused = three.rollout(1, check=False)

    assert refused.returncode == 1
    assert "etcd-1 is not restarted, since the cluster could lose its quorum" in refused.stderr
    assert message in refused.stderr
    assert three.pid(1) == process


def test_a_larger_quota_is_rolled_out_though_space_has_run_out(three: Members, lab: Lab) -> None:
    three.waits = HURRY
    out_of_space(three, lab)
    three.change(quota_backend_bytes=9 * 1024**3)
    for seq in three.everyone:
        assert f"etcd-{seq}: restarted" in three.rollout(seq).stdout


def test_without_a_quorum_nothing_is_restarted_but_what_is_down_comes_back(three: Members) -> None:
    """The members that are down are started without asking, else nothing could mend the cluster."""
    three.waits = HURRY
    change(three)
    process = three.pid(1)
    in_parallel(three.stop, [2, 3])
    refused = three.rollout(1, check=False)

    assert refused.returncode == 1
    assert "Is there a quorum?" in refused.stderr
    assert three.pid(1) == process

    three.waits = {}
    assert "etcd-2: restarted" in three.rollout(2).stdout
    assert "etcd-3: restarted" in three.rollout(3).stdout
    assert "etcd-1: restarted" in three.rollout(1).stdout
    assert three.is_well()


# ---- broken members


def test_a_member_that_is_down_takes_its_new_configuration_at_once(three: Members) -> None:
    three.stop(3)
    change(three)
    eventually("it is up again", lambda: three.is_active(3))
    process = three.pid(3)

    assert "no restart" in three.rollout(3).stdout
    assert three.pid(3) == process
    for seq in (1, 2):
        assert "restarted" in three.rollout(seq).stdout


def test_a_setting_that_etcd_refuses_stops_at_the_first_member_and_can_be_taken_back(
    three: Members,
) -> None:
    before = three.pids()
    three.change(heartbeat_interval=900)
    refused = three.rollout(1, check=False)

    assert refused.returncode == 1
    assert "fails and is started again and again" in refused.stderr
    # The end of the journal says why.
    assert "should be at least as 5 times" in refused.stderr
    assert three.pids()[1:] == before[1:]

    three.options.pop("heartbeat-interval")
    change(three)
    eventually("the broken member is back", lambda: three.is_active(1))
    for seq in three.everyone:
        three.rollout(seq)
    assert three.is_well()


def test_a_new_version_mends_a_member_that_is_down(cluster: Cluster) -> None:
    one = cluster(1).found()
    one.version = "3.7.3"
    one.put_binary(1)
    assert one.status(1)["version"] == "3.6.16"
    assert "restarted" in one.rollout(1).stdout
    assert one.status(1)["version"] == "3.7.3"

    # Back again, to a member that does not run.
    one.stop(1)
    one.shell(1, "ln -sfn ../versions/nothing /opt/etcd/clusters/etcd")
    assert "started with its new files" in one.put_binary(1).stdout
    eventually("it is up again", lambda: one.is_active(1))


def test_a_version_that_is_not_on_the_machine_restarts_nothing(cluster: Cluster) -> None:
    one = cluster(1).found()
    process = one.pid(1)
    refused = one.rollout(1, "--version", "3.9.9", check=False)

    assert refused.returncode == 1
    assert "etcd 3.9.9 is not on this machine" in refused.stderr
    assert one.pid(1) == process


# ---- interruptions


def test_a_rollout_that_was_killed_half_way_is_completed_by_the_next(three: Members) -> None:
    change(three)
    before = three.pid(1)
    running = three.begin_rollout(1)
    eventually("etcd is being restarted", lambda: three.pid(1) != before)
    three.kill_program(1, "rollout")
    running.communicate()

    for seq in three.everyone:
        three.rollout(seq)
    assert three.is_well()
    assert "snapshot-count: 9" in settings(three, 1)


def test_a_reboot_is_a_restart(three: Members, lab: Lab) -> None:
    change(three)
    lab.reboot(10)
    eventually("the member is back", lambda: three.is_active(1))
    process = three.pid(1)

    assert "no restart" in three.rollout(1).stdout
    assert three.pid(1) == process
    assert "etcd-2: restarted" in three.rollout(2).stdout
    assert "etcd-3: restarted" in three.rollout(3).stdout


def test_one_that_was_removed_says_so(cluster: Cluster) -> None:
    two = cluster(2, waits=HURRY).found()
    two.shell(1, "sleep 5.2")
    two.call(1, "cluster/member/remove", {"ID": two.member_id(2)})
    eventually("the removed member stops", lambda: not two.is_active(2))
    refused = two.rollout(2, check=False)

    assert refused.returncode == 1
    assert "was removed from its cluster" in refused.stderr
