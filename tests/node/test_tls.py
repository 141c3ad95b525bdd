"""Certificates and keys on a node, and whom the ports let in."""

from __future__ import annotations

import base64
import http.client
import re
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from lab.releases import VERSIONS
from tests.authority import Authority
from tests.node.conftest import Cluster
from tests.node.members import Done, Members, delivery, eventually, in_parallel

PKI = "/etc/etcd/etcd/pki"


def test_keys_are_etcd_s_alone(three: Members) -> None:
    modes = three.shell(1, f"stat -L -c '%a %U %n' {PKI}/*").splitlines()
    assert modes == [
        f"644 etcd {PKI}/ca.crt",
        f"644 etcd {PKI}/revoked.crl",
        f"644 etcd {PKI}/server.crt",
        f"600 etcd {PKI}/server.key",
    ]
    three.put_certificate(1)
    assert len(three.shell(1, "ls -d /etc/etcd/etcd/pki-*").split()) == 1
    assert three.shell(1, "find /etc/etcd /run /var/tmp /tmp -name '*.key*' | wc -l") == "1"


_READ = r"""
rm -f /tmp/stop; pairs=0
while [ ! -e /tmp/stop ]; do
  # One directory is one certificate with its key; one that is gone meanwhile shows nothing.
  cd -P /etc/etcd/etcd/pki || continue
  one=$(openssl x509 -noout -pubkey <server.crt 2>/dev/null) || continue
  other=$(openssl pkey -pubout <server.key 2>/dev/null) || continue
  [ "$one" = "$other" ] || echo "a certificate with another's key"
  pairs=$((pairs + 1))
done
echo "$pairs pairs"
"""


def test_a_reader_never_sees_a_certificate_with_another_s_key(three: Members) -> None:
    command = three.lab.exec_command(10, ["sh", "-c", _READ])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        for _ in range(8):
            three.put_certificate(1)
        three.shell(1, "touch /tmp/stop")
        said, _ = reader.communicate(timeout=60)

    assert "another's key" not in said
    assert int(said.split()[0]) > 3


@pytest.mark.parametrize("missing", ["ca.crt", "server.crt", "server.key"])
def test_half_a_delivery_leaves_the_certificate_in_use(three: Members, missing: str) -> None:
    serial = three.serial(1)
    certificate, key = three.authority.issue_member(three.instance(1))
    whole = delivery(three.authority.bundle, certificate, key, three.authority.crl())
    text = whole.replace(f"--- {missing}\n", "--- another\n")
    refused = three.run(1, "tls", stdin=text, check=False)

    assert refused.returncode == 1
    assert f"no PEM in a section `--- {missing}`" in refused.stderr
    assert "BEGIN" not in refused.stderr
    assert three.serial(1) == serial


@pytest.mark.parametrize(
    "damage",
    [
        lambda der: der[:-1],
        lambda der: der + b"\n",
        lambda der: b"-----BEGIN X509 CRL-----\n" + base64.b64encode(der),
        lambda der: b"",
    ],
    ids=["cut", "longer", "PEM", "empty"],
)
def test_a_list_that_would_lock_everybody_out_is_not_taken(
    three: Members, damage: Callable[[bytes], bytes]
) -> None:
    # 1, 2 and 3 bytes for its length.
    for count in (0, 3, 900):
        listed = three.authority.crl(*range(2**120, 2**120 + count))
        pair = three.authority.issue_member(three.instance(1))
        serial = three.serial(1)
        refused = three.run(
            1, "tls", stdin=delivery(three.authority.bundle, *pair, damage(listed)), check=False
        )
        assert refused.returncode == 1
        assert "no list of revoked certificates (DER in base64)" in refused.stderr
        assert three.serial(1) == serial
        three.run(1, "tls", stdin=delivery(three.authority.bundle, *pair, listed))
        assert three.serial(1) != serial


