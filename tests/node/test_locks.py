"""No other user of the machine can hold up what etcd-node and etcd-monitor do."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.node.conftest import Cluster
from tests.node.members import Members, eventually

# All that a user can open there he locks, if only for reading.
_LOCK_ALL = """
setpriv --reuid=nobody --regid=nogroup --clear-groups sh -c '
  for file in $(find "$@" -readable 2>/dev/null); do flock "$file" sleep 40 & done
  touch /tmp/locked; wait' sh "$@"
"""


@contextlib.contextmanager
def everything_locked_by_a_user(members: Members, *places: str) -> Iterator[None]:
    members.shell(1, "rm -f /tmp/locked")
    command = members.lab.exec_command(10, ["sh", "-c", _LOCK_ALL, "sh", *places])
    with subprocess.Popen(command):
        try:
            eventually("all is locked", lambda: members.shell(1, "ls /tmp/locked", check=False))
            time.sleep(0.5)
            yield
        finally:
            members.shell(1, "pkill -u nobody sleep; pkill -u nobody sh; :", check=False)


@pytest.fixture
def one(cluster: Cluster) -> Members:
    return cluster(1).found(access=True)


def test_a_user_who_locks_all_that_he_can_open_holds_up_no_command(one: Members) -> None:
    places = ("/run/etcd-node", "/etc/etcd", "/opt/etcd", "/usr/local/sbin")
    with everything_locked_by_a_user(one, *places):
        assert one.shell(1, "pgrep -u nobody flock | wc -l") != "0", "nothing is locked"
        for said in (one.access(), one.put_binary(1), one.put_config(1)):
            assert "waiting for another" not in said.stdout
    assert one.shell(1, "find /run/etcd-node/locks ! -user root") == ""


def test_locks_are_in_a_directory_that_only_root_can_enter(one: Members) -> None:
    assert one.shell(1, "stat -c '%U %a' /run/etcd-node/locks") == "root 700"
    # What is told to everybody stays readable, for the listener that has no rights.
    assert one.shell(1, "stat -c '%U %a' /run/etcd-node") == "root 755"


@pytest.mark.parametrize("change", ["chmod 755", "chown nobody"])
def test_a_directory_of_locks_that_others_can_enter_is_refused(one: Members, change: str) -> None:
    one.shell(1, f"{change} /run/etcd-node/locks")
    refused = one.access(check=False)
    assert refused.returncode == 1
    assert "/run/etcd-node/locks is not a directory of root with mode 700" in refused.stderr
    one.shell(1, "rm -r /run/etcd-node/locks")
    assert one.access().returncode == 0


def test_a_user_cannot_hold_up_the_monitor_s_program(cluster: Cluster) -> None:
    one = cluster(1)
    one.send_program(1, path="/root/etcd-monitor")
    files = "echo '--- end' | /root/etcd-monitor files --kind dashboards"
    try:
        one.shell(1, f"mkdir /etc/etcd-monitor; echo ours >/etc/etcd-monitor/owner; {files}")
        with everything_locked_by_a_user(one, "/run/etcd-monitor", "/etc/etcd-monitor"):
            assert "waiting for another" not in one.shell(1, files)
        assert "is off this machine" in one.shell(1, "/root/etcd-monitor uninstall --yes")
        assert one.shell(1, "ls -d /run/etcd-monitor", check=False) == ""
    finally:
        one.shell(1, "rm -rf /root/etcd-monitor /run/etcd-monitor /etc/etcd-monitor", check=False)
