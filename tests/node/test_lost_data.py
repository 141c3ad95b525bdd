"""Data that are lost in other ways than by an empty directory."""

from __future__ import annotations

import pytest

from tests.node.conftest import Cluster
from tests.node.members import Done, Members, credentials, eventually, program

VOTERS = {"etcd-1": "voter", "etcd-2": "voter", "etcd-3": "voter"}
PATIENCE = {"takes_part_within 60": "takes_part_within 8", "start_member 90": "start_member 20"}

ROLL_BACK = "systemctl stop etcd && rm -rf /data/etcd/member && mv /data/older /data/etcd/member"
FLIP = (
    "systemctl stop etcd; for page in $(seq 2 400); do printf '\\377\\376\\375\\374' |"
    " dd of=/data/etcd/member/snap/db bs=1 seek=$((page * 512)) conv=notrunc status=none"
    " 2>/dev/null; done"
)


def reseat(members: Members, seq: int, number: int = 1, *, check: bool = True) -> Done:
    """What the update of a seat runs when the number was raised."""
    return members.run(
        seq,
        "seat",
        *("--reseat", str(number), "--version", members.version),
        *("--peers", members.urls(one for one in members.everyone if one != seq)),
        stdin=credentials(),
        check=check,
    )


def copies(members: Members, seq: int) -> list[str]:
    found = members.shell(seq, "ls -d /data/etcd/member.before-reseat-* 2>/dev/null || :")
    return found.split()


def keep_older_copy(members: Members, seq: int) -> None:
    """A copy as a virtual machine's snapshot has it, and then more writes."""
    members.shell(
        seq, "systemctl stop etcd && cp -a /data/etcd/member /data/older && systemctl start etcd"
    )
    for number in range(30):
        members.put(1, f"later {number}", "yes")


def roll_back(members: Members, seq: int) -> None:
    keep_older_copy(members, seq)
    members.shell(seq, ROLL_BACK)
    members.shell(seq, "systemctl start --no-block etcd")
    eventually("it panics", lambda: "tocommit" in members.run(seq, "facts").stdout)


def fact(members: Members, seq: int, name: str, *words: str) -> str:
    said = members.run(seq, "facts", *words).stdout
    values = [line.partition("=")[2] for line in said.splitlines() if line.startswith(f"{name}=")]
    return values[0] if values else "(not said)"


# ---- etcd_reseat with data


def test_a_member_that_was_rolled_back_joins_again_and_its_data_are_kept(cluster: Cluster) -> None:
    three = cluster(3, changes=PATIENCE).found(access=True)
    former = three.member_id(3)
    roll_back(three, 3)
    assert "tocommit" in fact(three, 3, "crash")
    assert len(fact(three, 3, "crash")) <= 300
    assert fact(three, 3, "crash_kind") == "data"
    assert "crash       does not run: tocommit" in three.run(3, "status").stdout

    done = reseat(three, 3)

    (kept,) = copies(three, 3)
    assert f"its data are set aside in {kept}" in done.stdout
    assert "tocommit" in done.stdout
    assert "warning" not in done.stdout
    assert three.roles() == VOTERS
    assert three.member_id(3) != former
    assert three.get(3, "later 29") == "yes"
    assert three.shell(3, f"ls {kept}/wal/*.wal")
    assert three.shell(3, "cat /etc/etcd/etcd/reseat") == "1"
    assert fact(three, 3, "crash") == ""
    # The number stays in the inventory, and does nothing more.
    process = three.pid(3)
    assert "set aside" not in reseat(three, 3).stdout
    assert three.pid(3) == process
    assert copies(three, 3) == [kept]


def test_a_member_with_flipped_bytes_joins_again(cluster: Cluster) -> None:
    three = cluster(3, changes=PATIENCE).found(access=True)
    for number in range(50):
        three.put(1, f"key {number}", "x" * 2000)
    three.shell(2, FLIP)
    three.shell(2, "systemctl start --no-block etcd")
    eventually("it says why", lambda: fact(three, 2, "crash") != "")
    print(fact(three, 2, "crash"))
    assert fact(three, 2, "crash_kind") == "data"

    done = reseat(three, 2)
    assert len(copies(three, 2)) == 1
    assert "set aside" in done.stdout
    assert three.roles() == VOTERS
    assert three.get(2, "key 49") == "x" * 2000


def test_a_member_that_runs_keeps_its_data(three: Members) -> None:
    process, former = three.pid(3), three.member_id(3)
    number = int(three.shell(3, "cat /etc/etcd/etcd/reseat 2>/dev/null || echo 0")) + 1

    done = reseat(three, 3, number)

    assert "etcd-3: runs and takes part; its data stay" in done.stdout
    assert (three.pid(3), three.member_id(3)) == (process, former)
    assert copies(three, 3) == []
    assert three.shell(3, "cat /etc/etcd/etcd/reseat") == str(number)


def test_without_the_others_quorum_nothing_is_touched(cluster: Cluster) -> None:
    three = cluster(3, changes=PATIENCE).found(access=True)
    roll_back(three, 3)
    three.stop(2)

    refused = reseat(three, 3, check=False)

    assert refused.returncode == 1
    assert "Nothing was changed" in refused.stderr
    assert copies(three, 3) == []
    assert three.shell(3, "ls /data/etcd/member/wal/*.wal")
    assert three.shell(3, "cat /etc/etcd/etcd/reseat 2>/dev/null || echo none") == "none"
    three.shell(2, "systemctl start etcd")
    reseat(three, 3)
    assert three.roles() == VOTERS


def test_two_of_two_cannot_spare_one(cluster: Cluster) -> None:
    two = cluster(2, changes=PATIENCE).found()
    two.shell(1, "sleep 5")
    two.shell(2, FLIP)

    refused = reseat(two, 2, check=False)

    assert refused.returncode == 1
    assert "Nothing was changed" in refused.stderr
    assert copies(two, 2) == []


STEPS = {
    "stopped": '  doing="setting the data aside"\n',
    "set aside": '  sync "$data"',
    "removed": "  disarm_alarms_of_the_gone\n",
    "added": "  # etcd compares this list",
    "started": "  newcomer=''\n  promote_if_learner\n",
    "promoted": "  note_reseat\n  say",
}


@pytest.mark.parametrize("step", STEPS)
def test_one_that_is_killed_on_the_way_is_finished_by_the_next_run(
    cluster: Cluster, step: str
) -> None:
    three = cluster(3, changes=PATIENCE).found(access=True)
    roll_back(three, 3)
    at = STEPS[step]
    three.send_program(3, program_killed_at(three, at))
    killed = reseat(three, 3, check=False)
    assert killed.returncode != 0
    assert three.shell(3, "cat /etc/etcd/etcd/reseat 2>/dev/null || echo none") == "none"

    three.send_program(3)
    reseat(three, 3)

    assert len(copies(three, 3)) == 1
    assert three.roles() == VOTERS
    assert three.get(3, "later 29") == "yes"
    assert three.shell(3, "cat /etc/etcd/etcd/reseat") == "1"


def program_killed_at(members: Members, place: str) -> str:
    return program({**members.changes, place: f"  kill -9 $$\n{place}"})
