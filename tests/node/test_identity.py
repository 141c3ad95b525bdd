"""Every command means an instance of a stack, and leaves anything else alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab import Lab
from tests.node.conftest import SUBNET, Cluster
from tests.node.members import OWNER, Members, credentials, in_parallel, killed_at, program

OTHER = "f" * 16
ALL = ("--remove-data", "--remove-software")


def pose(members: Members, seq: int) -> Callable[..., tuple[int, str]]:
    """Run commands on the first node for the instance of another number."""

    def run(subcommand: str, *options: str, stdin: str = "", owner: str = OWNER) -> tuple[int, str]:
        words = ("--owner", owner, "--name", f"etcd-{seq}", *options)
        done = members.by_hand(1, subcommand, *words, stdin=stdin)
        return done.returncode, done.stdout + done.stderr

    return run


def files(members: Members) -> str:
    return members.shell(1, "cd /etc/etcd/etcd && find . -type f | sort | xargs sha256sum")


CHANGES = {
    "binary": ("--version", "3.6.16"),
    "tls": (),
    "config": (),
    "join": ("--reseat", "7"),
    "rollout": (),
    "remove-member": ("--lost", "etcd-2=https://10.1.1.1:2380"),
    "exporter": (),
}


def test_what_changes_refuses_another_number_and_another_owner(three: Members) -> None:
    before, processes = files(three), three.pids()
    as_other = pose(three, 9)
    for subcommand, options in CHANGES.items():
        code, said = as_other(subcommand, *options, stdin=credentials())
        assert code == 1, subcommand
        assert "this machine holds etcd-1 of cluster etcd, not etcd-9; no changes were made" in said
        assert "put etcd_seq of its host back" in said
        code, said = pose(three, 1)(subcommand, *options, stdin=credentials(), owner=OTHER)
        assert code == 1, subcommand
        assert "this machine holds etcd-1 of another stack's cluster etcd, not etcd-1" in said
    for subcommand in ("access", "declare"):
        meant = ("--owner", OWNER, "--instance", "etcd-9", "--name", "app")
        done = three.by_hand(1, subcommand, *meant, stdin=credentials())
        assert done.returncode == 1, subcommand
        assert "holds etcd-1 of cluster etcd, not etcd-9" in done.stderr
    assert (files(three), three.pids()) == (before, processes)


def test_what_removes_leaves_another_instance_alone_and_is_done(three: Members) -> None:
    before, processes = files(three), three.pids()
    for seq, owner, held in (
        (9, OWNER, "etcd-1 of cluster etcd"),
        (1, OTHER, "etcd-1 of another stack's cluster etcd"),
    ):
        for subcommand, options in {
            "leave": (),
            "uninstall": ALL,
            "exporter": ("--remove",),
        }.items():
            run = pose(three, seq)
            code, said = run(subcommand, *options, stdin=credentials(), owner=owner)
            assert code == 0, said
            assert f"etcd-{seq} is not on this machine, which holds {held}" in said
            assert "Nothing was removed" in said
    for subcommand in ("drop-user", "drop-role"):
        meant = ("--owner", OWNER, "--instance", "etcd-9", "--name", "app")
        done = three.by_hand(1, subcommand, *meant, stdin=credentials())
        assert (done.returncode, "etcd-9 is not on this machine" in done.stdout) == (0, True)
    assert (files(three), three.pids()) == (before, processes)
    assert three.is_well()


def test_a_member_s_machine_is_not_claimed_for_another_number(three: Members) -> None:
    """The seq of a host was changed: nothing of the member may change, nor be removed."""
    before, process = files(three), three.pid(1)
    place = ("--address", three.address(1), "--data", "/data/etcd")
    for subcommand in ("claim", "preflight"):
        code, said = pose(three, 4)(subcommand, *place, "--peers", three.urls([2, 3]))
        assert code == 1
        assert "this machine holds etcd-1 of cluster etcd, not etcd-4" in said
        assert "put etcd_seq of its host back" in said
    assert "uninstall" not in said
    assert (files(three), three.pid(1)) == (before, process)
    assert "is claimed" in three.claim(1).stdout


def test_a_first_run_with_a_wrong_number_can_be_corrected(cluster: Cluster) -> None:
    two = cluster(2)
    two.prepare_all()
    place = ("--address", two.address(1), "--data", "/data/etcd")
    code, said = pose(two, 4)("claim", *place)
    assert (code, "etcd-1 was claimed here and never joined" in said) == (0, True), said
    # The former number is deleted last, and takes nothing with it.
    for subcommand in ("leave", "uninstall"):
        code, said = pose(two, 1)(
            subcommand, *ALL[: subcommand == "uninstall"], stdin=credentials()
        )
        assert (code, "etcd-1 is not on this machine, which holds etcd-4" in said) == (0, True)
    assert two.shell(1, "sed -n s/^name=//p /etc/etcd/etcd/claim") == "etcd-4"


def test_an_erasure_without_a_claim_removes_no_cluster(cluster: Cluster) -> None:
    one = cluster(1).found()
    one.shell(1, "rm /etc/etcd/etcd/claim")
    said = one.uninstall(1, *ALL).stdout
    assert "holds etcd-1 of cluster etcd, which no stack has claimed. Nothing was removed" in said
    assert one.roles() == {"etcd-1": "voter"}
    # A machine whose files were lost is claimed again.
    assert "is claimed" in one.claim(1).stdout
    assert one.roles() == {"etcd-1": "voter"}


@pytest.mark.parametrize("part", ["data_directory.remove", "uninstall._remove_what_is_shared"])
def test_an_erasure_that_was_killed_is_finished_when_it_runs_again(
    cluster: Cluster, part: str
) -> None:
    one = cluster(1).found()
    one.send_program(1)
    one.send_program(1, program(killed_at(part)))
    assert one.run(1, "uninstall", *ALL, check=False).returncode != 0
    assert one.shell(1, "cat /etc/etcd/etcd/claim")
    one.send_program(1)
    assert "etcd-1 is off this machine" in one.uninstall(1, *ALL).stdout
    left = "ls -d /etc/etcd /data /opt/etcd /usr/local/sbin/etcd-node /run/etcd-node"
    assert one.shell(1, left, check=False) == ""


# ---- a claim is one step, and those of others count


def test_of_two_stacks_that_begin_at_once_one_has_the_machine(cluster: Cluster) -> None:
    one, other = cluster(1), cluster(1, owner=OTHER)
    one.send_program(1)
    done = in_parallel(lambda at: (one, other)[at].claim(1, check=False), [0, 1])
    assert sorted(each.returncode for each in done) == [0, 1]
    (refused,) = (each.stderr for each in done if each.returncode)
    assert "was put here by another stack" in refused
    (winner,) = (at for at in (0, 1) if not done[at].returncode)
    owner = one.shell(1, "sed -n s/^owner=//p /etc/etcd/etcd/claim")
    assert owner == (OWNER, OTHER)[winner]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"peer_port": 2480, "data_dir": "/srv/other"}, "the port 2379 is claimed by etcd-1"),
        ({"client_port": 2380, "peer_port": 2480, "data_dir": "/srv/other"}, "the port 2380"),
        ({"client_port": 2479, "peer_port": 2480}, "of cluster etcd is /data/etcd, which cannot"),
        (
            {"client_port": 2479, "peer_port": 2480, "data_dir": "/data/etcd/other"},
            "is /data/etcd, which cannot be shared with /data/etcd/other",
        ),
        (
            {"client_port": 2479, "peer_port": 2480, "data_dir": "/data"},
            "is /data/etcd, which cannot be shared with /data.",
        ),
    ],
)
def test_claims_of_other_clusters_count_where_nothing_runs_yet(
    nodes: Lab, wanted: dict[str, object], message: str
) -> None:
    first = Members(nodes, 1)
    first.send_program(1)
    first.claim(1)
    refused = Members(nodes, 1, "other", **wanted).claim(1, check=False)  # type: ignore[arg-type]
    assert refused.returncode == 1
    assert message in refused.stderr
    assert first.shell(1, "ls /etc/etcd") == "etcd"


# ---- a person at the keyboard


def test_a_person_who_types_uninstall_or_leave_sees_what_would_go(three: Members) -> None:
    processes = three.pids()
    for words in ((), ("--remove-data",), ("--name", "etcd-1"), ("--yes",)):
        done = three.by_hand(1, "uninstall", *words)
        assert done.returncode == 1
        assert "etcd-1 of cluster etcd" in done.stderr
        assert OWNER in done.stderr
        assert "etcd.service is active" in done.stderr
        assert "/data/etcd" in done.stderr
        assert ("DELETED" in done.stderr) == ("--remove-data" in words)
        more = " --remove-data" if "--remove-data" in words else ""
        line = f"etcd-node uninstall --cluster etcd --name etcd-1{more} --yes"
        assert f"nothing was removed. To confirm: {line}" in done.stderr
    done = three.by_hand(1, "leave", stdin=credentials())
    assert done.returncode == 1
    assert "To confirm: etcd-node leave --cluster etcd --name etcd-1 --yes" in done.stderr
    done = three.by_hand(1, "uninstall", "--name", "etcd-2", "--remove-data", "--yes")
    assert (done.returncode, "not etcd-2; no changes were made" in done.stderr) == (1, True)
    assert three.pids() == processes
    assert three.is_well()


def test_a_person_who_confirms_gets_it_done(cluster: Cluster) -> None:
    one = cluster(1).found()
    done = one.by_hand(1, "uninstall", "--name", "etcd-1", "--remove-data", "--yes")
    assert (done.returncode, "etcd-1 is off this machine" in done.stdout) == (0, True), done.stderr
    assert one.shell(1, "ls -d /data /etc/etcd", check=False) == ""


# ---- a machine that comes back after its member was removed


def removed(members: Members) -> None:
    """Lose the third member's machine, and have the cluster remove it."""
    members.stop(3)
    members.run(1, "remove-member", "--lost", members.urls([3]), stdin=credentials())


