"""Taking the seat: founding, joining, coming back, and refusing."""

from __future__ import annotations

from tests.node.conftest import Cluster


def test_founders_that_start_together_form_one_cluster(cluster: Cluster) -> None:
    three = cluster(3).found()

    assert three.roles() == {"etcd-1": "voter", "etcd-2": "voter", "etcd-3": "voter"}
    assert len(three.cluster_ids()) == 1
