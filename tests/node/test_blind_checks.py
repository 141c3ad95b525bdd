"""Checks that cannot see must refuse: full disks, and lists that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.writer import Writer
from lab.errors import LabError
from tests.node.conftest import Cluster
from tests.node.members import HURRY, Members, program
from tests.node.test_rollout import change


@contextmanager
def full(members: Members, seq: int, *directories: str) -> Iterator[None]:
    """These directories of a node hold what they did, and not one byte more."""
    for one in directories:
        # What is mounted over it has the same files, and no block to spare.
        members.shell(
            seq,
            f"""set -e; mkdir -p {one}; held=$(mktemp -d /var/lib/held.XXXXXX)
            cp -a {one}/. "$held"; mount -t tmpfs -o size=1m tmpfs {one}
            chmod --reference="$held" {one}
            cp -a "$held"/. {one}; rm -rf "$held"
            cat /dev/zero >{one}/.full 2>/dev/null || true""",
        )
        assert members.shell(seq, f"echo more >{one}/more && echo room", check=False) == ""
        members.shell(seq, f"rm -f {one}/more")
    try:
        yield
    finally:
        for one in directories:
            members.shell(seq, f"umount -l {one}")


FULL = ("/run/etcd-node", "/tmp")


def test_a_rollout_on_a_full_run_directory_is_refused(three: Members) -> None:
    """A member that the quorum needs: another one is down."""
    three.stop(3)
    three.waits = HURRY
    change(three)
    three.stop(3)
    before = three.pid(1)
    with full(three, 1, *FULL), Writer(three.client(1, 2)) as writer:
        refused = three.rollout(1, check=False)
    assert refused.returncode == 1
    assert "etcd-1 is not restarted" in refused.stderr or "etcd-node" in refused.stderr
    assert three.pid(1) == before
    assert not writer.lost()
    assert writer.longest_gap() < 1
    refused = three.rollout(1, check=False)
    assert "etcd-3 at https://" in refused.stderr
    assert "does not answer" in refused.stderr
    assert three.pid(1) == before
    three.shell(3, "systemctl start etcd")
    assert "restarted" in three.rollout(1).stdout


def test_a_rollout_that_could_not_note_its_start_is_refused(three: Members) -> None:
    """All are well, and yet: what a member was started with could not be noted."""
    three.waits = HURRY
    change(three)
    before = three.pid(1)
    with full(three, 1, *FULL):
        refused = three.rollout(1, check=False)
        assert refused.returncode == 1
        assert "/run/etcd-node" in refused.stderr
        assert three.pid(1) == before
    assert "restarted" in three.rollout(1).stdout


BLIND = {
    "nothing": "real([])",
    "a member without an ID": (
        """real([*(answer["members"] if "members" in answer else answer), {}])"""
    ),
}
_READ_BADLY = """\
from etcd_component.etcd_api import members
real = members.parse_members
members.parse_members = lambda answer: {}
"""


@pytest.mark.parametrize("what", BLIND)
def test_a_member_list_that_cannot_be_read_refuses_everything(three: Members, what: str) -> None:
    change(three)
    before = three.pids()
    try:
        three.waits = HURRY
        three.send_program(1, program(_READ_BADLY.format(BLIND[what])))
        for refused in (
            three.rollout(1, check=False),
            three.leave(1, check=False),
            three.run(
                1,
                "remove-member",
                "--lost",
                f"etcd-3={three.instance(3).peer_url}",
                stdin='{"name":"root","password":"x"}\n',
                check=False,
            ),
        ):
            assert refused.returncode == 1, (refused.args, refused.stdout)
        assert three.pids() == before
        assert len(three.roles(2)) == 3
    finally:
        three.send_program(1)


def test_leaving_and_removing_count_their_members_on_a_full_run_directory(
    cluster: Cluster,
) -> None:
    three = cluster(3, waits=HURRY).found(access=True)
    three.stop(3)
    with full(three, 1, *FULL):
        refused = three.leave(1, check=False)
        assert refused.returncode == 1
        assert "of the 2 voters that stay, 2 must be well, and 1 are" in refused.stderr
        assert three.is_active(1)
        assert len(three.roles(1)) == 3
    # With two down nobody may be removed, whatever can be written.
    three.stop(2)
    with full(three, 1, *FULL):
        lost = f"etcd-3={three.instance(3).peer_url}"
        options = ["--lost", lost, "--peers", three.urls([2, 3])]
        refused = three.run(
            1, "remove-member", *options, stdin='{"name":"root","password":"x"}\n', check=False
        )
        assert refused.returncode == 1
    three.shell(2, "systemctl start etcd")


def test_a_member_that_knows_of_nobody_is_not_the_last(cluster: Cluster) -> None:
    three = cluster(3, waits=HURRY).found(access=True)
    three.stop(3)
    three.shell(3, "rm -f /etc/etcd/etcd/peers")
    refused = three.leave(3, check=False)
    assert refused.returncode == 1
    assert "/etc/etcd/etcd/peers, where the other members are noted, is missing" in refused.stderr
    assert three.shell(3, "cat /etc/etcd/etcd/seat.yaml")
    assert len(three.roles(1)) == 3


def test_a_full_root_keeps_the_files_that_are_there(three: Members) -> None:
    before = three.shell(
        1, "sha256sum /etc/etcd/etcd/*.yaml /etc/etcd/etcd/pki/*; ls /etc/etcd/etcd"
    )
    with full(three, 1, "/etc/etcd"):
        three.options = {**three.options, "snapshot-count": 8123}
        refused = three.put_config(1, check=False)
        assert refused.returncode == 1
        said = "cannot be written (No space left on device); what was there before stays"
        assert said in refused.stderr
        with pytest.raises(LabError, match=re.escape(said)):
            three.put_certificate(1)
        after = three.shell(
            1, "sha256sum /etc/etcd/etcd/*.yaml /etc/etcd/etcd/pki/*; ls /etc/etcd/etcd"
        )
        assert after == before
    assert three.status(1)["leader"]
    three.put_config(1)


def test_a_start_that_cannot_be_noted_leaves_no_note_of_another(three: Members) -> None:
    three.shell(1, "test -s /run/etcd-node/etcd.started")
    three.shell(1, "(trap '' XFSZ; ulimit -f 0; ! etcd-node stamp 2>/dev/null)")
    assert three.shell(1, "ls /run/etcd-node/*started*", check=False) == ""
    three.shell(1, "etcd-node stamp")
