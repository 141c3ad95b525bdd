"""Another minor version of etcd: refused, begun, turned back, failed and interrupted.

The way through all minors and back, under a writer, is a live test.
"""

from __future__ import annotations

from lab import Lab
from tests.node.conftest import Cluster
from tests.node.members import HURRY, Members, eventually, in_parallel, program

OLD = """\
from etcd_component.agent.decide import version
version.FLOORS["3.7"] = "3.6.99"
"""
CARELESS = """\
from etcd_component.agent import old_entries
old_entries.must_be_left_behind = lambda *args: False
"""
HURRIED = {**HURRY, "survey": 2}
SNAPSHOTS = "/var/lib/etcd-node/etcd"

_BROKEN = """
cd /opt/etcd/versions/3.7.3/bin && mv etcd etcd.real && cat >etcd <<'END' && chmod 755 etcd
#!/bin/sh
[ "$1" = --version ] && exec "$0.real" --version
echo "this release is broken" >&2
exit 1
END
"""


def versions(members: Members) -> list[str]:
    return [members.status(seq)["version"] for seq in members.everyone]


def roll_all(members: Members) -> str:
    return "".join(members.rollout(seq).stdout for seq in members.everyone)


def snapshots(members: Members, seq: int) -> list[str]:
    return members.shell(seq, f"ls {SNAPSHOTS}", check=False).split()


def with_real_programs(members: Members) -> None:
    """Undo `_BROKEN`: other tests use what is installed here."""
    members.shell(
        1, "cd /opt/etcd/versions/3.7.3/bin && [ ! -e etcd.real ] || mv etcd.real etcd", check=False
    )


# ---- refused before anything is touched


def out_of_space(members: Members, lab: Lab) -> None:
    alarm = {"action": "ACTIVATE", "memberID": members.member_id(2), "alarm": "NOSPACE"}
    members.call(1, "maintenance/alarm", alarm, members.token(1))


def in_space(members: Members, lab: Lab) -> None:
    alarm = {"action": "DEACTIVATE", "memberID": members.member_id(2), "alarm": "NOSPACE"}
    members.call(1, "maintenance/alarm", alarm, members.token(1))


def down(members: Members, lab: Lab) -> None:
    members.stop(3)


def up(members: Members, lab: Lab) -> None:
    members.shell(3, "systemctl start etcd")


def old(members: Members, lab: Lab) -> None:
    text = program(OLD)
    in_parallel(lambda seq: members.send_program(seq, text), members.everyone)


def nothing(members: Members, lab: Lab) -> None:
    """All is well."""


def test_what_etcd_forbids_is_refused_and_nothing_is_touched(cluster: Cluster, lab: Lab) -> None:
    three = cluster(3, waits=HURRIED).found(access=True)
    before = three.pids()
    # It would be seen if any of it were written.
    three.options = {"heartbeat-interval": 101}
    said = {
        (nothing, nothing, "3.8.0"): "from one minor version to the next, never over one. "
        "Set etcd_version to a release of 3.7 first",
        (nothing, nothing, "3.4.45"): "Set etcd_version to a release of 3.5 first",
        (out_of_space, in_space, "3.7.3"): "the alarm NOSPACE is raised",
        (down, up, "3.7.3"): "etcd-3 does not answer at https://10.10.",
        (old, nothing, "3.7.3"): "runs etcd 3.6.16, and 3.7 may only follow 3.6.99 or later. "
        "Set etcd_version to such a release of 3.6 first",
    }
    for (trouble, cure, version), message in said.items():
        trouble(three, lab)
        three.version = version
        for refused in (
            three.put_binary(1, "--url", "http://nowhere.invalid", check=False),
            three.put_config(1, check=False),
        ):
            assert refused.returncode == 1
            assert f"etcd-1 does not change from etcd 3.6.16 to {version}, and no member was" in (
                refused.stderr
            )
            assert message in refused.stderr
        cure(three, lab)
        three.version = "3.6.16"
        eventually("the cluster is well", three.is_well)
    in_parallel(three.send_program, three.everyone)
    three.version, three.peer_port = "3.7.3", 2390
    refused = three.put_config(1, check=False)
    assert "another peer port is wanted, too. Change one after the other" in refused.stderr
    assert three.pids()[:2] == before[:2]
    assert "heartbeat-interval: 101" not in three.shell(1, "cat /etc/etcd/etcd/*.yaml")


