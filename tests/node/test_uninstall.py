"""Nothing of ours is left on a machine, and nothing of others is taken."""

from __future__ import annotations

import pytest

from lab import Lab
from tests.node.conftest import SUBNET, Cluster
from tests.node.members import Members, eventually

ALL = ("--remove-data", "--remove-software")

# Every file, user, unit and process. What the machine writes by itself is not ours.
_LOOK = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /run/log -o -path /run/systemd \
  -o -path /var/log -o -path /var/lib/systemd -o -path /tmp -o -path /var/tmp/systemd-private-\* \
  -o -name '*-' \) -prune -o -print
find /run /var/tmp -path /run/log -prune -o -path /run/systemd -prune -o -print | grep -i etcd
getent passwd; getent group
systemctl list-units --all --plain --no-legend 'etcd*' 'data*'
systemctl list-unit-files 'etcd*' --no-legend
ps -eo args | grep '[e]tcd'
true
"""


def look(members: Members) -> set[str]:
    return set(members.shell(1, _LOOK).splitlines())


def test_no_trace_is_left_of_a_member_its_data_and_its_software(cluster: Cluster) -> None:
    one = cluster(1)
    one.shell(1, "rm -rf /opt/etcd; userdel etcd", check=False)
    before = look(one)
    one.found(access=True)
    one.run(1, "status")
    one.shell(1, f"touch /root/etcd-3.6.16-etcd-1-{SUBNET}.10.tar.gz")
    assert look(one) - before
    done = one.uninstall(1, *ALL)

    assert done.stdout.strip() == "etcd-1 is off this machine. Its data in /data/etcd are deleted."
    assert "cannot open" not in done.stderr
    # systemd forgets a unit that is gone in its own time.
    eventually("nothing is left", lambda: look(one) <= before)
    assert before - look(one) == set()


def test_what_was_there_before_stays(cluster: Cluster) -> None:
    one = cluster(1)
    one.shell(1, "mkdir -p /data/photos")
    one.found()
    one.uninstall(1, *ALL)

    assert one.shell(1, "ls /data") == "photos"


def test_data_and_programs_stay_when_they_are_to_stay(cluster: Cluster) -> None:
    one = cluster(1).found()
    done = one.uninstall(1)

    assert "Its data stay in /data/etcd." in done.stdout
    assert "The programs stay in /opt/etcd/versions." in done.stdout
    assert one.shell(1, "ls /data/etcd/member/wal")
    assert one.shell(1, "stat -c %U /data/etcd") == "etcd"
    assert one.shell(1, "ls /etc/etcd", check=False) == ""
    assert one.shell(1, "systemctl is-active etcd", check=False) == "inactive"


def test_data_on_a_disk_of_their_own_are_erased(cluster: Cluster) -> None:
    one = cluster(1)
    one.shell(
        1,
        "mkdir -p /data/etcd /data/disk/lost+found && mount --bind /data/disk /data/etcd",
    )
    preflight = ["--name", "etcd-1", "--address", f"{SUBNET}.10", "--data", "/data/etcd"]
    one.send_program(1)
    one.run(1, "preflight", *preflight)
    one.found()
    one.uninstall(1, *ALL)

    assert one.shell(1, "ls -A /data/etcd") == ""
    assert one.shell(1, "umount /data/etcd && echo unmounted") == "unmounted"


@pytest.fixture
def two_clusters(nodes: Lab) -> tuple[Members, Members]:
    first = Members(nodes, 1).found()
    other = Members(
        nodes, 1, "other", client_port=2479, peer_port=2480, data_dir="/srv/other"
    ).found()
    return first, other


def test_one_of_two_clusters_on_a_machine_is_erased(two_clusters: tuple[Members, Members]) -> None:
    first, other = two_clusters
    process = other.pid(1)
    listed = other.shell(1, "ETCD_CLUSTER=other etcdctl member list")
    assert f"other-1, https://{SUBNET}.10:2480, https://{SUBNET}.10:2479" in listed
    assert "etcd-1," in first.shell(1, "etcdctl member list")
    first.uninstall(1, *ALL)

    assert other.pid(1) == process
    assert other.roles() == {"other-1": "voter"}
    assert "other-1," in other.shell(1, "etcdctl member list")
    assert other.shell(1, "ls -d /data /etc/etcd/etcd", check=False) == ""
    assert "no restart" in other.rollout(1).stdout
    other.uninstall(1, *ALL)
    assert (
        other.shell(1, "ls -d /opt/etcd /etc/etcd /srv/other /usr/local/sbin/etcdctl", check=False)
        == ""
    )


def test_erasing_twice_or_nothing_is_no_error(cluster: Cluster) -> None:
    one = cluster(1)
    one.send_program(1)
    assert "etcd is off this machine" in one.uninstall(1, *ALL).stdout
    one.send_program(1)
    one.uninstall(1, *ALL)


def test_what_others_put_into_our_directories_stays_and_is_named(cluster: Cluster) -> None:
    """Ours is what etcd-node put there, by its name, and not all that is near it."""
    one = cluster(1)
    before = ["/etc/etcd/etcd.conf", "/etc/etcd/etcd/notes.txt", "/etc/etcd/ssl/ca.pem"]
    later = [
        "/opt/etcd/backup.sh",
        "/opt/etcd/versions/3.6.16/bin/etcd.patched",
        "/var/lib/etcd-node/etcd/mine.db",
    ]
    put = "for f in {}; do mkdir -p ${{f%/*}}; echo mine >$f; done"
    one.shell(1, put.format(" ".join(before)))
    one.found()
    one.shell(1, put.format(" ".join(later)))
    try:
        done = one.uninstall(1, *ALL)
        assert "What is not etcd-node's stays: /etc/etcd/etcd/notes.txt, " in done.stdout
        assert "/opt/etcd/versions/3.6.16/bin/etcd.patched and 1 more." in done.stdout
        left = one.shell(1, "find /etc/etcd /opt/etcd /var/lib/etcd-node -type f")
        assert set(left.split()) == {*before, *later}
        assert one.shell(1, "ls /usr/local/sbin/etcd-node /data; id etcd", check=False) == ""
        # They make no cluster: whoever comes next finds a machine of nobody.
        one.send_program(1)
        assert "is claimed" in one.claim(1).stdout
    finally:
        one.shell(1, "rm -rf /opt/etcd/backup.sh /opt/etcd/versions/3.6.16 /var/lib/etcd-node")


def test_a_unit_of_the_same_name_that_is_somebody_else_s_stays(cluster: Cluster) -> None:
    one = cluster(1)
    one.send_program(1)
    one.claim(1)
    one.shell(1, "echo '[Service]' >/etc/systemd/system/etcd.service")
    one.uninstall(1, *ALL)
    assert one.shell(1, "cat /etc/systemd/system/etcd.service") == "[Service]"
