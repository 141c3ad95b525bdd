"""Preflight looks with the eyes of what will run: what it calls fit, runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.node.conftest import SUBNET, Cluster
from tests.node.members import Members


@dataclass(frozen=True)
class Obstacle:
    """What is wrong with a machine, and how that is undone."""

    script: str
    problem: str
    cure: str
    undo: str = ":"
    options: dict[str, str] = field(default_factory=dict)


def read_only(place: str) -> str:
    return f"mount --bind {place} {place} && mount -o remount,bind,ro {place}"


_DROP_IN = "mkdir -p {0}; printf '[Service]\\n{1}\\n' >{0}/old.conf; systemctl daemon-reload"
_REMOVE = "rm -r {0}; systemctl daemon-reload"

OBSTACLES = {
    # With ProtectHome=yes the unit fails with 226/NAMESPACE, or finds nothing.
    "data in /home": Obstacle(
        "",
        "/home/etcd leads through /home, which etcd does not see: its unit has ProtectHome=yes",
        "choose an etcd_data outside of /home",
        options={"data": "/home/etcd"},
    ),
    "data linked to /root": Obstacle(
        "mkdir -p /data /root/big && ln -s /root/big /data/etcd",
        "/data/etcd leads through /root, which etcd does not see",
        "choose an etcd_data outside of /home, /root",
        "rm -r /root/big",
    ),
    "data linked by way of /home": Obstacle(
        "mkdir -p /data/disk && ln -s /data/disk /home/way && ln -s /home/way/etcd /data/etcd",
        "/data/etcd leads through /home, which etcd does not see",
        "choose an etcd_data",
        "rm /home/way",
    ),
    # Each start would find an empty directory there.
    "data in /var/tmp": Obstacle(
        "",
        "which etcd does not see: its unit has PrivateTmp=yes",
        "choose an etcd_data",
        options={"data": "/var/tmp/x/etcd"},
    ),
    "a parent that others may not enter": Obstacle(
        "mkdir -p /data/closed/open && chmod 700 /data/closed",
        "the user etcd may not enter /data/closed (mode 700, of root), which is on the way to"
        " /data/closed/open/etcd",
        "chmod o+x /data/closed, or choose another etcd_data",
        options={"data": "/data/closed/open/etcd"},
    ),
    "programs that others may not reach": Obstacle(
        "mkdir -p /opt/etcd && chmod 750 /opt/etcd",
        "the user etcd may not enter /opt/etcd (mode 750, of root), which is on the way to"
        " /opt/etcd/versions",
        "chmod o+x /opt/etcd",
        "chmod 755 /opt/etcd",
    ),
    "configuration that others may not reach": Obstacle(
        "mkdir -p /etc/etcd && chmod 700 /etc/etcd",
        "the user etcd may not enter /etc/etcd",
        "chmod o+x /etc/etcd",
    ),
    "a read-only /opt": Obstacle(
        read_only("/opt"),
        "nothing can be written in /opt/etcd/versions, where etcd's programs go: /opt is mounted"
        " read-only",
        "mount it writable",
        "umount /opt",
    ),
    "a read-only /usr/local": Obstacle(
        read_only("/usr/local"),
        "nothing can be written in /usr/local/sbin, where this program goes: /usr/local is mounted"
        " read-only",
        "mount it writable",
        "umount /usr/local",
    ),
    "an /opt without programs": Obstacle(
        "mount --bind /opt /opt && mount -o remount,bind,noexec /opt",
        "/opt is mounted with noexec, so no program starts from /opt/etcd",
        "mount it without",
        "umount /opt",
    ),
    "a file in the place of a directory": Obstacle(
        "echo >/etc/etcd",
        "/etc/etcd is not a directory, where its configuration goes",
        "move it away",
        "rm /etc/etcd",
    ),
    "a user that is root": Obstacle(
        "sed -i.kept /^etcd:/d /etc/passwd && echo etcd:x:0:0::/:/bin/sh >>/etc/passwd",
        "the user etcd has the number 0",
        "remove or rename that user",
        "mv /etc/passwd.kept /etc/passwd",
    ),
    "a drop-in that starts something else": Obstacle(
        _DROP_IN.format("/etc/systemd/system/etcd.service.d", "ExecStart=\\nExecStart=/bin/true"),
        "/etc/systemd/system/etcd.service.d/old.conf would change how etcd.service starts"
        " (ExecStart)",
        "rm /etc/systemd/system/etcd.service.d/old.conf; systemctl daemon-reload",
        _REMOVE.format("/etc/systemd/system/etcd.service.d"),
    ),
    "a drop-in for all services": Obstacle(
        _DROP_IN.format("/run/systemd/system/service.d", "User=nobody"),
        "/run/systemd/system/service.d/old.conf would change how etcd.service starts (User)",
        "rm /run/systemd/system/service.d/old.conf",
        _REMOVE.format("/run/systemd/system/service.d"),
    ),
    # As Debian's installer writes it.
    "an own name on 127.0.1.1": Obstacle(
        "echo '127.0.1.1 etcd-a.example etcd-a # etcd-node test' >>/etc/hosts",
        "the name etcd-a.example leads to 127.0.1.1 on this machine",
        "take etcd-a.example out of the line of 127.0.1.1 in /etc/hosts",
        "sed -i '/etcd-node test/d' /etc/hosts",
        {"address": "etcd-a.example"},
    ),
    "an own name on 127.0.0.1": Obstacle(
        "echo '127.0.0.1 localhost2 etcd-a # etcd-node test' >>/etc/hosts",
        "the name etcd-a leads to 127.0.0.1 on this machine",
        "take etcd-a out of the line of 127.0.0.1",
        "sed -i '/etcd-node test/d' /etc/hosts",
        {"address": "etcd-a"},
    ),
    "a quota above the disk's size": Obstacle(
        "",
        "etcd's quota is 1048576000 MiB, and the disk of /data/etcd has ",
        "lower etcd_quota, or choose an etcd_data on a larger disk",
        options={"quota": str(1000 << 40)},
    ),
    "data in memory": Obstacle(
        "mkdir -p /data && mount -t tmpfs -o size=2g none /data",
        "/data/etcd is on a tmpfs, which is empty after a reboot",
        "choose an etcd_data on a disk",
        "umount /data",
    ),
    "a disk that is not mounted": Obstacle(
        "mkdir -p /data && echo '/dev/vdz /data ext4 defaults 0 0 # etcd-node test' >>/etc/fstab",
        "/etc/fstab has a disk for /data, and it is not mounted",
        "mount it (`mount /data`), or take its line out of /etc/fstab",
        "sed -i '/etcd-node test/d' /etc/fstab",
    ),
}


def preflight(members: Members, **replaced: str) -> tuple[int, str]:
    instance = members.instance(1)
    chosen = {
        "name": instance.name,
        "address": instance.node.address,
        "data": instance.data_dir,
        **replaced,
    }
    words = [word for key, value in chosen.items() for word in (f"--{key}", value)]
    done = members.run(1, "preflight", *words, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def one(cluster: Cluster) -> Members:
    members = cluster(1)
    members.send_program(1)
    return members


@pytest.mark.parametrize("case", OBSTACLES)
def test_what_would_not_run_is_refused_with_its_cure(one: Members, case: str) -> None:
    obstacle = OBSTACLES[case]
    one.shell(1, obstacle.script or ":")
    try:
        code, said = preflight(one, **obstacle.options)
    finally:
        one.shell(1, obstacle.undo)
    assert (code, said.count("\n  - ")) == (1, 1), said
    problem, _, cure = said.partition("\n  - ")[2].partition(". Cure: ")
    assert obstacle.problem in problem
    assert obstacle.cure in cure


RUNS = {
    "a group without its user": "groupadd --system etcd",
    "a user in another group, locked and expired": (
        "useradd --system --gid daemon --expiredate 1970-01-02 etcd && passwd -q -l etcd"
    ),
    "a user in another group, beside one of its own": (
        "groupadd etcd && useradd --gid daemon --groups adm etcd"
    ),
    "a parent that only a group may enter": (
        "groupadd wheel2; useradd --system --groups wheel2 etcd; mkdir -p /data"
        " && chgrp wheel2 /data && chmod 750 /data"
    ),
    "a masked unit": "ln -s /dev/null /etc/systemd/system/etcd.service",
    "a proxy for all services": (
        "systemctl set-environment HTTPS_PROXY=http://127.0.0.1:9 HTTP_PROXY=http://127.0.0.1:9"
        " https_proxy=http://127.0.0.1:9 ALL_PROXY=http://127.0.0.1:9"
    ),
}
_NO_USER = "userdel -f etcd; groupdel etcd; groupdel wheel2; true"
_NO_PROXY = "systemctl unset-environment HTTPS_PROXY HTTP_PROXY https_proxy ALL_PROXY"


@pytest.mark.parametrize("case", RUNS)
def test_what_can_be_put_right_safely_is_fit_and_runs(cluster: Cluster, case: str) -> None:
    two = cluster(2)
    for seq in two.everyone:
        two.shell(seq, f"({_NO_USER}) 2>/dev/null; {RUNS[case]}")
    two.send_program(1)
    try:
        code, said = preflight(two)
        assert (code, "warning" in said) == (0, False), said
        two.found()
        assert two.is_well()
        assert two.shell(1, "stat -c '%U %G' /data/etcd") == "etcd etcd"
    finally:
        for seq in two.everyone:
            two.shell(
                seq,
                f"systemctl kill -s KILL etcd; systemctl stop etcd; {_NO_PROXY}; {_NO_USER}",
                check=False,
            )


def test_a_drop_in_that_changes_no_start_is_only_mentioned(one: Members) -> None:
    place = "/etc/systemd/system/etcd.service.d"
    one.shell(1, _DROP_IN.format(place, "MemoryMax=1G\\nNice=1"))
    code, said = preflight(one)
    one.shell(1, _REMOVE.format(place))
    assert code == 0
    assert f"warning: etcd-1: {place}/old.conf changes etcd.service (MemoryMax, Nice)" in said


def test_a_quota_above_what_is_free_is_only_mentioned(one: Members) -> None:
    free = int(one.shell(1, "df -Pm / | awk 'NR == 2 { print $4 }'"))
    size = int(one.shell(1, "df -Pm / | awk 'NR == 2 { print $2 }'"))
    if size - free < 2048:
        pytest.skip("the disk is as good as empty")
    code, said = preflight(one, quota=str((free + 1024) << 20))
    assert code == 0
    assert f"warning: etcd-1: etcd's quota is {free + 1024} MiB, and " in said
    code, said = preflight(one, quota=str(1 << 30))
    assert (code, "warning" in said) == (0, False)


def test_a_member_that_runs_is_not_held_up_by_what_came_later(cluster: Cluster) -> None:
    one = cluster(1).found()
    place = "/etc/systemd/system/etcd.service.d"
    one.shell(1, _DROP_IN.format(place, "ExecStartPre=/bin/true"))
    code, said = preflight(one, quota=str(1000 << 40))
    one.shell(1, _REMOVE.format(place))
    assert code == 0, said
    assert "old.conf changes etcd.service (ExecStartPre)" in said
    assert "warning: etcd-1: etcd's quota is" in said


def test_a_person_says_nothing_and_hears_of_all_clusters_of_the_machine(cluster: Cluster) -> None:
    one = cluster(1)
    one.send_program(1)
    done = one.lab.exec(one.node(1), "/usr/local/sbin/etcd-node", "preflight", check=False)
    assert (done.returncode, done.stdout.startswith("the machine is fit (")) == (0, True)
    one.claim(1)
    other = Members(one.lab, 1, "other", client_port=2479, peer_port=2480, data_dir="/srv/other")
    other.claim(1)
    before = one.shell(1, "find /etc/etcd /run/etcd-node /data /srv | sort", check=False)
    done = one.lab.exec(one.node(1), "/usr/local/sbin/etcd-node", "preflight", check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:2]] == ["etcd-1", "other-1"]
    one.shell(1, f"sed -i 's/{SUBNET}.10/{SUBNET}.99/' /etc/etcd/other/claim")
    done = one.lab.exec(one.node(1), "/usr/local/sbin/etcd-node", "preflight", check=False)
    assert done.returncode == 1
    assert "etcd-1: the machine is fit" in done.stdout
    assert "this machine cannot be other-1 yet" in done.stderr
    assert one.shell(1, "find /etc/etcd /run/etcd-node /data /srv | sort", check=False) == before
