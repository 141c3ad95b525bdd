"""Is a machine fit to be a member? All findings at once, and nothing is changed."""

from __future__ import annotations

import time

import pytest

from tests.node.conftest import SUBNET, Cluster
from tests.node.members import OWNER, Members

_FILES = (
    r"find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /var/log \) -prune -o -print"
)


def preflight(members: Members, *options: str, **replaced: str) -> tuple[int, str]:
    """Exit status and all that was printed."""
    instance = members.instance(1)
    chosen = {
        "name": instance.name,
        "address": instance.node.address,
        "data": instance.data_dir,
        "method": "archive",
        **replaced,
    }
    words = [word for key, value in chosen.items() for word in (f"--{key}", value)]
    done = members.run(1, "preflight", *words, *options, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def one(cluster: Cluster) -> Members:
    members = cluster(1)
    members.send_program(1)
    return members


def test_a_fit_machine_is_fit_and_stays_as_it_was(one: Members) -> None:
    before = one.shell(1, _FILES)
    code, said = preflight(one, "--clock", str(int(time.time())))

    assert (code, "etcd-1: the machine is fit (amd64, " in said) == (0, True)
    assert one.shell(1, _FILES) == before


def test_a_machine_that_runs_this_member_is_fit(three: Members) -> None:
    code, said = preflight(three)
    assert (code, "is fit" in said) == (0, True), said


# What was connected to an etcd before must not keep the port from the listener.
LISTEN = (
    "systemd-run -q --unit=foreign-listener perl -MIO::Socket::INET -e 'push @l, "
    "IO::Socket::INET->new(Listen => 1, LocalPort => 2380, ReuseAddr => 1) || die; sleep 60' && "
    "timeout 20 sh -c 'until ss -Hltn sport = :2380 | grep -q .; do sleep 0.1; done'"
)

FOUND = {
    "port": (LISTEN, {}, "the peer port 2380 is held by `perl` (process "),
    "data": ("mkdir -p /data/etcd/other", {}, "/data/etcd is not empty and not this instance's"),
    "no directory": ("mkdir -p /data && touch /data/etcd", {}, "/data/etcd is not a directory"),
    "address": ("", {"address": f"{SUBNET}.99"}, f"the address {SUBNET}.99 is not on this machine"),
    "ipv6 address": ("", {"address": "fd00::99"}, "the address fd00::99 is not on this machine"),
    "name": ("", {"address": "beef.cafe.invalid"}, "the name beef.cafe.invalid cannot be resolved"),
    "program": (
        "mount --bind /etc/hosts /usr/sbin/useradd",
        {},
        "these programs are missing: useradd",
    ),
    "slow clock": ("", {"clock": "+60"}, " s behind the machine that runs Pulumi"),
    "fast clock": ("", {"clock": "-2000"}, " s ahead of the machine that runs Pulumi"),
    "full disk": (
        "mkdir -p /data && mount -t tmpfs -o size=50m none /data",
        {},
        " MiB are free for /data/etcd",
    ),
    "read-only disk": (
        "mkdir -p /data && mount -t tmpfs -o ro,size=1g none /data",
        {},
        "nothing can be written under /data",
    ),
    "unit": (
        "echo '[Unit]' >/etc/systemd/system/etcd.service",
        {},
        "/etc/systemd/system/etcd.service is somebody else's",
    ),
    "nothing preinstalled": ("", {"method": "preinstalled"}, "`etcd` is not on root's PATH"),
}


@pytest.mark.parametrize("case", FOUND)
def test_each_unfitness_is_found_with_its_cure(one: Members, case: str) -> None:
    script, replaced, message = FOUND[case]
    clock = replaced.get("clock")
    if clock:
        replaced = {"clock": str(int(time.time()) + int(clock))}
    one.shell(1, script)
    code, said = preflight(one, **replaced)
    one.shell(1, "umount /usr/sbin/useradd /data", check=False)

    assert code == 1
    assert "this machine cannot be etcd-1 yet; nothing was changed" in said
    assert message in said
    assert said.count("\n  - ") == said.count("Cure: ")


def test_all_findings_are_told_at_once(one: Members) -> None:
    one.shell(1, f"{LISTEN}; mkdir -p /data/etcd/other")
    before = one.shell(1, _FILES)
    code, said = preflight(one, address=f"{SUBNET}.99")

    assert code == 1
    assert said.count("\n  - ") == 3
    assert one.shell(1, _FILES) == before


def test_the_data_of_another_cluster_are_not_this_one_s(cluster: Cluster) -> None:
    one = cluster(1).found()
    other = Members(one.lab, 1, "other", client_port=2379, peer_port=2480)
    code, said = preflight(other, "--client-port", "2379", "--peer-port", "2480")

    assert code == 1
    assert "the client port 2379 is held by `etcd`" in said
    assert "/data/etcd holds the data of etcd-1 of cluster etcd" in said
    assert "2480" not in said


# ---- whose machine it is


def test_another_stack_s_machine_is_refused_and_kept(cluster: Cluster) -> None:
    one = cluster(1).found()
    code, said = preflight(one, "--owner", OWNER)
    assert (code, "is fit" in said) == (0, True)

    code, said = preflight(one, "--owner", "yours")
    assert code == 1
    assert "etcd-1 was put here by another stack" in said
    process = one.pid(1)
    erased = one.uninstall(1, "--owner", "yours", "--name", "etcd-1", "--remove-data")
    assert "which holds etcd-1 of another stack's cluster etcd" in erased.stdout
    assert one.pid(1) == process
    assert one.roles() == {"etcd-1": "voter"}

    one.uninstall(1, "--remove-data")
    assert one.shell(1, "ls -d /data /etc/etcd", check=False) == ""
