"""Clusters whose members are known by IPv6 addresses and by names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab import Lab
from tests.node.conftest import SUBNET
from tests.node.members import Members, in_parallel


def by_ipv6(lab: Lab) -> Callable[[int], str]:
    for node in (10, 11, 12):
        lab.exec(node, "ip", "-6", "addr", "add", f"fd00:10:13::{node}/64", "dev", "eth0", "nodad")
    return lambda seq: f"fd00:10:13::{seq + 9}"


def by_name(lab: Lab) -> Callable[[int], str]:
    lines = "".join(
        f"{SUBNET}.{node} node{node}.example.org # etcd-node test\n" for node in (10, 11, 12)
    )
    for node in (10, 11, 12):
        lab.exec(node, "sh", "-c", "cat >>/etc/hosts", stdin=lines)
    return lambda seq: f"node{seq + 9}.example.org"


@pytest.mark.parametrize("way", [by_ipv6, by_name])
def test_members_found_join_roll_out_and_leave(
    nodes: Lab, way: Callable[[Lab], Callable[[int], str]]
) -> None:
    three = Members(nodes, 3, addresses=way(nodes))
    three.prepare_all()
    preflight = ["--name", "etcd-1", "--address", three.address(1), "--data", "/data/etcd"]
    assert "is fit" in three.run(1, "preflight", *preflight).stdout
    in_parallel(lambda seq: three.join(seq, founders=[1, 2]), [1, 2])
    three.access()
    assert "joined the cluster; runs, voter" in three.join(3, founders=[1, 2]).stdout
    assert three.run(1, "status").stdout.count("runs") == 3

    three.change(snapshot_count=9997)
    for seq in three.everyone:
        assert "restarted" in three.rollout(seq).stdout
    said = three.leave(3).stdout
    assert "removed from the cluster" in said
    three.stop(2)
    said = three.run(1, "status", check=False).stdout
    assert "etcd-3" not in said
    assert f"not-running at {three.instance(2).peer_url}" in said
