"""The first contact: the program on standard input, on a machine that does not have it."""

from __future__ import annotations

import shlex

from etcd_component import contact, render
from tests.node.conftest import Cluster
from tests.node.members import Done, Members

SENT = contact.sent("etcd-node", render.node_program())


def first_contact(members: Members, subcommand: str, *more: str, stdin: str = SENT) -> Done:
    """What a Command of the stack does, by way of a login that is no root."""
    one = members.instance(1)
    options = {
        "claim": [
            *("--address", one.node.address, "--data", one.data_dir),
            *("--method", "archive"),
        ],
    }
    line = contact.command_line(
        ["sudo", "-n", "sh", "-s", "--", subcommand],
        [
            "--cluster",
            "etcd",
            "--owner",
            "ours",
            "--name",
            one.name,
            *options.get(subcommand, []),
            *more,
        ],
    )
    return members.lab.exec(members.node(1), "su", "admin", "-c", line, stdin=stdin, check=False)


def left_in_run(members: Members) -> str:
    return members.shell(1, "ls -d /run/etcd-node/sent.* /tmp/* 2>/dev/null; true")


def test_a_machine_without_the_program_is_claimed_and_erased(cluster: Cluster) -> None:
    one = cluster(1)
    before = left_in_run(one)
    claimed = first_contact(one, "claim")
    assert claimed.returncode == 0, claimed.stderr
    assert "etcd-1: the machine is fit" in claimed.stdout
    assert contact.proves(claimed.stdout)
    assert one.shell(1, "grep -x owner=ours /etc/etcd/etcd/claim")
    assert one.shell(1, f"sha256sum <{render.NODE_PROGRAM}") == one.shell(
        1, "sha256sum", stdin=render.node_program()
    )
    assert left_in_run(one) == before

    # Wiped, or erased by an earlier attempt whose answer was lost.
    one.shell(1, f"rm -f {render.NODE_PROGRAM}")
    for _ in range(2):
        erased = first_contact(one, "uninstall", "--remove-data")
        assert erased.returncode == 0, erased.stderr
        assert contact.proves(erased.stdout)
        assert one.shell(1, "ls -d /run/etcd-node /etc/etcd", check=False) == ""


def test_a_preflight_that_fails_leaves_no_mark_and_fails(cluster: Cluster) -> None:
    one = cluster(1)
    refused = first_contact(one, "claim", "--client-port", "22")
    assert refused.returncode == 1
    assert "the client port 22 is held by" in refused.stderr
    assert one.shell(1, f"ls -d /etc/etcd {render.NODE_PROGRAM}", check=False) == ""
    assert first_contact(one, "dance").returncode == 1


def test_a_full_run_directory_is_named_and_nothing_is_half_done(cluster: Cluster) -> None:
    one = cluster(1)
    one.shell(
        1,
        "mkdir -p /run/etcd-node && mount -t tmpfs -o size=64k tmpfs /run/etcd-node"
        " && { cat /dev/zero >/run/etcd-node/full 2>/dev/null; true; }",
    )
    try:
        refused = first_contact(one, "claim")
        assert refused.returncode == 1
        assert "/run/etcd-node" in refused.stderr
        assert "nothing was changed" in refused.stderr
        assert one.shell(1, f"ls -d /etc/etcd {render.NODE_PROGRAM}", check=False) == ""
    finally:
        one.shell(1, "umount /run/etcd-node")
    assert first_contact(one, "claim").returncode == 0


def test_a_login_without_root_is_told_so(cluster: Cluster) -> None:
    one = cluster(1)
    line = shlex.join(["sh", "-s", "--", "claim"])
    done = one.lab.exec(one.node(1), "su", "admin", "-c", line, stdin=SENT, check=False)
    assert done.returncode == 1
    assert "etcd-node: only root can do this; run it with sudo" in done.stderr
