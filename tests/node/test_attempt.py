"""An attempt that formed no cluster gives way to the next one, and no other one does."""

from __future__ import annotations

from tests.authority import Authority
from tests.node.conftest import Cluster
from tests.node.members import in_parallel


def test_a_founder_begins_anew_with_others_while_there_is_no_cluster(cluster: Cluster) -> None:
    three = cluster(3)
    three.prepare_all()
    begun = three.join(1, founders=[1, 2, 3])
    assert "etcd-2, etcd-3 have not begun yet" in begun.stdout

    first, second = in_parallel(lambda seq: three.join(seq, founders=[1, 2]), [1, 2])
    assert "an attempt that formed no cluster is cleared away" in first.stdout
    assert "cleared away" not in second.stdout
    assert three.roles() == {"etcd-1": "voter", "etcd-2": "voter"}
    assert "member.attempt-" in three.shell(1, f"ls {three.instance(1).data_dir}")

    # A cluster counts on it now, whoever is said to found one.
    again = three.join(1, founders=[1, 3])
    assert "cleared away" not in again.stdout
    assert three.roles() == {"etcd-1": "voter", "etcd-2": "voter"}


def test_a_machine_that_was_tried_can_have_another_directory_ports_and_ca(
    cluster: Cluster,
) -> None:
    two = cluster(2)
    two.prepare_all()
    assert "etcd-2 has not begun yet" in two.join(1, founders=[1, 2]).stdout

    two.authority = Authority(name="right CA")
    two.put_certificate(1)
    two.data_dir, two.peer_port = "/data/right", 3380
    two.prepare_all()
    in_parallel(lambda seq: two.join(seq, founders=[1, 2]), [1, 2])
    assert two.roles() == {"etcd-1": "voter", "etcd-2": "voter"}
    # What etcd had written is kept, and an empty directory is not.
    assert two.shell(1, "ls /data/etcd").startswith("member.attempt-")
    assert two.shell(2, "ls /data") == "right"


def test_what_others_put_into_a_directory_that_was_tried_stays(cluster: Cluster) -> None:
    two = cluster(2)
    two.prepare_all()
    two.shell(2, "mkdir /data/etcd/postgres && touch /data/etcd/postgres/PG_VERSION")
    two.data_dir = "/data/right"
    two.prepare_all()
    in_parallel(lambda seq: two.join(seq, founders=[1, 2]), [1, 2])
    assert two.roles() == {"etcd-1": "voter", "etcd-2": "voter"}
    assert two.shell(2, "ls -A /data/etcd /data/etcd/postgres").split()[-1] == "PG_VERSION"
    assert two.shell(1, "ls /data") == "right"