@pytest.mark.parametrize("version", VERSIONS)
def test_a_revoked_certificate_is_refused_at_once_and_no_other(
    cluster: Cluster, version: str, tmp_path: Path
) -> None:
    one = cluster(1, version=version).found(access=True)
    pids = one.pids()

    def connect(issued: tuple[str, str]) -> http.client.HTTPSConnection:
        (tmp_path / "pem").write_text("".join(issued))
        context = ssl.create_default_context(cadata=one.authority.bundle)
        context.load_cert_chain(tmp_path / "pem")
        return http.client.HTTPSConnection(one.address(1), 2379, context=context, timeout=5)

    def ask(connection: http.client.HTTPSConnection) -> str:
        connection.request("GET", "/version")
        return connection.getresponse().read().decode()

    def gets_in(issued: tuple[str, str]) -> bool:
        try:
            return "etcdcluster" in ask(connect(issued))
        except (OSError, http.client.HTTPException):
            return False

    def peer_gets_in(issued: tuple[str, str]) -> bool:
        # A member's certificate is good at its own address alone.
        one.shell(1, "umask 077; cat >/tmp/peer.pem", stdin="".join(issued))
        url = f"https://{one.address(1)}:2380/version"
        asked = f"curl -s --http1.1 -m 5 --cacert {PKI}/ca.crt --cert /tmp/peer.pem {url}"
        return "etcdcluster" in one.shell(1, f"{asked}; rm /tmp/peer.pem")

    client = one.authority.issue_client()
    member = one.authority.issue_member(one.instance(1))
    open_before = connect(client)
    assert "etcdcluster" in ask(open_before)
    assert gets_in(member)
    assert peer_gets_in(member)

    one.revoked = {number(client), number(member)}
    one.put_certificate(1)
    assert not gets_in(client)
    assert not gets_in(member)
    assert not peer_gets_in(member)
    # Others get in, through the gateway too, which dials with the member's own.
    assert one.is_well()
    # etcd looks when a connection is made. What is open stays, until somebody closes it.
    assert "etcdcluster" in ask(open_before)
    assert one.pids() == pids
    said = one.shell(1, "journalctl -u etcd -o cat")
    # etcd prints bytes: a leading zero may stand before the number.
    assert re.search(rf"certificate serial 0?{number(client):x} revoked", said)

    one.revoked = set()
    one.put_certificate(1)
    assert gets_in(client)
    assert peer_gets_in(member)
    assert one.pids() == pids


def number(issued: tuple[str, str]) -> int:
    """The serial number of a certificate."""
    return x509.load_pem_x509_certificate(issued[0].encode()).serial_number


def test_the_peer_port_is_closed_to_clients_of_the_same_ca(three: Members) -> None:
    certificate, key = three.authority.issue_client()
    three.shell(1, "umask 077; cat >/tmp/client.pem", stdin=certificate + key)

    def ask(port: int, pems: str) -> str:
        url = f"https://{three.address(1)}:{port}/version"
        return three.shell(
            1, f"curl -sS --http1.1 -m 5 --cacert {PKI}/ca.crt {pems} {url} 2>&1; true"
        )

    client, member = "--cert /tmp/client.pem", f"--cert {PKI}/server.crt --key {PKI}/server.key"
    assert "etcdcluster" in ask(2379, client)
    assert "etcdcluster" in ask(2380, member)
    assert "etcdcluster" not in ask(2380, client)
    three.shell(1, "rm /tmp/client.pem")


@pytest.mark.parametrize("port", [2379, 2380])
def test_nobody_gets_in_without_a_certificate_of_the_cluster_s_ca(
    three: Members, tmp_path: Path, port: int
) -> None:
    (tmp_path / "pem").write_text("".join(Authority().issue_member(three.instance(2))))
    stranger = ssl.create_default_context(cadata=three.authority.bundle)
    stranger.load_cert_chain(tmp_path / "pem")
    for context in (ssl.create_default_context(cadata=three.authority.bundle), stranger):
        connection = http.client.HTTPSConnection(three.address(1), port, context=context, timeout=5)
        # Under TLS 1.3 the refusal comes after the client's part of the handshake.
        with pytest.raises((ssl.SSLError, ConnectionResetError)):  # noqa: PT012
            connection.request("GET", "/version")
            connection.getresponse()


