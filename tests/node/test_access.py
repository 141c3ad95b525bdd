"""Authentication is switched on, and proved."""

from __future__ import annotations

import json

import pytest

from tests.node.conftest import Cluster
from tests.node.members import HURRY, PASSWORD, VERSION, Members, credentials


@pytest.fixture
def one(cluster: Cluster) -> Members:
    return cluster(1).found()


def assert_on(members: Members) -> None:
    assert (
        members.call(1, "kv/range", {"key": "AA=="})["message"] == "etcdserver: user name is empty"
    )
    assert members.token(1) is not None
    assert members.roles() == {"etcd-1": "voter"}


def test_access_is_set_up_once_and_proved_again(one: Members) -> None:
    assert one.token(1) is None
    assert "authentication on" in one.access().stdout
    assert_on(one)
    revision = one.call(1, "auth/status", token=one.token(1))["authRevision"]

    assert "authentication is on" in one.access().stdout
    assert one.call(1, "auth/status", token=one.token(1))["authRevision"] == revision


STEPS: list[tuple[str, dict[str, str]]] = [
    ("auth/user/add", {"name": "root", "password": "of an earlier run"}),
    ("auth/role/add", {"name": "root"}),
    ("auth/user/grant", {"user": "root", "role": "root"}),
]


@pytest.mark.parametrize("done", range(1, len(STEPS) + 1))
def test_access_that_was_interrupted_is_completed(one: Members, done: int) -> None:
    for path, body in STEPS[:done]:
        assert "header" in one.call(1, path, body)

    one.access()
    assert_on(one)


def test_another_password_than_the_cluster_s_is_told(one: Members) -> None:
    one.access()
    refused = one.access(1, "another", check=False)

    assert refused.returncode == 1
    assert "etcd refuses root's password" in refused.stderr
    assert "another" not in refused.stdout + refused.stderr
    assert one.token(1, PASSWORD) is not None


def test_a_cluster_without_a_quorum_is_told_soon(cluster: Cluster) -> None:
    two = cluster(2, waits=HURRY).found()
    two.stop(2)
    refused = two.access(check=False)

    assert refused.returncode == 1
    assert "does not answer a login" in refused.stderr
    assert "Is there a quorum?" in refused.stderr


NEW = "the \\ one after"


def test_root_s_password_changes_and_until_then_the_one_before_is_taken(cluster: Cluster) -> None:
    two = cluster(2).found(access=True)
    both = credentials(NEW, PASSWORD)
    two.change(snapshot_count=9000)
    rollout = ("rollout", "--version", VERSION)
    assert "restarted" in two.run(2, *rollout, stdin=both).stdout
    before = two.pids()

    changed = two.access(1, NEW, PASSWORD)
    assert "root's password is the new one" in changed.stdout
    assert NEW not in changed.stdout
    again = two.access(1, NEW, PASSWORD)
    assert "the configured one" in again.stdout
    assert two.token(1, NEW)
    former = {"name": "root", "password": PASSWORD}
    assert "invalid user ID" in two.call(2, "auth/authenticate", former)["message"]
    assert two.pids() == before
    assert "restarted" in two.run(1, *rollout, stdin=both).stdout


def test_a_password_that_was_changed_to_before_it_was_confirmed_is_taken(one: Members) -> None:
    one.access()
    # Cut off between the two.
    one.call(1, "auth/user/changepw", {"name": "root", "password": NEW}, one.token(1))
    assert "the configured one" in one.access(1, NEW, PASSWORD).stdout
    refused = one.access(1, "another", "and another", check=False)
    assert "neither the one in the stack's configuration nor the one before" in refused.stderr


def test_the_password_stays_while_a_member_is_to_leave_with_it(cluster: Cluster) -> None:
    two = cluster(2).found(access=True)
    two.size = 1
    refused = two.access(1, NEW, PASSWORD, check=False)
    assert "member etcd-2 would be removed with the former password" in refused.stderr
    two.size = 2
    # So do a user and a role that were declared, and are not any more.
    login = json.dumps({"name": "gone", "password": "x"})
    two.run(1, "declare", "--user", "gone", "--role", "kept", stdin=f"{credentials()}{login}\n")
    two.call(1, "auth/role/add", {"name": "of nobody"}, two.token(1))
    peers = ("--peers", two.urls([2]))
    both = credentials(NEW, PASSWORD)
    refused = two.run(1, "access", *peers, "--role", "kept", stdin=both, check=False)
    assert ": user gone would be removed with the former password" in refused.stderr
    two.call(1, "auth/user/delete", {"name": "gone"}, two.token(1))
    two.call(1, "auth/role/delete", {"role": "kept"}, two.token(1))
    assert "root's password is the new one" in two.access(1, NEW, PASSWORD).stdout
