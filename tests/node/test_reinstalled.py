"""A system that was installed anew, with the disk of the data kept."""

from __future__ import annotations

import pytest

from tests.node.conftest import Cluster
from tests.node.members import Members, credentials, eventually, in_parallel

# All that an instance has outside of its data directory; and a new system counts its users anew.
REINSTALL = """
systemctl kill -s KILL etcd; systemctl disable -q --now etcd
rm -rf /etc/etcd /opt/etcd/clusters /etc/systemd/system/etcd* /usr/local/sbin/etcd* /run/etcd-node
systemctl daemon-reload; systemctl reset-failed etcd
userdel etcd
useradd --system --user-group --no-create-home --uid $(($(stat -c %u /data/etcd/member) + 7)) \
  --comment 'etcd (etcd-node)' etcd
true
"""


def reinstall(members: Members, seq: int) -> None:
    members.shell(seq, REINSTALL)


def repair(members: Members, seq: int) -> str:
    """What `etcd_repair: 1` has run, in its order; what the seat says."""
    members.prepare(seq)
    words = ("--repair", "1", "--version", members.version)
    said = members.run(seq, "join", *words, stdin=credentials()).stdout
    members.rollout(seq, "--repair", "1")
    return said


@pytest.mark.parametrize("lost", [[3], [1, 3], [1, 2, 3]])
def test_it_comes_back_with_its_own_data_with_and_without_a_quorum(
    cluster: Cluster, lost: list[int]
) -> None:
    three = cluster(3).found(access=True)
    three.put(1, "/kept", "yes")
    cluster_id = three.cluster_ids()
    ids = [three.member_id(seq) for seq in three.everyone]
    in_parallel(lambda seq: reinstall(three, seq), lost)
    in_parallel(three.prepare, lost)
    # Nobody takes another way in than the data, in whatever order they come.
    words = ("--repair", "1", "--version", three.version)
    said = in_parallel(lambda seq: three.run(seq, "join", *words, stdin=credentials()), lost)
    assert all("finds its own data in /data/etcd" in one.stdout for one in said)
    for seq in lost:
        assert "no restart" in three.rollout(seq, "--repair", "1").stdout
        assert three.shell(seq, "find /data/etcd ! -user etcd ! -name .etcd-node") == ""
    eventually("all are well", three.is_well)
    assert three.cluster_ids() == cluster_id
    assert [three.member_id(seq) for seq in three.everyone] == ids
    assert three.get(lost[0], "/kept") == "yes"
    assert "to be part of" not in three.shell(1, "ls /etc/etcd/etcd")


def test_the_data_of_another_number_or_stack_are_refused_by_name(cluster: Cluster) -> None:
    three = cluster(3).found(access=True)
    reinstall(three, 3)
    before = three.shell(3, "stat -c %u /data/etcd/member")
    three.send_program(3)
    place = ("--address", three.address(3), "--data", "/data/etcd")
    for name, owner, whose in (
        ("etcd-4", three.owner, "etcd-3 of cluster etcd."),
        ("etcd-3", "f" * 16, "etcd-3 of cluster etcd of another stack"),
    ):
        refused = three.by_hand(3, "claim", "--owner", owner, "--name", name, *place)
        assert refused.returncode == 1
        assert f"/data/etcd holds the data of {whose}" in refused.stderr
    assert three.shell(3, "stat -c %u /data/etcd/member") == before
    assert "runs" in repair(three, 3)


def test_data_of_a_member_that_has_left_are_not_taken_back(cluster: Cluster) -> None:
    two = cluster(2).found()
    two.leave(2)
    two.uninstall(2)
    two.send_program(2)
    refused = two.claim(2, check=False)
    assert refused.returncode == 1
    assert "holds the data of etcd-2 of cluster etcd, which has left it" in refused.stderr


@pytest.mark.parametrize("version", ["3.5.35", "3.6.16", "3.7.3"])
def test_etcd_does_not_mind_the_mark_in_its_directory(cluster: Cluster, version: str) -> None:
    one = cluster(1, version=version).found()
    assert one.shell(1, "cat /data/etcd/.etcd-node").splitlines() == [
        "cluster=etcd",
        "name=etcd-1",
        f"owner={one.owner}",
    ]
    assert one.shell(1, "stat -c '%U %a' /data/etcd/.etcd-node") == "etcd 600"
    one.shell(1, "systemctl restart etcd")
    eventually("it is well", one.is_well)
