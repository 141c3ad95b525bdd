"""A lab of these tests' own, its nodes shared by all of them and cleaned before each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from lab.cache import locked
from tests.node.members import Members, in_parallel

LAB, SUBNET = os.environ.get("ETCD_TEST_NODE_LAB", "node:10.10.13").split(":")
NODES = 5

Cluster = Callable[..., Members]

# All that etcd-node and the tests may have left, by force: a test must not depend on `uninstall`.
_CLEAN = r"""
ip -6 addr flush dev eth0 scope global 2>/dev/null
sed -i '/etcd-node test/d' /etc/hosts
for socket in $(ss -Hltnp 'sport >= :2379 and sport <= :2480' | grep -o 'pid=[0-9]*'); do
  kill -9 "${socket#pid=}"
done
places='/etc/systemd/system/etcd* /etc/systemd/system/*.wants/etcd*
  /etc/etcd /data /srv/other /opt/etcd/clusters /opt/etcd/versions/preinstalled
  /opt/etcd/versions/package /run/etcd-node /usr/local/bin/etcd* /usr/local/sbin/etcd*
  /var/tmp/etcd-* /var/lib/etcd-node'
units=$(systemctl list-units --all --plain --no-legend 'etcd*' 'foreign*' | cut -d' ' -f1)
# Most tests leave some of the five nodes alone; what follows costs a second of processor time.
[ -n "$units$(ls -d $places 2>/dev/null)" ] || exit 0
for unit in $units; do
  systemctl kill --kill-who=all -s KILL "$unit" 2>/dev/null; systemctl stop "$unit" 2>/dev/null
done
# What a link leads to is not this test's to take away.
for place in /data/etcd/more /data/etcd /data; do
  [ -L "$place" ] || umount "$place" 2>/dev/null
done
rm -rf $places
find /opt/etcd/versions -maxdepth 1 -type l -delete 2>/dev/null
systemctl daemon-reload; systemctl reset-failed 'etcd*' 'foreign*' 2>/dev/null
journalctl --rotate -q 2>/dev/null; journalctl --vacuum-time=1s -q 2>/dev/null
true
"""


@pytest.fixture(scope="session")
def lab(lab_or_fail: None) -> Iterator[Lab]:
    """Five running nodes. ETCD_LAB_KEEP=1 leaves them running, for the next run to be quick."""
    with locked(Path(f"/run/lock/etcd-lab-{LAB}.lock")):
        lab = Lab.named(LAB, SUBNET)
        keep = os.environ.get("ETCD_LAB_KEEP") == "1"
        if not keep:
            lab.down()
        try:
            lab.up(NODES)
            yield lab
        finally:
            if not keep:
                lab.down()


def clean(lab: Lab, number: int) -> None:
    lab.exec(number, "sh", "-c", _CLEAN)


_standing: list[Members] = []
"""The three members that the last test left; empty when it left something else."""


def _connect_all(lab: Lab) -> None:
    found = lab.nodes()
    if not all(one.running for one in found):
        lab.up(NODES)
    for one in found:
        if one.cut_from:
            lab.heal(one.number)


@pytest.fixture
def nodes(lab: Lab) -> Lab:
    """All nodes up, connected, and without anything of etcd but its programs."""
    _standing.clear()
    _connect_all(lab)
    in_parallel(lambda number: clean(lab, number), [one.number for one in lab.nodes()])
    return lab


@pytest.fixture
def cluster(nodes: Lab) -> Cluster:
    """Make a cluster of so many declared members on clean nodes."""

    def make(size: int, **wanted: Any) -> Members:
        return Members(nodes, size, **wanted)

    return make


@pytest.fixture
def three(lab: Lab, request: pytest.FixtureRequest) -> Members:
    """Three voters that are well, with authentication on; the last test's, if they still are."""
    if _standing:
        _connect_all(lab)
        members = _standing[0]
        members.waits = {}
        in_parallel(members.send_program, members.everyone)
        if members.is_well():
            return members
    members = Members(request.getfixturevalue("nodes"), 3).found(access=True)
    _standing.append(members)
    return members
