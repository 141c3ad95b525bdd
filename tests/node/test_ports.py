"""Other ports for members that have their seats."""

from __future__ import annotations

from bench.writer import Writer
from tests.node.conftest import Cluster
from tests.node.members import Members, in_parallel


def urls(members: Members) -> set[str]:
    answer = members.call(1, "cluster/member/list", token=members.token(1))
    return {url for one in answer["members"] for url in (*one["peerURLs"], *one["clientURLs"])}


def test_both_ports_change_one_member_after_another(cluster: Cluster) -> None:
    three = cluster(3).found(access=True)
    three.make_leader(2)
    access = three.client()
    three.client_port, three.peer_port = 2389, 2390
    also = three.client()
    access.urls.extend(also.urls)
    in_parallel(three.put_config, three.everyone)
    with Writer(access) as writer:
        said = [three.rollout(seq).stdout for seq in three.everyone]

    assert all("the cluster knows it at https://" in one for one in said)
    assert not writer.lost()
    assert three.is_well()
    assert urls(three) == {
        url
        for seq in three.everyone
        for url in (three.instance(seq).peer_url, three.instance(seq).client_url)
    }
    before = three.pids()
    for seq in three.everyone:
        assert "no restart" in three.rollout(seq).stdout
    assert three.pids() == before


def test_a_rollout_killed_after_the_new_peer_url_was_announced_is_completed(
    cluster: Cluster,
) -> None:
    three = cluster(3).found(access=True)
    three.peer_port = 2390
    three.put_config(1)
    body = {"ID": _id(three), "peerURLs": [three.instance(1).peer_url]}
    three.call(2, "cluster/member/update", body, three.token(2))

    assert "restarted" in three.rollout(1).stdout
    three.peer_port = 2380
    three.put_config(1)
    # Down meanwhile: it starts with the new port, which is announced when it runs.
    three.stop(1)
    three.peer_port = 2391
    three.put_config(1)
    assert "the cluster knows it at" in three.rollout(1).stdout
    assert three.instance(1).peer_url in urls(three)


def _id(members: Members) -> str:
    answer = members.call(2, "cluster/member/list", token=members.token(2))
    (found,) = (one["ID"] for one in answer["members"] if one["name"] == "etcd-1")
    return str(found)


def test_another_host_in_the_peer_url_is_refused(cluster: Cluster) -> None:
    one = cluster(1).found()
    one.addresses = lambda _: one.lab.address(3)
    refused = one.put_config(1, check=False)

    assert refused.returncode == 1
    assert "cannot change its initial-advertise-peer-urls" in refused.stderr
