"""Tokens that are signed: by every member with the same keys, and proved without memory."""

from __future__ import annotations

import base64
import json

import pytest

from lab.releases import VERSIONS
from tests.authority import token_keys
from tests.node.conftest import Cluster
from tests.node.members import Members, in_parallel

ASKED = {"key": "AA=="}


def algorithm(token: str) -> str:
    head = token.split(".", maxsplit=1)[0]
    found = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["alg"]
    assert isinstance(found, str)
    return found


def takes(members: Members, seq: int, token: str) -> str:
    """What is wrong with a token, says a member; empty if nothing is."""
    return str(members.call(seq, "kv/range", ASKED, token).get("message", ""))


def put_files(members: Members) -> None:
    in_parallel(members.put_certificate, members.everyone)
    in_parallel(members.put_config, members.everyone)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_signed_token_is_taken_by_every_release(cluster: Cluster, version: str) -> None:
    one = cluster(1, version=version, token_keys=token_keys()).found(access=True)
    token = one.token(1)
    assert token
    assert algorithm(token) == "ES256"
    one.shell(1, "systemctl restart etcd")
    assert takes(one, 1, token) == ""
    one.call(1, "auth/role/add", {"name": "another"}, token)
    assert "revision of auth store is old" in takes(one, 1, token)


def test_tokens_change_their_kind_and_their_keys_by_a_rollout(cluster: Cluster) -> None:
    two = cluster(2).found(access=True)
    simple, before = two.token(1), two.pids()
    two.token_keys = token_keys()
    put_files(two)
    assert two.pids() == before
    assert "changed by hand" not in "".join(two.rollout(seq).stdout for seq in two.everyone)
    assert all(new != old for new, old in zip(two.pids(), before, strict=True))
    signed, before = two.token(1), two.pids()
    assert simple
    assert signed
    assert takes(two, 2, signed) == ""
    assert takes(two, 2, simple) == "etcdserver: invalid auth token"
    assert two.shell(1, "stat -L -c '%a %U' /etc/etcd/etcd/pki/token.key") == "600 etcd"

    # Other keys are read at a start alone, another certificate is not.
    two.put_certificate(1)
    assert "no restart" in two.rollout(1).stdout
    two.token_keys = token_keys()
    in_parallel(two.put_certificate, two.everyone)
    assert takes(two, 2, signed) == ""
    for seq in two.everyone:
        assert "restarted" in two.rollout(seq).stdout
    assert takes(two, 2, signed) == "etcdserver: invalid auth token"

    two.token_keys = None
    put_files(two)
    for seq in two.everyone:
        assert "restarted" in two.rollout(seq).stdout
    assert two.shell(1, "ls /etc/etcd/etcd/pki/ | grep token", check=False) == ""
    assert "." in (two.token(1) or "")
