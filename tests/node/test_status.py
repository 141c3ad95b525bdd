"""What a person on the node is told, without a password."""

from __future__ import annotations

from tests.node.conftest import Cluster
from tests.node.members import Members, eventually, in_parallel


def status(members: Members, seq: int = 1) -> str:
    return members.run(seq, "status").stdout


def test_a_healthy_member_is_described(three: Members) -> None:
    three.make_leader(2)
    said = status(three)

    assert "instance    etcd-1 of cluster etcd, data in /data/etcd\n" in said
    assert "unit        etcd.service is active (running) since " in said
    assert "version     3.6.16, serving 3.6.16, cluster at 3.6.0\n" in said
    assert "files       are what the running process was started with\n" in said
    assert "certificate valid until " in said
    assert "seat        taken\n" in said
    lines = {line.split()[0]: line for line in said.splitlines() if line.startswith("  etcd-")}
    assert sorted(lines) == ["etcd-1", "etcd-2", "etcd-3"]
    assert "voter   runs, this one at https://10.10.13.10:2380" in lines["etcd-1"]
    assert "leader  runs at https://10.10.13.11:2380" in lines["etcd-2"]
    assert f"{int(three.member_id(3)):016x}" in lines["etcd-3"]


def test_what_is_not_well_is_described(cluster: Cluster) -> None:
    three = cluster(3).found()
    three.change(snapshot_count=9998)
    in_parallel(three.stop, [2, 3])
    # A leader that has lost its followers steps down when its election timeout is over.
    eventually("nobody leads", lambda: "leader" not in status(three))
    said = status(three)
    assert "files       differ from what runs; `pulumi up` rolls them out\n" in said
    assert "voter   not-running at https://10.10.13.11:2380" in said
    assert "leader" not in said

    three.shell(2, "systemctl disable -q etcd; rm -rf /data/etcd/member")
    said = status(three, 2)
    assert "unit        etcd.service is inactive (dead); does not start at boot\n" in said
    assert "seat        LOST: /data/etcd holds no member any more" in said
    assert "members     this one does not answer" in said
    # It still knows where the others are.
    assert "etcd-1 at https://10.10.13.10:2380: formed" in said


def test_a_machine_without_an_instance_says_so(cluster: Cluster) -> None:
    one = cluster(1)
    one.send_program(1)
    refused = one.run(1, "status", check=False)
    assert refused.returncode == 1
    assert "this machine has no instance of cluster etcd" in refused.stderr


def test_an_instance_without_a_seat_says_so(cluster: Cluster) -> None:
    one = cluster(1)
    one.prepare(1)
    assert "seat        not taken; `pulumi up` takes it\n" in status(one)
