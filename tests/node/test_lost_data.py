"""Data that are lost in other ways than by an empty directory."""

from __future__ import annotations

import pytest

from etcd_component.status.facts import parse
from tests.node.conftest import Cluster
from tests.node.members import (
    Done,
    Members,
    credentials,
    eventually,
    in_parallel,
    killed_at,
    program,
)

VOTERS = {"etcd-1": "voter", "etcd-2": "voter", "etcd-3": "voter"}
PATIENCE: dict[str, float] = {"can_run": 8, "start": 20}

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
        "join",
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


def damage(members: Members, seq: int) -> None:
    """Flip bytes in the database of a member that has written enough to have pages of its own."""
    for number in range(50):
        members.put(1, f"key {number}", "x" * 2000)
    members.shell(seq, FLIP)
    members.shell(seq, "systemctl start --no-block etcd")
    eventually("it says why", lambda: fact(members, seq, "crash") != "")


def fact(members: Members, seq: int, name: str) -> str:
    return str(getattr(parse(members.run(seq, "facts").stdout), name))


# ---- etcd_reseat with data


def test_a_member_that_was_rolled_back_joins_again_and_its_data_are_kept(cluster: Cluster) -> None:
    three = cluster(3, waits=PATIENCE).found(access=True)
    former = three.member_id(3)
    roll_back(three, 3)
    assert "tocommit" in fact(three, 3, "crash")
    assert len(fact(three, 3, "crash")) <= 300
    assert fact(three, 3, "crash_kind") == "data"
    assert "crash       does not run: tocommit" in three.run(3, "status", check=False).stdout

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
    three = cluster(3, waits=PATIENCE).found(access=True)
    damage(three, 2)
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
    three = cluster(3, waits=PATIENCE).found(access=True)
    damage(three, 3)
    three.stop(2)

    refused = reseat(three, 3, check=False)

    assert refused.returncode == 1
    assert "of 3 voters 2 must be healthy without it, and 0 are" in refused.stderr
    assert "Bring the others back" in refused.stderr
    assert "Nothing was changed" in refused.stderr
    assert copies(three, 3) == []
    assert three.shell(3, "ls /data/etcd/member/wal/*.wal")
    assert three.shell(3, "cat /etc/etcd/etcd/reseat 2>/dev/null || echo none") == "none"
    three.shell(2, "systemctl start etcd")
    eventually("the others serve", lambda: three.put(1, "again", "yes").get("header"))
    reseat(three, 3)
    assert three.roles() == VOTERS


def test_two_of_two_cannot_spare_one(cluster: Cluster) -> None:
    two = cluster(2, waits=PATIENCE).found()
    damage(two, 2)

    refused = reseat(two, 2, check=False)

    assert refused.returncode == 1
    assert "A cluster of 2 can spare nobody: restore a snapshot" in refused.stderr
    assert "Nothing was changed" in refused.stderr
    assert copies(two, 2) == []


def test_a_cause_that_other_data_would_not_mend_moves_no_data(cluster: Cluster) -> None:
    three = cluster(3, waits=PATIENCE).found(access=True)
    three.shell(
        3,
        "systemctl stop etcd && systemd-run -q --unit foreign perl -MIO::Socket::INET -e 'my @s ="
        f' IO::Socket::INET->new(LocalAddr => "{three.address(3)}:2380", Listen => 1, ReuseAddr =>'
        " 1) or die; sleep' && sleep 0.5; systemctl start --no-block etcd",
    )
    eventually("it says why", lambda: fact(three, 3, "crash") != "")
    assert "address already in use" in fact(three, 3, "crash")
    assert fact(three, 3, "crash_kind") == "machine"

    refused = reseat(three, 3, check=False)

    three.shell(3, "systemctl stop foreign")
    assert refused.returncode == 1
    assert "other data would not mend that" in refused.stderr
    assert "address already in use" in refused.stderr
    assert copies(three, 3) == []


@pytest.mark.parametrize("whose", ["its own", "nobody's"])
def test_a_corrupt_member_joins_again_and_its_alarm_goes(cluster: Cluster, whose: str) -> None:
    three = cluster(3, waits=PATIENCE).found(access=True)
    three.put(1, "kept", "yes")
    former = three.member_id(2)
    named = former if whose == "its own" else "0"
    raised = {"action": "ACTIVATE", "memberID": named, "alarm": "CORRUPT"}
    three.call(1, "maintenance/alarm", raised, three.token(1))

    done = reseat(three, 2)

    assert "the alarm CORRUPT is raised for its data" in done.stdout
    assert "is disarmed" in done.stdout
    assert len(copies(three, 2)) == 1
    assert three.is_well()
    assert three.member_id(2) != former
    assert three.get(2, "kept") == "yes"


