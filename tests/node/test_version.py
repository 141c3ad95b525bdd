"""Another minor version of etcd: up, down, refused, failed and interrupted."""

from __future__ import annotations

import pytest

from bench.writer import Writer
from tests.node.conftest import Cluster
from tests.node.members import HURRY, Members, eventually, in_parallel


def versions(members: Members) -> set[str]:
    return {members.status(seq)["version"] for seq in members.everyone}


def rolled_out(members: Members) -> list[str]:
    return [members.rollout(seq).stdout for seq in members.everyone]


def test_a_cluster_goes_up_and_down_through_all_minors(cluster: Cluster) -> None:
    three = cluster(3, version="3.5.35").found(access=True)
    with Writer(three.client()) as writer:
        for version in ("3.6.16", "3.7.3", "3.6.16", "3.5.35"):
            three.declare(version)
            said = rolled_out(three)
            print(version, *said)
            minor = version.rpartition(".")[0]
            assert f"all members run {version}, the cluster is at {minor}" in said[-1]
            assert versions(three) == {version}
    print(f"longest gap {writer.longest_gap():.3f} s of {len(writer.acknowledged)} writes")
    print(f"failed: {writer.failed} {writer.reasons}")
    assert not writer.lost()
