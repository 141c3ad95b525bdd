"""Authentication is switched on, and proved."""

from __future__ import annotations

import pytest

from tests.node.conftest import Cluster
from tests.node.members import HURRY, PASSWORD, Members


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
    refused = one.access(password="another", check=False)

    assert refused.returncode == 1
    assert "etcd refuses root's password" in refused.stderr
    assert "another" not in refused.stdout + refused.stderr
    assert one.token(1, PASSWORD) is not None


def test_a_cluster_without_a_quorum_is_told_soon(cluster: Cluster) -> None:
    two = cluster(2, changes=HURRY).found()
    two.stop(2)
    refused = two.access(check=False)

    assert refused.returncode == 1
    assert "does not answer a login" in refused.stderr
    assert "Is there a quorum?" in refused.stderr