def test_nobody_joins_while_it_is_not_known_whose_data_are_wrong(cluster: Cluster) -> None:
    two = cluster(3, waits=PATIENCE).found([1, 2], access=True)
    raised = {"action": "ACTIVATE", "memberID": "0", "alarm": "CORRUPT"}
    two.call(1, "maintenance/alarm", raised, two.token(1))

    refused = two.join(3, check=False)

    assert "etcd does not know whose data are wrong, so nobody joins" in refused.stderr
    found = two.call(1, "maintenance/alarm", {"action": "GET"}, two.token(1))
    assert [one["alarm"] for one in found["alarms"]] == ["CORRUPT"]
    assert "etcd-3" not in two.roles()


def test_a_member_that_was_removed_joins_again_and_its_data_are_kept(cluster: Cluster) -> None:
    three = cluster(3, waits=PATIENCE).found()
    three.shell(1, "sleep 5.2")
    three.call(1, "cluster/member/remove", {"ID": three.member_id(3)})
    eventually("the removed member stops", lambda: not three.is_active(3))

    reseat(three, 3)

    assert len(copies(three, 3)) == 1
    assert three.roles() == VOTERS


def test_writes_that_the_others_lack_are_warned_of(cluster: Cluster) -> None:
    """The others were taken back to an older state; this one has more than they."""
    three = cluster(3, waits=PATIENCE).found(access=True)
    for seq in (1, 2):
        three.shell(
            seq, "systemctl stop etcd; cp -a /data/etcd/member /data/older; systemctl start etcd &"
        )
        eventually("it is back", three.is_well)
    for number in range(40):
        three.put(3, f"late {number}", "yes")
    three.shell(3, "systemctl stop etcd")
    in_parallel(lambda seq: three.shell(seq, f"{ROLL_BACK}"), [1, 2])
    in_parallel(lambda seq: three.shell(seq, "systemctl start etcd"), [1, 2])
    # Its database is damaged, too, or it might simply come back.
    three.shell(3, FLIP)

    done = reseat(three, 3)

    (kept,) = copies(three, 3)
    assert "its data may hold writes that the others lack: they reach entry" in done.stdout
    assert kept in done.stdout
    assert three.roles() == VOTERS


# ---- a machine on which nothing is left


WIPE = (
    "systemctl stop etcd; systemctl disable -q etcd; rm -rf /etc/etcd /data /usr/local/sbin/etcd*"
    " /etc/systemd/system/etcd.service /run/etcd-node; systemctl daemon-reload"
)


@pytest.mark.parametrize("peers", [True, False])
def test_a_wiped_machine_that_is_repaired_is_told_the_right_cure(
    cluster: Cluster, *, peers: bool
) -> None:
    three = cluster(3, waits=PATIENCE).found(access=True)
    former = three.member_id(2)
    three.shell(2, WIPE)
    three.prepare(2)
    known = ["--peers", three.urls([1, 3])] if peers else []
    words = ["--repair", "1", "--version", three.version, *known]

    refused = three.run(2, "join", *words, stdin=credentials(), check=False)

    assert refused.returncode == 1
    assert "set etcd_reseat on this host to 1" in refused.stderr
    assert "founder" not in refused.stderr
    assert three.member_id(2) == former
    reseat(three, 2)
    assert three.roles() == VOTERS


def test_a_repair_has_nobody_join(cluster: Cluster) -> None:
    three = cluster(3, waits=PATIENCE).found([1, 2])
    words = ["--repair", "1", "--version", three.version, "--peers", three.urls([1, 2])]

    refused = three.run(3, "join", *words, stdin=credentials(), check=False)

    assert refused.returncode == 1
    assert "etcd_repair has nobody join: set etcd_reseat on this host to 1" in refused.stderr
    assert not three.starts(3)
    assert three.roles() == {"etcd-1": "voter", "etcd-2": "voter"}


def test_facts_tell_what_a_wiped_machine_lacks(three: Members) -> None:
    three.send_program(2, path="/root/etcd-node")
    facts = "/root/etcd-node facts --cluster gone --data"
    there = parse(three.shell(2, f"{facts} /data/etcd"))
    assert (there.stage, there.data) == ("none", "whole")
    gone = parse(three.shell(2, f"{facts} /nowhere; rm /root/etcd-node"))
    assert (gone.owner, gone.stage, gone.data) == ("", "none", "none")


# ---- other shapes


def test_data_without_their_log_are_not_taken_up_again(cluster: Cluster) -> None:
    """etcd that joins would take the old database for its own, and skip what it never had."""
    three = cluster(3, waits=PATIENCE).found(access=True)
    three.shell(3, "systemctl stop etcd && rm -r /data/etcd/member/wal")
    three.put(1, "meanwhile", "yes")
    assert fact(three, 3, "stage") == "lost"
    assert fact(three, 3, "data") == "part"

    done = reseat(three, 3)

    (kept,) = copies(three, 3)
    assert f"held no whole member; it is set aside in {kept}" in done.stdout
    assert three.roles() == VOTERS
    assert three.get(3, "meanwhile") == "yes"
    hashes = {three.call(seq, "maintenance/hash", token=three.token(1))["hash"] for seq in (1, 3)}
    assert len(hashes) == 1