def test_a_learner_is_no_part_of_a_change_of_version(cluster: Cluster) -> None:
    two = cluster(2, learners=frozenset({2}), waits=HURRIED).found([1], access=True)
    two.version = "3.7.3"
    two.put_binary(2)
    other = two.join(2, founders=[1], check=False)
    assert other.returncode == 1
    assert "would join with etcd 3.7.3, but the cluster runs 3.6.16; it was not" in other.stderr

    two.version = "3.6.16"
    two.join(2, founders=[1])
    two.version = "3.7.3"
    refused = two.put_binary(1, check=False)
    assert "etcd-2 is a learner. Take its etcd_learner or its line away first" in refused.stderr


# ---- the snapshot, a release that does not run, and the way back


def assert_restorable(three: Members, seq: int) -> None:
    file = f"{SNAPSHOTS}/before-3.7.3-from-3.6.16.db"
    assert three.shell(seq, f"stat -c '%U %a' {file} {SNAPSHOTS}").split("\n") == [
        "root 600",
        "root 700",
    ]
    restored = "/var/tmp/etcd-restored"
    utility = "/opt/etcd/versions/3.6.16/bin/etcdutl"
    three.shell(seq, f"{utility} snapshot restore {file} --data-dir {restored}")
    three.shell(seq, f"grep -aq 'by the snapshot' {restored}/member/snap/db")


def test_an_upgrade_that_fails_is_put_back_and_one_that_is_mended_goes_on(
    cluster: Cluster,
) -> None:
    three = cluster(3, waits=HURRIED).found(access=True)
    three.put(1, "kept", "by the snapshot")
    three.make_leader(2)
    before = three.pids()
    three.declare("3.7.3")
    assert [snapshots(three, seq) for seq in three.everyone] == [
        [],
        ["before-3.7.3-from-3.6.16.db"],
        [],
    ]
    assert_restorable(three, 2)

    # The leadership has moved since: the first to restart takes another snapshot.
    three.make_leader(3)
    three.shell(1, _BROKEN)
    try:
        failed = three.rollout(1, check=False)
    finally:
        with_real_programs(three)
    assert failed.returncode == 1
    assert "this release is broken" in failed.stderr
    assert (
        "does not become ready with etcd 3.7.3 (see above); the others were left" in failed.stderr
    )
    assert "etcd 3.6.16 was put back and runs again" in failed.stderr
    assert snapshots(three, 1) == ["before-3.7.3-from-3.6.16.db"]
    assert versions(three) == ["3.6.16"] * 3
    assert three.pids()[1:] == before[1:]
    assert three.is_well()

    # Mended, and killed as soon as it restarts.
    process = three.pid(1)
    running = three.begin_rollout(1)
    eventually("etcd is being restarted", lambda: three.pid(1) != process)
    three.kill_program(1, "rollout")
    running.communicate()
    said = roll_all(three)
    assert versions(three) == ["3.7.3"] * 3
    assert "all members run 3.7.3, the cluster is at 3.7" in said
    # Nothing here was written by 3.5.
    assert "leave entries" not in said
    assert three.is_well()
    assert roll_all(three).count("no restart") == 3

    three.uninstall(1)
    assert snapshots(three, 1) == ["before-3.7.3-from-3.6.16.db"]
    three.uninstall(2, "--remove-data")
    assert snapshots(three, 2) == []


