"""Nothing hangs, nothing runs beside another, and nobody sees a password."""

from __future__ import annotations

import json
import socket
import subprocess
import time

import pytest

from tests.node.conftest import SUBNET, Cluster
from tests.node.members import PASSWORD, Members, credentials, eventually

SOON: dict[str, float] = {"limit": 3}


def test_a_mirror_that_never_answers_ends_the_run_with_a_message(cluster: Cluster) -> None:
    one = cluster(1)
    one.send_program(1)
    one.claim(1)
    one.waits = SOON
    with socket.create_server((one.lab.naming.gateway, 0)) as silent:
        port = silent.getsockname()[1]
        one.version = "3.6.17"
        given_up = one.put_binary(
            1, "--url", f"http://{SUBNET}.1:{port}/etcd", "--sha256-amd64", "0" * 64, check=False
        )

    assert given_up.returncode == 124
    last = given_up.stderr.strip().splitlines()[-1]
    assert f"gave up after 3 s while fetching http://{SUBNET}.1:{port}/etcd; it is safe" in last
    # Nor is anything left of it.
    assert ".new" not in one.shell(1, "ls -A /opt/etcd/versions")


def test_an_etcd_that_hangs_ends_the_run_with_a_message(cluster: Cluster) -> None:
    one = cluster(1).found()
    one.waits = SOON
    one.shell(1, "systemctl kill -s STOP etcd")
    given_up = one.access(check=False)
    one.shell(1, "systemctl kill -s CONT etcd")

    assert given_up.returncode == 124
    assert (
        f"gave up after 3 s while setting up access at https://{SUBNET}.10:2379" in given_up.stderr
    )
    assert "the end of `journalctl -u etcd.service`:" in given_up.stderr
    one.waits = {}
    assert one.access().returncode == 0


def test_a_second_run_waits_for_the_first(cluster: Cluster) -> None:
    one = cluster(1).found()
    one.shell(1, "systemctl kill -s STOP etcd")
    first = one.begin(1, "access", stdin=credentials())
    lock = "/run/etcd-node/locks/etcd.lock"
    eventually("the first is at work", lambda: one.shell(1, f"flock -n {lock} true || echo held"))
    second = one.begin(1, "access", stdin=credentials())
    time.sleep(4)  # it says so only when it has waited for a while
    one.shell(1, "systemctl kill -s CONT etcd")
    said = [each.communicate(timeout=60)[0] for each in (first, second)]

    assert (first.returncode, second.returncode) == (0, 0)
    assert "waiting for another etcd-node" not in said[0]
    assert "waiting for another etcd-node, which is at work here" in said[1]
    assert "authentication is on" in said[1]


def test_a_lock_whose_file_was_erased_meanwhile_locks_nothing(cluster: Cluster) -> None:
    one = cluster(1).found()
    lock = "/run/etcd-node/locks/etcd.lock"
    script = f"exec 9>{lock}; flock 9; touch /tmp/held; sleep 2; rm {lock}"
    one.shell(1, "rm -f /tmp/held")
    command = one.lab.exec_command(10, ["sh", "-c", script])
    with subprocess.Popen(command):
        eventually("the lock is held", lambda: one.shell(1, "ls /tmp/held", check=False))
        one.access()

    assert one.shell(1, f"ls {lock}")


# A sample of all that other users of the machine can see of its processes, again and again. What is
# looked for stands in a file, so that the search does not find itself.
_WATCH = r"""
rm -f /tmp/stop /tmp/hits; touch /tmp/hits
while [ ! -e /tmp/stop ]; do
  cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep -aoF -f /tmp/needle >>/tmp/hits
done
"""


@pytest.fixture
def watched(cluster: Cluster) -> Members:
    """Two machines with a member to be, the second one watched."""
    members = cluster(2)
    members.prepare_all()
    members.shell(2, "cat >/tmp/needle", stdin="$ecret")
    return members


def test_a_password_is_in_no_process_list_no_journal_and_no_file(watched: Members) -> None:
    watched.join(1, founders=[1])
    watched.access(1)
    command = watched.lab.exec_command(11, ["sh", "-c", _WATCH])
    with subprocess.Popen(command):
        watched.join(2, founders=[1])
        watched.access(2)
        watched.change(snapshot_count=9999)
        watched.rollout(2)
        for password in (PASSWORD, f"{PASSWORD}2"):
            login = json.dumps({"name": "app", "password": password})
            watched.run(2, "declare", "--user", "app", stdin=f"{credentials()}{login}\n")
        watched.run(2, "status")
        said = watched.leave(2).stdout
        hits = watched.shell(2, "cat /tmp/hits")
        # The watch does find what is there to be found.
        watched.shell(2, "sh -c 'sleep 1; :' 'a $ecret'")
        found = watched.shell(2, "cat /tmp/hits; touch /tmp/stop")

    assert hits == ""
    assert "$ecret" in found
    assert "$ecret" not in said
    assert watched.shell(2, "journalctl | grep -F -f /tmp/needle", check=False) == ""
    places = "/etc /opt /run /var/log /var/tmp /data /usr/local /root"
    assert watched.shell(2, f"grep -rlaF -f /tmp/needle {places}", check=False) == ""