def test_a_machine_whose_member_was_removed_is_free_for_another_number(cluster: Cluster) -> None:
    three = cluster(3).found(access=True)
    removed(three)
    place = ("--address", three.address(3), "--data", "/data/etcd", "--owner", OWNER)
    claim = ("claim", "--name", "etcd-5", *place)
    # Where no peer can be asked: one line to type.
    three.shell(3, "rm /etc/etcd/etcd/peers")
    refused = three.by_hand(3, *claim, "--peers", "etcd-1=https://10.99.99.99:2380")
    assert refused.returncode == 1
    assert "etcd-node uninstall --cluster etcd --name etcd-3 --remove-data --yes" in refused.stderr
    assert three.shell(3, "ls /data/etcd/member/wal")
    done = three.by_hand(3, *claim, "--peers", three.urls([1, 2]))
    assert done.returncode == 0, done.stderr
    assert "etcd-3: its cluster has removed it, so this machine is free for etcd-5" in done.stdout
    assert "its former data are kept in /data/etcd/member.removed-" in done.stdout
    assert three.shell(3, "ls /data/etcd/member.removed-*/wal")
    assert three.shell(3, "ls /data/etcd/member", check=False) == ""
    assert three.shell(3, "ls /etc/etcd/etcd/seat.yaml", check=False) == ""
    assert SUBNET in three.shell(3, "cat /etc/etcd/etcd/claim")
    assert three.roles() == {"etcd-1": "voter", "etcd-2": "voter"}


def test_a_member_that_is_only_down_is_not_taken_for_a_removed_one(cluster: Cluster) -> None:
    three = cluster(3).found(access=True)
    three.stop(3)
    place = ("--address", three.address(3), "--data", "/data/etcd", "--owner", OWNER)
    done = three.by_hand(3, "claim", "--name", "etcd-5", *place, "--peers", three.urls([1, 2]))
    assert done.returncode == 1
    assert "this machine holds etcd-3 of cluster etcd, not etcd-5" in done.stderr
    assert three.shell(3, "ls /data/etcd/member/wal")
    three.shell(3, "systemctl start etcd")
    assert three.is_well()