def test_a_member_that_could_not_be_put_back_is_mended_by_its_next_files(
    cluster: Cluster,
) -> None:
    one = cluster(1, waits=HURRIED).found(access=True)
    one.declare("3.7.3")
    one.shell(1, f"cd /opt/etcd/versions; mv 3.6.16 kept-apart; {_BROKEN}")
    try:
        failed = one.rollout(1, check=False)
    finally:
        one.shell(1, "cd /opt/etcd/versions; mv kept-apart 3.6.16")
        with_real_programs(one)
    assert "3.6.16 cannot be put back, because it is not on this machine any more" in failed.stderr
    one.change(max_txn_ops=129)
    eventually("the member is back", lambda: one.is_active(1))
    assert "all members run 3.7.3, the cluster is at 3.7" in one.rollout(1).stdout
    assert one.shell(1, "ls /etc/etcd/etcd/*.before", check=False) == ""


def test_what_was_begun_is_turned_back(cluster: Cluster) -> None:
    three = cluster(3, waits=HURRIED).found(access=True)
    # An upgrade of which one member is done.
    three.declare("3.7.3")
    three.rollout(1)
    assert versions(three) == ["3.7.3", "3.6.16", "3.6.16"]
    other = three.run(2, "binary", "--version", "3.5.35", check=False)
    assert "the members run etcd 3.6 and 3.7, a change that was not finished" in other.stderr
    before = three.pids()
    three.declare("3.6.16")
    said = roll_all(three)
    assert said.count("no restart") == 2
    assert "prepares its data" not in said
    assert three.pids()[1:] == before[1:]
    assert versions(three) == ["3.6.16"] * 3

    # A downgrade that is killed before, and after its first restart, and then not wanted any more.
    three.declare("3.7.3")
    roll_all(three)
    three.declare("3.6.16")
    running = three.begin_rollout(1)
    eventually("etcd is told", lambda: three.status(2).get("downgradeInfo", {}).get("enabled"))
    three.kill_program(1, "rollout")
    running.communicate()
    three.rollout(1)
    assert versions(three) == ["3.6.16", "3.7.3", "3.7.3"]
    three.declare("3.7.3")
    said = roll_all(three)
    assert "the downgrade that was begun is called off" in said
    assert said.count("no restart") == 2
    assert versions(three) == ["3.7.3"] * 3
    eventually("the cluster is at 3.7", lambda: three.status(1)["storageVersion"] == "3.7.0")
    assert three.is_well()


# ---- what 3.7 cannot read


def test_3_7_starts_only_behind_a_snapshot_that_covers_what_3_5_wrote(cluster: Cluster) -> None:
    """The first half shows that etcd still needs it; when it fails, the second half can go."""
    one = cluster(1, version="3.5.35", waits=HURRIED, inject=CARELESS).found(access=True)
    one.put(1, "first", "with 3.5")
    one.declare("3.6.16")
    roll_all(one)
    one.declare("3.7.3")
    failed = one.rollout(1, check=False)
    assert "unmarshal should never fail" in one.shell(1, "journalctl -u etcd -o cat")
    # 3.6 opens what 3.7 has opened before.
    assert "etcd 3.6.16 was put back and runs again" in failed.stderr
    assert one.status(1)["version"] == "3.6.16"

    one.inject = ""
    one.send_program(1)
    assert "leave entries of etcd 3.5 behind" in one.rollout(1).stdout
    assert one.status(1)["version"] == "3.7.3"
    assert one.get(1, "first") == "with 3.5"
    assert "snapshot-count: 10000" in one.shell(1, "cat /etc/etcd/etcd/etcd.yaml")


def test_a_member_that_boots_in_the_middle_does_not_change_its_version(
    cluster: Cluster, lab: Lab
) -> None:
    three = cluster(3).found(access=True)
    three.declare("3.7.3")
    lab.reboot(10)
    eventually("the member is back", lambda: three.is_active(1))
    assert versions(three) == ["3.6.16"] * 3
    # What was noted is gone with the boot, so there is one snapshot more.
    assert "snapshot before the upgrade" in three.rollout(1).stdout
    three.rollout(2)
    lab.reboot(11)
    eventually("the member is back", lambda: three.is_active(2))
    assert "all members run 3.7.3" in three.rollout(3).stdout
    assert three.is_well()
