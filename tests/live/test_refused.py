"""Who is refused, and by what: asked from outside, over gRPC (etcdctl) and HTTP (the gateway)."""

from __future__ import annotations

import base64
import errno
import http.client
import json
import re
import selectors
import socket
import ssl
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab import Lab
from tests.authority import dated, named, pem_of, unlocked
from tests.live.cluster import Asked
from tests.live.conftest import Ask
from tests.live.nodes import FIRST, processes, shell
from tests.live.stack import Stack

COUNT = 3
SSH, CLIENT, PEER = 22, 2379, 2380

Identity = tuple[str, str]
"""A certificate and its key, PEM."""


def addresses(lab: Lab) -> list[str]:
    return [lab.address(position) for position in range(COUNT)]


def trusting(stack: Stack, place: Path | None = None, identity: Identity | None = None) -> Any:
    """TLS of somebody who trusts the cluster, and shows a certificate or none."""
    context = ssl.create_default_context(cadata=stack.output("ca_cert"))
    if place and identity:
        (place / "pem").write_text("".join(identity))
        context.load_cert_chain(place / "pem")
    return context


def said(address: str, port: int, context: ssl.SSLContext, path: str = "/version") -> str:
    """What comes back from a port: the answer's first line, or the refusal in TLS's own words.

    With TLS 1.3 a server refuses a client only after the client thinks it is in. A certificate
    that is revoked is refused after the handshake, without a word.
    """
    try:
        with (
            socket.create_connection((address, port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=address) as tls,
        ):
            tls.sendall(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
            return tls.recv(100).decode().split("\r\n")[0]
    except ssl.SSLError as error:
        return str(error.reason or error)
    except ConnectionError:
        return ""


def kept(stack: Stack, *wanted: tuple[str, str, str]) -> list[str]:
    """What the stack's state has of certificates and keys: each by kind, name and output."""
    shown = stack.pulumi("stack", "export", "--show-secrets", keep=False).text
    resources = {
        one["urn"].rpartition("/")[2].partition(":")[2]: one.get("outputs", {})
        for one in json.loads(shown)["deployment"]["resources"]
    }
    found = [resources[f"{kind}::{name}"][output] for kind, name, output in wanted]
    return [one if isinstance(one, str) else str(json.loads(one["plaintext"])) for one in found]


def identity_of(stack: Stack, generation: int = 1) -> Identity:
    """The certificate and key of the client `tool`."""
    key = "etcd:tool" if generation == 1 else f"etcd:tool:{generation}"
    # Another test has made all keys of this cluster anew.
    of_all = stack.config["inventory"]["etcd"]["vars"].get("etcd_cert_generation", 1)
    key += f"-g{of_all}" if of_all > 1 else ""
    certificate, private = kept(
        stack,
        ("LocallySignedCert", "etcd:tool", "certPem"),
        ("PrivateKey", key, "privateKeyPem"),
    )
    return certificate, private


def number(identity: Identity) -> str:
    """A certificate's serial number."""
    return f"{x509.load_pem_x509_certificate(identity[0].encode()).serial_number:x}"


def showing(asked: Asked, place: Path, identity: Identity, **environment: str) -> Asked:
    """The same client with another certificate."""
    place.mkdir(exist_ok=True)
    (place / "client.crt").write_text(identity[0])
    (place / "client.key").write_text(identity[1])
    files = {"ETCDCTL_CERT": str(place / "client.crt"), "ETCDCTL_KEY": str(place / "client.key")}
    return replace(asked, environment=asked.environment | files | environment)


def issued_elsewhere() -> Identity:
    """A certificate and key of a CA that is not the cluster's."""
    key, name = ec.generate_private_key(ec.SECP256R1()), named("root")
    return pem_of(dated(name, name, key).sign(key, hashes.SHA256())), unlocked(key)


def made_by_hand(stack: Stack, seconds: int) -> Identity:
    """One of the cluster's own CA that ends so many seconds from now."""
    (pem,) = kept(stack, ("PrivateKey", "etcd-ca", "privateKeyPem"))
    signer = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(stack.output("ca_cert").encode()).subject
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = dated(named("tool"), issuer, key, days=seconds / 86400)
    return pem_of(certificate.sign(signer, hashes.SHA256())), unlocked(key)


def never_connects(asked: Asked, **environment: str | None) -> None:
    """A gRPC client tries again and again, and is never told more than that time is up."""
    refused = asked.run("get", "asked", "--command-timeout=1s", **environment)
    assert refused.returncode != 0
    assert "context deadline exceeded" in refused.stderr


# --- by TLS, before any login


def test_a_certificate_of_the_clusters_ca_gets_an_answer(three: Stack, lab: Lab, ask: Ask) -> None:
    for address in addresses(lab):
        assert said(address, CLIENT, ask(three).context()).endswith("200 OK")


def test_no_certificate(three: Stack, lab: Lab, ask: Ask) -> None:
    for address in addresses(lab):
        for port in (CLIENT, PEER):
            assert "CERTIFICATE_REQUIRED" in said(address, port, trusting(three))
    never_connects(ask(three), ETCDCTL_CERT=None, ETCDCTL_KEY=None)


@pytest.mark.parametrize(
    ("whose", "alert"),
    [
        (lambda _: issued_elsewhere(), "UNKNOWN_CA|BAD_CERTIFICATE"),
        (lambda stack: made_by_hand(stack, -10), "CERTIFICATE_EXPIRED|BAD_CERTIFICATE"),
    ],
    ids=["of another CA", "expired"],
)
def test_a_certificate_that_is_none(
    three: Stack,
    lab: Lab,
    ask: Ask,
    tmp_path: Path,
    whose: Callable[[Stack], Identity],
    alert: str,
) -> None:
    identity = whose(three)
    context = trusting(three, tmp_path, identity)
    for address in addresses(lab):
        for port in (CLIENT, PEER):
            assert re.search(alert, said(address, port, context))
    never_connects(showing(ask(three), tmp_path, identity))


def test_a_client_s_certificate_at_the_peer_port(three: Stack, lab: Lab, ask: Ask) -> None:
    # Or every client could play a member, without a password.
    for address in addresses(lab):
        assert "BAD_CERTIFICATE" in said(address, PEER, ask(three).context(), "/members")
    by_member = shell(
        lab,
        FIRST,
        "cd /etc/etcd/etcd/pki &&"
        " curl -s --http1.1 --cacert ca.crt --cert server.crt --key server.key"
        f" https://{lab.address(0)}:{PEER}/members",
    )
    assert "etcd-3" in by_member


def test_older_tls_than_1_2(three: Stack, lab: Lab, ask: Ask) -> None:
    context = ask(three).context()
    # Or this side would refuse, and nothing would be known of the server.
    context.set_ciphers("ALL:@SECLEVEL=0")
    for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = old
        for address in addresses(lab):
            for port in (CLIENT, PEER):
                assert "TLSV1_ALERT_PROTOCOL_VERSION" in said(address, port, context)


def test_everything_without_tls(three: Stack, lab: Lab, ask: Ask) -> None:
    for address in addresses(lab):
        for port in (CLIENT, PEER):
            connection = http.client.HTTPConnection(address, port, timeout=10)
            connection.request("GET", "/version")
            try:
                status = connection.getresponse().status
            except (http.client.HTTPException, OSError):
                continue
            finally:
                connection.close()
            assert status == http.HTTPStatus.BAD_REQUEST
    plain = ",".join(f"http://{address}:{CLIENT}" for address in addresses(lab))
    never_connects(ask(three), ETCDCTL_ENDPOINTS=plain)


def open_ports(address: str) -> set[int]:
    """All TCP ports that take a connection."""
    waiting = selectors.DefaultSelector()
    found = set()
    ports = iter(range(1, 65536))

    def begin(port: int) -> None:
        dialled = socket.socket()
        dialled.setblocking(False)
        if dialled.connect_ex((address, port)) == errno.EINPROGRESS:
            waiting.register(dialled, selectors.EVENT_WRITE, port)
        else:
            dialled.close()

    more = True
    while more or waiting.get_map():
        while more and len(waiting.get_map()) < 500:
            port = next(ports, None)
            more = port is not None
            if port is not None:
                begin(port)
        for key, _ in waiting.select(timeout=5):
            dialled = key.fileobj
            assert isinstance(dialled, socket.socket)
            waiting.unregister(dialled)
            if dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.add(key.data)
            dialled.close()
    return found


def test_every_other_port(three: Stack, lab: Lab) -> None:
    assert open_ports(lab.address(1)) == {SSH, CLIENT, PEER}


# --- by etcd, behind the certificate


def asked_over_http(asked: Asked, key: str, token: str = "") -> str:
    """What the gateway of a member answers to who reads a key."""
    headers = {"Authorization": token} if token else {}
    body = json.dumps({"key": base64.b64encode(key.encode()).decode()}).encode()
    request = urllib.request.Request(f"{asked.endpoints[0]}/v3/kv/range", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10, context=asked.context()) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as refused:
        return f"{refused.code} {refused.read().decode()}"


def logged_in_over_http(asked: Asked, name: str, password: str) -> str:
    """The token that a login gives, or the refusal."""
    body = json.dumps({"name": name, "password": password}).encode()
    request = urllib.request.Request(f"{asked.endpoints[0]}/v3/auth/authenticate", body)
    try:
        with urllib.request.urlopen(request, timeout=10, context=asked.context()) as answer:
            return str(json.load(answer)["token"])
    except urllib.error.HTTPError as refused:
        return f"{refused.code} {refused.read().decode()}"


def test_no_password_and_a_wrong_one(three: Stack, ask: Ask) -> None:
    ask(three).assert_login_is_demanded()
    assert re.match("400 .*user name is empty", asked_over_http(ask(three), "asked"))
    wrong = ask(three).run("get", "asked", ETCDCTL_PASSWORD="wrong")
    assert "invalid user ID or password" in wrong.stderr
    assert re.match("400 .*invalid user ID", logged_in_over_http(ask(three), "root", "wrong"))
    # The name in a certificate is nobody's login.
    assert re.match("401 .*invalid auth token", asked_over_http(ask(three), "asked", "made.up"))


class Tool:
    """The client `tool`, with one of its certificates."""

    def __init__(self, asked: Asked, place: Path, identity: Identity, password: str) -> None:
        login = {"ETCDCTL_USER": "tool", "ETCDCTL_PASSWORD": password}
        self._asked = showing(asked, place / number(identity), identity, **login)
        self._password = password

    def reads_its_keys(self) -> None:
        token = logged_in_over_http(self._asked, "tool", self._password)
        assert '"count"' in asked_over_http(self._asked, "/tool/x", token)
        assert self._asked("get", "/tool/x", "--print-value-only") == "1"

    def reaches_no_other_key(self) -> None:
        self._asked("put", "/tool/x", "1")
        for key in ("/tool", "/tool0", "/other"):
            assert "permission denied" in self._asked.run("get", key).stderr
            assert "permission denied" in self._asked.run("put", key, "1").stderr
        token = logged_in_over_http(self._asked, "tool", self._password)
        assert re.match("403 .*permission denied", asked_over_http(self._asked, "/other", token))

    def is_shut_out(self) -> None:
        never_connects(self._asked)
        for endpoint in self._asked.endpoints:
            address = endpoint.removeprefix("https://").partition(":")[0]
            assert said(address, CLIENT, self._asked.context()) == ""


def declare(stack: Stack, **more: object) -> None:
    tool = {"kind": "plain", "prefix": "/tool/"}
    stack.edit(etcd_clients={"tool": tool | more})


def test_a_client_at_other_keys_and_once_its_certificate_is_revoked(
    three: Stack, lab: Lab, ask: Ask, tmp_path: Path
) -> None:
    before = three.config
    declare(three)
    three.up()
    running = processes(lab, COUNT)
    password = three.output("user_passwords")["tool"]

    def tool(identity: Identity) -> Tool:
        return Tool(ask(three), tmp_path, identity, password)

    first = identity_of(three)
    tool(first).reaches_no_other_key()

    # Renewed, which leaves the former one valid.
    three.edit(etcd_cert_days=1800)
    three.up()
    renewed = identity_of(three)
    assert number(renewed) != number(first)
    by_hand = made_by_hand(three, 600)
    for valid in (first, renewed, by_hand):
        tool(valid).reads_its_keys()

    declare(three, cert_generation=2, revoked=[1])
    with_colons = ":".join(re.findall("..", number(by_hand).zfill(40))).upper()
    three.edit(etcd_revoked=[with_colons])
    shown = three.preview()
    for revoked in (first, renewed):
        assert shown.text.count(f"--revoked tool:1={number(revoked)}") == COUNT, shown.text
    three.up()
    for revoked in (first, renewed, by_hand):
        tool(revoked).is_shut_out()
    second = identity_of(three, generation=2)
    tool(second).reads_its_keys()
    assert processes(lab, COUNT) == running
    assert three.preview().changed == {}
    assert three.status().status == 0, three.status().text
    three.write(before)
    three.up()
    assert processes(lab, COUNT) == running
