"""Joining a cluster that has a history, much data, or a member that is away."""

from __future__ import annotations

import base64
import http.client
import json

from tests.node.conftest import Cluster
from tests.node.members import Members, in_parallel

MIB = 1024 * 1024
VALUE = base64.b64encode(bytes(MIB)).decode()


def write(members: Members, keys: range, value: str = "AA==") -> None:
    """Put many keys quickly, over one connection."""
    connection, token = members.connect(1), members.token(1)
    headers = {"Authorization": token} if token else {}
    for key in keys:
        body = {"key": base64.b64encode(b"key %d" % key).decode(), "value": value}
        connection.request("POST", "/v3/kv/put", json.dumps(body), headers)
        assert answered(connection).startswith(b'{"header"')
    connection.close()


def answered(connection: http.client.HTTPSConnection) -> bytes:
    return connection.getresponse().read()


def test_a_member_joins_a_long_lived_cluster_in_which_nobody_writes(cluster: Cluster) -> None:
    """etcd by itself goes on announcing the newcomer for ever, see `learner.Newcomer`."""
    two = cluster(2)
    two.prepare_all()
    two.join(1, founders=[1])
    write(two, range(5200))

    assert "joined the cluster; runs, voter" in two.join(2, founders=[1]).stdout
    assert two.roles() == {"etcd-1": "voter", "etcd-2": "voter"}
    assert int(two.status(2)["raftAppliedIndex"]) > 5000


def test_much_data_come_with_progress(cluster: Cluster) -> None:
    two = cluster(2)
    two.prepare_all()
    two.join(1, founders=[1])
    in_parallel(lambda part: write(two, range(part * 100, part * 100 + 100), VALUE), range(3))
    # Slow enough for the progress to be told.
    two.shell(1, "tc qdisc add dev eth0 root tbf rate 300mbit burst 1mb latency 50ms", check=False)
    try:
        said = two.join(2, founders=[1]).stdout
    finally:
        two.shell(1, "tc qdisc del dev eth0 root", check=False)

    assert "MiB of the cluster's data" in said
    assert "joined the cluster; runs, voter" in said
    assert two.roles() == {"etcd-1": "voter", "etcd-2": "voter"}
    assert int(two.status(2)["dbSize"]) > 300 * MIB


def test_nobody_joins_while_a_voter_is_away_and_it_is_named(cluster: Cluster) -> None:
    four = cluster(4).found([1, 2, 3])
    four.stop(3)
    refused = four.join(4, founders=[1, 2, 3], check=False)

    assert refused.returncode == 1
    assert "These voters do not answer: etcd-3 at" in refused.stderr
    assert "Nothing was changed" in refused.stderr
    assert not four.starts(4)
    in_parallel(lambda seq: four.join(seq, founders=[1, 2, 3]), [3, 4])
    assert sorted(four.roles()) == ["etcd-1", "etcd-2", "etcd-3", "etcd-4"]


def test_a_voter_does_not_become_a_learner(cluster: Cluster) -> None:
    two = cluster(2).found(access=True)
    process = two.pid(2)
    refused = two.join(2, "--learner", check=False)

    assert refused.returncode == 1
    assert "etcd-2 votes, and etcd makes no learner of a voter" in refused.stderr
    assert two.roles() == {"etcd-1": "voter", "etcd-2": "voter"}
    assert two.pid(2) == process