def test_a_disk_that_is_not_mounted_is_not_replaced_by_a_new_member(cluster: Cluster) -> None:
    three = cluster(3, waits=PATIENCE).found(access=True)
    former = three.member_id(3)
    three.shell(
        3,
        "systemctl stop etcd && mv /data/etcd/member /data/elsewhere"
        " && echo 'tmpfs /data/etcd tmpfs noauto 0 0' >>/etc/fstab",
    )
    try:
        assert fact(three, 3, "missing_mount") == "/data/etcd"
        refused = reseat(three, 3, check=False)
        assert "/data/etcd is not mounted" in three.run(3, "status", check=False).stdout
    finally:
        three.shell(3, "sed -i '/data.etcd/d' /etc/fstab; systemctl daemon-reload")

    assert refused.returncode == 1
    assert "/etc/fstab has a disk for /data/etcd, and it is not mounted" in refused.stderr
    assert three.member_id(3) == former
    three.shell(3, "mv /data/elsewhere /data/etcd/member && systemctl start etcd")
    eventually("it is back with its data", three.is_well)


def test_data_of_another_owner_are_named_and_not_moved(cluster: Cluster) -> None:
    three = cluster(3, waits=PATIENCE).found(access=True)
    three.shell(3, "systemctl stop etcd; chown -R root /data/etcd/member; chmod -R go= /data/etcd")
    three.shell(3, "systemctl start --no-block etcd")
    eventually("it says why", lambda: "ermission denied" in fact(three, 3, "crash"))
    assert fact(three, 3, "crash_kind") == "machine"

    refused = reseat(three, 3, check=False)

    assert refused.returncode == 1
    assert "other data would not mend that" in refused.stderr
    assert copies(three, 3) == []


def test_a_log_without_its_database_is_named_or_read_again(cluster: Cluster) -> None:
    three = cluster(3, waits=PATIENCE).found(access=True)
    three.put(1, "kept", "yes")
    three.shell(3, "systemctl stop etcd; rm -r /data/etcd/member/snap")
    three.shell(3, "systemctl start --no-block etcd")

    reseat(three, 3)

    assert three.roles() == VOTERS
    assert three.get(3, "kept") == "yes"


def test_data_of_another_member_are_not_started_and_not_lost(cluster: Cluster) -> None:
    """Two that act as one member would count one vote twice."""
    three = cluster(3, waits=PATIENCE).found(access=True)
    packed = three.shell(1, "tar -C /data/etcd -czS member | base64 -w 0")
    three.shell(3, "systemctl stop etcd; mv /data/etcd/member /data/own")
    three.shell(3, "base64 -d | tar -C /data/etcd -xz", stdin=packed)
    before = three.roles()

    three.shell(3, "systemctl start --no-block etcd; sleep 3")

    assert three.pid(3) == 0
    assert "those of another member" in fact(three, 3, "crash")
    assert fact(three, 3, "crash_kind") == "data"
    assert three.roles() == before
    # One's own are taken as ever.
    three.shell(3, "mv /data/etcd/member /data/foreign; mv /data/own /data/etcd/member")
    three.shell(3, "systemctl start etcd")
    eventually("all are well", three.is_well)
    # And without them the foreign ones are set aside like broken ones.
    three.shell(
        3, "systemctl stop etcd; rm -r /data/etcd/member; mv /data/foreign /data/etcd/member"
    )
    assert "those of another member" in reseat(three, 3).stdout
    assert three.roles() == VOTERS
    assert len(copies(three, 3)) == 1


STEPS = {
    "stopped": killed_at("data_directory.set_aside"),
    "set aside": killed_at("data_directory.set_aside", when="return"),
    "removed": killed_at("connection.call", "cluster/member/remove", when="return"),
    "added": killed_at("connection.call", "cluster/member/add", when="return"),
    "started": killed_at("connection.call", "cluster/member/promote"),
    "promoted": killed_at("connection.call", "cluster/member/promote", when="return"),
}


@pytest.mark.parametrize("step", STEPS)
def test_one_that_is_killed_on_the_way_is_finished_by_the_next_run(
    cluster: Cluster, step: str
) -> None:
    three = cluster(3, waits=PATIENCE).found(access=True)
    roll_back(three, 3)
    three.send_program(3, program(STEPS[step]))
    killed = reseat(three, 3, check=False)
    assert killed.returncode != 0
    assert three.shell(3, "cat /etc/etcd/etcd/reseat 2>/dev/null || echo none") == "none"

    three.send_program(3)
    reseat(three, 3)

    assert len(copies(three, 3)) == 1
    assert three.roles() == VOTERS
    assert three.get(3, "later 29") == "yes"
    assert three.shell(3, "cat /etc/etcd/etcd/reseat") == "1"
