"""Nothing but taking a seat may ever start an etcd that could found a cluster."""

from __future__ import annotations

from tests.node.conftest import Cluster
from tests.node.members import Members, credentials, eventually, killed_at, program

START = "timeout 20 systemctl start etcd"
LINK = "mkdir -p /opt/etcd/clusters && ln -sfn ../versions/3.6.16 /opt/etcd/clusters/etcd"


def seat_lines(members: Members, seq: int) -> list[str]:
    found = members.shell(seq, "grep '^initial-cluster' /etc/etcd/etcd/etcd.yaml")
    return found.splitlines()


def alone(members: Members, seq: int) -> list[str]:
    one = members.instance(seq)
    return ["initial-cluster-state: existing", f"initial-cluster: {one.name}={one.peer_url}"]


def assert_nothing_is_founded(members: Members, seq: int) -> None:
    """Start it as a person or a boot does."""
    assert members.shell(seq, f"{START} && echo started", check=False) == ""
    members.shell(seq, "systemctl stop etcd; systemctl reset-failed etcd", check=False)
    assert members.shell(seq, "ls /data/etcd/member/wal 2>/dev/null", check=False) == ""


def test_from_the_first_configuration_on_there_is_nobody_to_begin_with(cluster: Cluster) -> None:
    one = cluster(1)
    one.prepare(1)
    one.shell(
        1, "mkdir -p /opt/etcd/clusters && ln -sfn ../versions/3.6.16 /opt/etcd/clusters/etcd"
    )
    assert seat_lines(one, 1) == alone(one, 1)
    assert_nothing_is_founded(one, 1)
    # Nor by a setting that is changed meanwhile, or a restart.
    one.change(heartbeat_interval=200)
    assert not one.starts(1)
    refused = one.rollout(1, check=False)
    assert refused.returncode == 1
    assert (
        "etcd-1 has not taken its seat in cluster etcd, and nothing was started" in refused.stderr
    )
    assert not one.starts(1)
    one.join(1, founders=[1])
    assert one.roles() == {"etcd-1": "voter"}
    assert seat_lines(one, 1) == alone(one, 1)


def test_permission_to_found_ends_with_the_step_that_was_killed(cluster: Cluster) -> None:
    one = cluster(1)
    one.prepare(1)
    one.send_program(1, program(killed_at("process.run", r"systemctl.*start.*etcd\.service")))
    assert one.join(1, founders=[1], check=False).returncode != 0
    one.send_program(1)
    assert seat_lines(one, 1)[0] == "initial-cluster-state: new"
    assert_nothing_is_founded(one, 1)
    assert "the step that may do that is over" in one.shell(1, "journalctl -u etcd -o cat")
    assert seat_lines(one, 1) == alone(one, 1)
    # Run again, it may again.
    one.join(1, founders=[1])
    assert one.roles() == {"etcd-1": "voter"}


def test_a_member_that_has_left_starts_nothing_but_joins_again_when_it_is_asked(
    cluster: Cluster,
) -> None:
    """Its deletion was cut off, and its line is back with another setting."""
    three = cluster(3).found(access=True)
    three.put(1, "/a", "b")
    cluster_id = three.cluster_ids()
    three.leave(3)
    assert seat_lines(three, 3) == alone(three, 3)
    three.change(heartbeat_interval=200)
    assert not three.starts(3)
    for data in ("kept", "lost"):
        if data == "lost":
            three.shell(3, "rm -rf /data/etcd/member")
            assert_nothing_is_founded(three, 3)
        refused = three.rollout(3, check=False)
        assert refused.returncode == 1
        assert "etcd-3 has left its cluster, and nothing was started" in refused.stderr
        assert "raise etcd_reseat on its host" in refused.stderr
        three.put_binary(3)
        assert not three.starts(3)
    three.shell(3, "mkdir -p /data/etcd/member/wal && touch /data/etcd/member/wal/old")

    # The update of the seat, without founders.
    words = ("--version", three.version, "--peers", three.urls([1, 2]), "--reseat", "1")
    said = three.run(3, "join", *words, stdin=credentials()).stdout
    assert "its former data are kept in /data/etcd/member.left-" in said
    assert "joined the cluster" in said
    assert "no restart" in three.rollout(3).stdout
    assert three.is_well()
    assert three.cluster_ids() == cluster_id
    assert three.get(3, "/a") == "b"


def test_a_founder_that_has_left_does_not_found_where_nobody_is(cluster: Cluster) -> None:
    two = cluster(2, waits={"peers": 2, "gate": 2}).found()
    two.leave(2)
    two.shell(1, "systemctl stop etcd")
    refused = two.join(2, founders=[1, 2], check=False)
    assert refused.returncode == 1
    assert "etcd-2 has left cluster etcd, and no member of it answers" in refused.stderr
    assert "It never founds a cluster again" in refused.stderr
    assert not two.starts(2)


def test_a_start_between_claim_and_seat_leaves_the_seat_to_be_taken(cluster: Cluster) -> None:
    """A machine that boots in between is no hindrance."""
    three = cluster(3).found([1, 2])
    three.shell(
        3, "mkdir -p /opt/etcd/clusters; ln -sfn ../versions/3.6.16 /opt/etcd/clusters/etcd"
    )
    assert_nothing_is_founded(three, 3)
    three.join(3, founders=[1, 2])
    eventually("all three are one cluster", three.is_well)
