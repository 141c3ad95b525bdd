"""A data directory that is reached by a link is looked at, made and emptied where it really is."""

from __future__ import annotations

import pytest

from tests.node.conftest import Cluster
from tests.node.members import Members

FAST = "/data/fast"
ALL = ("--remove-data", "--remove-software")


def linked(cluster: Cluster, to: str = f"{FAST}/etcd", at: str = "/data/etcd") -> Members:
    one = cluster(1)
    one.send_program(1)
    one.shell(1, f"mkdir -p {FAST} && ln -s {to} {at}")
    return one


def test_a_foreign_directory_behind_a_link_is_refused_and_stays(cluster: Cluster) -> None:
    one = linked(cluster)
    one.shell(1, f"mkdir -p {FAST}/etcd && echo mine >{FAST}/etcd/photo && chmod 755 {FAST}/etcd")
    refused = one.claim(1, check=False)
    assert refused.returncode == 1
    assert f"{FAST}/etcd is not empty and not this instance's" in refused.stderr
    assert one.shell(1, f"stat -c '%U %a' {FAST}/etcd; cat {FAST}/etcd/photo") == "root 755\nmine"


@pytest.mark.parametrize("kind", ["there", "dangling", "parent"])
def test_the_real_directory_is_used_and_emptied_and_the_link_stays(
    cluster: Cluster, kind: str
) -> None:
    one = cluster(1)
    one.shell(1, f"mkdir -p {FAST}")
    if kind == "parent":
        one.data_dir = "/data/link/etcd"
        one.shell(1, f"ln -s {FAST} /data/link")
    else:
        one.shell(1, f"ln -s {FAST}/etcd /data/etcd")
    if kind == "there":
        one.shell(1, f"mkdir {FAST}/etcd")
    before = one.shell(1, "find /data | sort")
    one.found()
    assert one.shell(1, f"stat -c '%U %a' {FAST}/etcd; ls {FAST}/etcd") == "etcd 700\nmember"
    assert "is claimed" in one.claim(1).stdout

    said = one.uninstall(1, *ALL).stdout
    assert f"Its data in {FAST}/etcd are deleted." in said
    assert one.shell(1, "find /data | sort") == before


def test_a_link_that_leads_elsewhere_than_before_costs_nobody_data(cluster: Cluster) -> None:
    one = linked(cluster).found()
    one.shell(1, "mkdir /data/slow && echo mine >/data/slow/photo; systemctl stop etcd")
    one.shell(1, "ln -sfn /data/slow /data/etcd")
    refused = one.put_config(1, check=False)
    assert refused.returncode == 1
    assert f"/data/etcd leads to /data/slow, but led to {FAST}/etcd" in refused.stderr
    assert one.shell(1, "stat -c %U /data/slow") == "root"
    refused = one.claim(1, check=False)
    assert f"but etcd-1 has its data in {FAST}/etcd" in refused.stderr

    said = one.uninstall(1, *ALL).stdout
    assert f"/data/etcd leads to /data/slow, and not to {FAST}/etcd" in said
    assert "none were removed" in said
    assert one.shell(1, f"cat /data/slow/photo; ls {FAST}/etcd") == "mine\nmember"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("ln -s /data/b /data/etcd; ln -s /data/etcd /data/b", "cannot be followed: the link"),
        ("ln -s / /data/etcd", "/data/etcd is the directory / of the system"),
        ("ln -s /home /data/etcd", "/data/etcd is the directory /home of the system"),
        ("ln -s /srv /data/etcd", "/data/etcd is the directory /srv of the system"),
        ("ln -s /run/etcd-data /data/etcd", "/run/etcd-data of the system"),
        ("echo >/data/file; ln -s /data/file /data/etcd", "/data/file is not a directory"),
    ],
)
def test_links_that_lead_nowhere_or_into_the_system_are_refused(
    cluster: Cluster, script: str, message: str
) -> None:
    one = cluster(1)
    one.send_program(1)
    one.shell(1, f"mkdir -p /data; {script}")
    refused = one.claim(1, check=False)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert one.shell(1, "ls -d /etc/etcd", check=False) == ""


def test_what_is_mounted_below_the_data_stays_also_of_the_same_disk(cluster: Cluster) -> None:
    one = cluster(1).found()
    one.shell(1, "mkdir -p /data/photos /data/etcd/more && echo mine >/data/photos/one")
    one.shell(1, "mount --bind /data/photos /data/etcd/more")
    said = one.uninstall(1, *ALL).stdout
    held = one.shell(1, "cat /data/photos/one; umount /data/etcd/more")
    assert held == "mine"
    assert "Its data stay in /data/etcd, because /data/etcd/more is mounted there" in said


def test_two_clusters_do_not_share_a_directory_by_way_of_a_link(cluster: Cluster) -> None:
    one = cluster(1)
    one.send_program(1)
    one.claim(1)
    one.shell(1, "mkdir -p /data/etcd && ln -s /data/etcd /data/other")
    other = Members(one.lab, 1, "other", client_port=2479, peer_port=2480, data_dir="/data/other")
    refused = other.claim(1, check=False)
    assert "is /data/etcd, which cannot be shared with /data/other" in refused.stderr
