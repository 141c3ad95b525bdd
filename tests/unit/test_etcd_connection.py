"""The connection to a member: it is kept, and it is known who counts as absent."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etcd_component.agent import certificates
from etcd_component.etcd_api import connection as module
from etcd_component.etcd_api.connection import Connection, dial
from etcd_component.etcd_api.errors import (
    AnswerTimeout,
    ApiError,
    CertificateExpired,
    CertificateRefused,
    CertificateUntrusted,
    ConnectionLost,
    ConnectionRefused,
    ConnectTimeout,
    EtcdError,
    HandshakeFailed,
    TokenInvalid,
    UnexpectedAnswer,
    UnhealthyCluster,
    Unreachable,
)
from tests.authority import Authority
from tests.unit.agent.https_server import ERROR, HANG_UP, OK, Server

# ---- the connection


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def member(server: Server) -> Connection:
    return Connection(server.url, server.client())


def test_a_connection_is_kept_between_requests(server: Server, member: Connection) -> None:
    for _ in range(3):
        assert member.call("cluster/member/list", {}) == {}
    assert (server.connections, len(server.requests)) == (1, 3)


def test_a_call_is_json_with_the_token_in_its_header(server: Server, member: Connection) -> None:
    server.answers = [(OK, '{"who": "zoë"}'.encode())]
    assert member.call("auth/user/get", {"name": "zoë"}, "a.token") == {"who": "zoë"}
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v3/auth/user/get ")
    assert b"Authorization: a.token" in head
    assert json.loads(body) == {"name": "zoë"}
    member.call("x", {})
    assert b"Authorization" not in server.requests[1]
    assert member.get("/readyz") == b"{}"
    assert server.requests[2].startswith(b"GET /readyz ")


@pytest.mark.parametrize("status", [OK, ERROR])
def test_an_answer_that_is_an_error_is_typed(
    server: Server, member: Connection, status: bytes
) -> None:
    words = "etcdserver: unhealthy cluster"
    server.answers = [(status, json.dumps({"error": words, "message": words, "code": 14}).encode())]
    with pytest.raises(UnhealthyCluster) as caught:
        member.call("cluster/member/add", {})
    assert (str(caught.value), caught.value.code) == (words, 14)
    # It was an answer: the connection is still good.
    member.call("x", {})
    assert server.connections == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"404 page not found\n"])
def test_what_is_no_answer_of_etcd_s_is_said_as_it_is(
    server: Server, member: Connection, body: bytes
) -> None:
    server.answers = [(OK, body)]
    with pytest.raises(UnexpectedAnswer, match=body.decode().strip("\n[]") or "nothing|\\[\\]"):
        member.call("x", {})


def test_a_connection_that_went_stale_is_dialled_again_once(
    server: Server, member: Connection
) -> None:
    member.call("x", {})
    server.drop_connections()
    assert member.call("x", {}) == {}
    assert server.connections == 2
    # It is no fault of the connection when it happens again at once.
    server.answers = [(HANG_UP, b""), (HANG_UP, b"")]
    with pytest.raises(ConnectionLost):
        member.call("x", {})
    assert server.connections == 3
    # A new one is not dialled twice.
    server.answers = [(HANG_UP, b"")]
    with pytest.raises(ConnectionLost):
        member.call("x", {})
    assert server.connections == 4
    assert member.call("x", {}) == {}


def test_a_server_that_closes_after_each_answer_is_served_as_well(
    server: Server, member: Connection
) -> None:
    server.hang_up_after = 1
    for _ in range(3):
        assert member.call("x", {}) == {}
    assert server.connections == 3


def test_a_server_that_says_that_it_closes_is_dialled_again(
    server: Server, member: Connection
) -> None:
    server.hang_up_after, server.says_close = 1, True
    for _ in range(3):
        assert member.call("x", {}) == {}
    member.served_certificate()
    assert server.connections == 4


@pytest.mark.parametrize("size", [10, 200_000])
def test_half_an_answer_is_none(server: Server, member: Connection, size: int) -> None:
    server.answers = [(OK, b"#" * size)]
    server.cut_off = 5
    with pytest.raises(ConnectionLost, match="the connection was closed before"):
        member.get("/metrics")


def test_a_long_answer_is_read_as_a_whole(
    server: Server, member: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = [(OK, b"#" * 200_000), (OK, b"#" * 200_000)]
    assert member.get("/metrics") == b"#" * 200_000
    monkeypatch.setattr(module, "_LIMIT", 150_000)
    with pytest.raises(Unreachable, match="more than 150000 bytes"):
        member.get("/metrics")
    assert member.call("x", {}) == {}


def test_no_answer_in_time_is_a_timeout_and_not_asked_twice(
    server: Server, member: Connection
) -> None:
    member.call("x", {})
    server.silent = True
    begun = time.monotonic()
    with pytest.raises(AnswerTimeout, match="no answer in time"):
        member.call("x", {}, seconds=0.3)
    assert 0.2 < time.monotonic() - begun < 1
    assert len(server.requests) == 2
    server.silent = False
    assert member.call("x", {}) == {}
    assert server.connections == 2


def test_the_certificate_that_is_served_can_be_read(server: Server, member: Connection) -> None:
    pem = (server.folder / "server.crt").read_text()
    served = member.served_certificate()
    assert served.der == ssl.PEM_cert_to_DER_cert(pem)
    assert served.not_after == certificates.not_after(served.der)
    member.call("x", {})
    assert server.connections == 1


# ---- TLS


def test_a_certificate_of_another_authority_is_not_trusted(server: Server, tmp_path: Path) -> None:
    stranger = Authority(name="another CA")
    (tmp_path / "other.pem").write_text(stranger.bundle)
    server.client()
    context = module.client_context(
        tmp_path / "other.pem", tmp_path / "client.crt", tmp_path / "client.key"
    )
    with pytest.raises(CertificateUntrusted, match="its certificate is not trusted"):
        Connection(server.url, context).call("x", {})


def test_an_expired_certificate_is_not_trusted(tmp_path: Path) -> None:
    server = Server(tmp_path, days=-0.0001)
    with pytest.raises(CertificateExpired, match="certificate has expired"):
        Connection(server.url, server.client()).call("x", {})
    server.stop()


def test_a_certificate_for_another_name_is_not_trusted(server: Server) -> None:
    url = server.url.replace("127.0.0.1", "localhost")
    with pytest.raises(CertificateUntrusted, match="its certificate is not trusted"):
        Connection(url, server.client()).call("x", {})


def test_a_server_that_refuses_this_side_s_certificate_is_said(server: Server) -> None:
    context = server.client(Authority(name="another CA"))
    with pytest.raises((CertificateRefused, ConnectionLost)) as caught:
        Connection(server.url, context).call("x", {})
    assert "refuses this side's certificate" in str(caught.value) or isinstance(
        caught.value, ConnectionLost
    )


def test_a_server_without_tls_is_no_server(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        plain.settimeout(5)
        context = server.client()

        def answer() -> None:
            line = plain.accept()[0]
            line.recv(4096)
            line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            line.close()

        threading.Thread(target=answer, daemon=True).start()
        url = f"https://127.0.0.1:{plain.getsockname()[1]}"
        with pytest.raises(HandshakeFailed, match="TLS failed"):
            Connection(url, context).call("x", {})


# ---- reaching it


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        return int(plain.getsockname()[1])


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    def resolve(*_words: object, **_named: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_it_counts_as_refused_only_when_every_address_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = closed_port()
    resolving(monkeypatch, ("127.0.0.1", port), ("127.0.0.2", port))
    with pytest.raises(ConnectionRefused):
        dial("two.example", port)


@pytest.mark.parametrize("refusing_first", [True, False])
def test_one_of_two_addresses_that_keeps_silent_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch, refusing_first: bool
) -> None:
    port = closed_port()
    silent = ("198.51.100.1", port)
    found = [("127.0.0.1", port), silent] if refusing_first else [silent, ("127.0.0.1", port)]
    resolving(monkeypatch, *found)
    connect = socket.socket.connect

    def fake(self: socket.socket, address: Any) -> None:
        if address == silent:
            raise TimeoutError("timed out")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", fake)
    with pytest.raises(ConnectTimeout, match=r"no connection within 0\.2 s"):
        dial("two.example", port, 0.2)


def test_the_second_address_serves_where_the_first_refuses(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ("127.0.0.1", closed_port()), ("127.0.0.1", server.port))
    line = dial("two.example", server.port)
    assert line.getpeername()[1] == server.port
    line.close()


def test_an_address_of_a_kind_that_this_machine_lacks_is_passed_over(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        (family, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
        for family in (socket.AF_INET6, socket.AF_INET)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    make = socket.socket

    def without_ipv6(family: int, *more: Any, **named: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return make(family, *more, **named)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    dial("two.example", server.port).close()


@pytest.mark.parametrize("url", ["", "https://", "https://one:port", "https://a..b:1", "nonsense"])
def test_what_is_no_address_is_nobody_s(server: Server, url: str) -> None:
    with pytest.raises(Unreachable) as caught:
        Connection(url, server.client()).get("/version")
    assert not isinstance(caught.value, ConnectionRefused)


def test_a_name_that_does_not_resolve_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_words: object, **_named: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Unreachable, match=r"nowhere\.example cannot be resolved: Name or service"):
        dial("nowhere.example", 2379)


def test_a_closed_port_is_refused_and_no_network_is_not(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"https://127.0.0.1:{closed_port()}"
    with pytest.raises(ConnectionRefused, match="connection refused"):
        Connection(url, server.client()).get("/version")

    def no_route(_self: socket.socket, _address: Any) -> None:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(socket.socket, "connect", no_route)
    with pytest.raises(Unreachable, match="no route to host") as caught:
        Connection(url, server.client()).get("/version")
    assert not isinstance(caught.value, ConnectionRefused)


# ---- streams


def test_a_stream_gives_its_records_and_what_stops_it(server: Server) -> None:
    server.answers = [(OK, b'{"result":{"blob":"YQ=="}}\n{"result":{"blob":"Yg=="}}\n')]
    with_records = Connection(server.url, server.client())
    assert [one["blob"] for one in with_records.stream("x", {}, "", 5)] == ["YQ==", "Yg=="]


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (b'{"code":16,"message":"etcdserver: invalid auth token"}', TokenInvalid, "auth token"),
        (b'{"error":{"code":2,"message":"it broke off"}}', EtcdError, "it broke off"),
        (b'{"error":"invalid auth token","code":16}', TokenInvalid, "auth token"),
        (b'{"result":null}', UnexpectedAnswer, "result"),
        (b'{"other":1}', UnexpectedAnswer, "other"),
        (b"[]", UnexpectedAnswer, r"\[\]"),
        (b"<html>", UnexpectedAnswer, "html"),
    ],
)
def test_a_stream_that_is_refused_says_why(
    server: Server, answer: bytes, kind: type[ApiError], said: str
) -> None:
    server.answers = [(OK, answer + b"\n")]
    with pytest.raises(kind, match=said):
        list(Connection(server.url, server.client()).stream("x", {}, "", 5))


@pytest.mark.parametrize(
    "url",
    ["", "https://", "https://:1", "https://a:1,https://b:2", "https://[::1:2", "https://a..b:1"],
)
def test_what_is_no_url_is_unreachable(url: str) -> None:
    """Somebody edited etcd.yaml by hand; there is no traceback for it."""
    with pytest.raises(Unreachable, match="is no URL"):
        Connection(url, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)).get("/version", 1)