def test_a_new_certificate_of_an_instance_on_a_fresh_machine_needs_no_etcd(
    cluster: Cluster,
) -> None:
    one = cluster(1)
    one.send_program(1)
    one.claim(1)
    one.put_certificate(1)
    assert one.shell(1, f"ls {PKI}/").split() == [
        "ca.crt",
        "revoked.crl",
        "server.crt",
        "server.key",
    ]


def deliver(
    members: Members, seq: int, signer: Authority, *trusted: Authority, days: float = 30
) -> Done:
    """Put a certificate of one CA in place, and a bundle of several."""
    certificate, key = signer.issue_member(members.instance(seq), days)
    bundle = "".join(one.pem for one in trusted)
    text = delivery(bundle, certificate, key, signer.crl(*members.revoked))
    return members.run(seq, "tls", stdin=text, check=False)


def test_certificates_that_have_expired_on_all_members_are_renewed(three: Members) -> None:
    own, seconds = three.authority, 10
    for seq in three.everyone:
        brief = deliver(three, seq, own, own, days=seconds / 86400)
        assert brief.returncode == 0, brief.stderr
    time.sleep(seconds)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        three.serial(1)
    for seq in three.everyone:
        three.put_certificate(seq)
    eventually("all are well again", three.is_well)


def turn_to(members: Members, signer: Authority, *also: Authority) -> None:
    """Let the tests' client have a certificate of this CA, and trust others too."""
    signer.also_trusted = "".join(one.pem for one in also)
    members.authority = signer
    for made in ("_client_files", "tls"):
        members.__dict__.pop(made, None)


def test_no_step_of_a_rotation_cuts_a_member_off(cluster: Cluster) -> None:
    three = cluster(3).found(access=True)
    old, new = three.authority, Authority(name="second CA")
    serials = [three.serial(seq) for seq in three.everyone]

    def refused(seq: int, signer: Authority, *trusted: Authority) -> str:
        before = three.shell(seq, f"cat {PKI}/* | base64")
        done = deliver(three, seq, signer, *trusted)
        assert done.returncode == 1
        assert "Nothing was changed" in done.stderr
        assert "BEGIN" not in done.stderr
        assert (
            three.shell(seq, f"cat {PKI}/* | base64; ls -d /etc/etcd/etcd/pki-* | wc -l")
            == before + "\n1"
        )
        return done.stderr

    def all_take(signer: Authority, *trusted: Authority) -> None:
        done = in_parallel(lambda seq: deliver(three, seq, signer, *trusted), three.everyone)
        assert [one.stderr for one in done if one.returncode] == []

    def roll_out() -> None:
        for seq in three.everyone:
            three.rollout(seq)

    assert "does not run with the CA that signed it" in refused(1, new, old, new)
    assert "a CA that members trust now is not in the new bundle" in refused(2, new, new)
    all_take(old, old, new)
    # The files have the new CA, and no running process has it.
    assert "takes the present certificate, but not the new one" in refused(1, new, old, new)
    three.rollout(1)
    assert re.search(r"etcd-[23] at", refused(1, new, old, new))
    roll_out()
    turn_to(three, old, new)
    pids = three.pids()
    assert deliver(three, 1, new, old, new).returncode == 0
    assert re.search(r"etcd-[23] at", refused(1, new, new))
    assert "etcd-1 at" in refused(2, old, old)
    all_take(new, old, new)
    assert three.pids() == pids
    assert not {three.serial(seq) for seq in three.everyone} & set(serials)

    # Who is away may serve whatever it has. It is in nobody's way when no CA goes.
    three.stop(3)
    assert "etcd-3 at" in refused(1, new, new)
    assert deliver(three, 1, new, old, new).returncode == 0
    three.shell(3, f"systemctl start {three.unit}")
    all_take(new, new)
    roll_out()
    turn_to(three, new)
    assert three.is_well()
    assert not set(three.pids()) & set(pids)
