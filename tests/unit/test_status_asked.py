"""What `status` makes of what members answer, and of what keeps them from it."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from etcd_component.etcd_api.connection import dial
from etcd_component.status.asked import ask, ask_cluster
from tests.authority import Authority
from tests.unit.agent.https_server import ERROR, HANG_UP, OK, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METRICS = b"""\
# TYPE etcd_server_has_leader gauge
etcd_server_has_leader 1
etcd_server_is_leader 1
etcd_server_is_learner 0
etcd_server_id{server_id="ff"} 1
etcd_server_proposals_committed_total 5.000012e+06
etcd_server_proposals_applied_total 41
etcd_mvcc_db_total_size_in_bytes 2.0480e+04
etcd_mvcc_db_total_size_in_use_in_bytes 1
etcd_server_quota_backend_bytes 2.147483648e+09
"""
VERSION = b'{"etcdserver":"3.6.16","etcdcluster":"3.6.0"}'
HEALTHY = b'{"health":"true","reason":""}'
LOGIN = b'{"token":"a"}'
MEMBERS = b'{"members":[{"ID":"255","name":"etcd-1","peerURLs":["p"],"clientURLs":["c"]}]}'
ALARMS = b'{"alarms":[{"memberID":"255","alarm":"NOSPACE"}]}'


def refusal(words: str, code: int = 3) -> tuple[bytes, bytes]:
    return ERROR, json.dumps({"error": words, "message": words, "code": code}).encode()


WRONG = refusal("etcdserver: authentication failed, invalid user ID or password")
OFF = refusal("etcdserver: authentication is not enabled", 9)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.stop()


def test_a_member_says_what_it_is(server: Server) -> None:
    server.answers = [(OK, METRICS), (OK, VERSION), (OK, HEALTHY)]
    found = ask(server.url, server.client())
    assert (found.error, found.reached, found.healthy) == ("", True, True)
    assert (found.id, found.leads, found.has_leader, found.learner) == (255, True, True, False)
    assert (found.version, found.cluster_version) == ("3.6.16", "3.6.0")
    assert (found.index, found.applied, found.size) == (5000012, 41, 20480)
    assert (found.in_use, found.quota) == (1, 2**31)
    assert found.certificate
    assert found.expires > 0
    assert server.connections == 1


def test_what_is_no_answer_of_etcd_s_is_no_health(server: Server) -> None:
    server.answers = [(OK, b"<html>"), (OK, b"[]"), (OK, b"<html>")]
    found = ask(server.url, server.client())
    assert (found.error, found.healthy, found.version, found.id) == ("", False, "", 0)


def test_a_member_that_closes_the_connection_was_reached(server: Server) -> None:
    server.answers = [(HANG_UP, b"")] * 4
    found = ask(server.url, server.client())
    assert found.error == "the connection was closed before an answer came"
    assert found.reached
    assert found.certificate


def test_what_is_wrong_with_a_certificate_is_said(server: Server, tmp_path: Path) -> None:
    stranger = server.client(Authority(name="another CA"))
    found = ask(server.url, stranger)
    assert found.reached
    assert found.error.startswith(
        ("it refuses the stack's client certificate: ", "the connection was closed")
    )
    other = tmp_path / "other"
    other.mkdir()
    foreign = Server(other)
    found = ask(foreign.url, server.client())
    assert found.error.startswith("its certificate is not trusted: ")
    assert (found.reached, found.expired) == (True, False)
    foreign.stop()


def test_an_expired_certificate_is_told_apart(tmp_path: Path) -> None:
    server = Server(tmp_path, days=-0.0001)
    found = ask(server.url, server.client())
    assert (found.error, found.expired, found.reached) == (
        "its certificate has expired",
        True,
        True,
    )
    server.stop()


def test_where_nobody_is_nothing_was_reached(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    found = ask(f"https://127.0.0.1:{port}", server.client())
    assert (found.error, found.reached) == ("nothing listens there", False)
    found = ask("https://nowhere.invalid:2379", server.client())
    assert "nowhere.invalid cannot be resolved" in found.error


def test_the_first_password_that_is_taken_is_root_s(server: Server) -> None:
    lists = [(OK, MEMBERS), (OK, ALARMS), (OK, b'{"users":["root"]}'), (OK, b'{"roles":["root"]}')]
    server.answers = [WRONG, (OK, LOGIN), *lists]
    found = ask_cluster([(server.url, dial)], server.client(), ["new", "old"])
    assert found.members is not None
    assert [(one.id, one.name) for one in found.members] == [(255, "etcd-1")]
    assert [(one.member_id, one.kind) for one in found.alarms] == [(255, "NOSPACE")]
    assert found.rbac
    assert found.access is not None
    assert b'"password": "old"' in server.requests[1]


def test_without_authentication_access_is_not_looked_at(server: Server) -> None:
    server.answers = [OFF, (OK, MEMBERS), (OK, b"{}")]
    found = ask_cluster([(server.url, dial)], server.client(), ["any"])
    assert (found.rbac, found.access, found.alarms) == (False, None, ())
    assert found.members


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([WRONG, WRONG], "invalid user ID or password"),
        ([(OK, LOGIN), refusal("etcdserver: no leader", 14)], "no leader"),
        ([(OK, LOGIN), (OK, b'{"members":[]}')], "the member list cannot be read"),
        ([(OK, LOGIN), (OK, b"<html>")], "<html>"),
    ],
)
def test_why_there_is_no_list_is_said(
    server: Server, answers: list[tuple[bytes, bytes]], reason: str
) -> None:
    server.answers = answers
    found = ask_cluster([(server.url, dial)], server.client(), ["new", "old"])
    assert found.members is None
    assert f"{server.url} gives no list: " in found.refusal
    assert reason in found.refusal


def test_a_login_without_a_token_is_no_login(server: Server) -> None:
    server.answers = [(OK, b"{}")]
    found = ask_cluster([(server.url, dial)], server.client(), ["secret"])
    assert found.members is None
    assert found.refusal == f"{server.url} gives no list: a login without a token"


def test_a_line_that_is_no_metric_is_passed_over(server: Server) -> None:
    server.answers = [(OK, b"hello world\n" + METRICS), (OK, VERSION), (OK, HEALTHY)]
    assert ask(server.url, server.client()).index == 5000012
