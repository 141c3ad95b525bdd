"""Who gets in, over the network and on the node; asked of a cluster that came up through sudo."""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.authority import dated, named, pem_of, unlocked
from tests.live.conftest import Ask
from tests.live.nodes import FIRST, shell
from tests.live.stack import Stack

NODES = (10, 11, 12)
CLIENT, PEER = 2379, 2380


def said(address: str, port: int, context: ssl.SSLContext, path: str = "/version") -> str:
    """What comes back from a port: the answer's first line, or the refusal in TLS's own words.

    With TLS 1.3 a server refuses a client only after the client thinks it is in.
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


def trusting(stack: Stack) -> ssl.SSLContext:
    """TLS of somebody who trusts the cluster and has no certificate."""
    return ssl.create_default_context(cadata=stack.output("ca_cert"))


def foreign_identity(place: Path) -> Path:
    """A certificate and key of a CA that is not the cluster's."""
    key, name = ec.generate_private_key(ec.SECP256R1()), named("root")
    certificate = dated(name, name, key).sign(key, hashes.SHA256())
    file = place / "foreign.pem"
    file.write_text(pem_of(certificate) + unlocked(key))
    return file


# --- over the network


def test_a_client_with_the_clusters_certificate_gets_an_answer(three: Stack, ask: Ask) -> None:
    for number in NODES:
        address = three.project.lab.naming.address(number)
        assert said(address, CLIENT, ask(three).context()).endswith("200 OK")


def test_a_client_without_a_certificate_is_refused(three: Stack) -> None:
    for number in NODES:
        address = three.project.lab.naming.address(number)
        for port in (CLIENT, PEER):
            assert "CERTIFICATE_REQUIRED" in said(address, port, trusting(three))


def test_a_certificate_of_another_ca_is_refused(three: Stack, tmp_path: Path) -> None:
    context = trusting(three)
    context.load_cert_chain(foreign_identity(tmp_path))
    for number in NODES:
        address = three.project.lab.naming.address(number)
        for port in (CLIENT, PEER):
            assert re.search("UNKNOWN_CA|BAD_CERTIFICATE", said(address, port, context))


def test_a_clients_certificate_does_not_open_the_peer_port(three: Stack, ask: Ask) -> None:
    # Or every client could play a member, without a password.
    for number in NODES:
        address = three.project.lab.naming.address(number)
        assert "BAD_CERTIFICATE" in said(address, PEER, ask(three).context(), "/members")
    by_member = shell(
        three.project.lab,
        FIRST,
        "cd /etc/etcd/etcd/pki &&"
        " curl -s --http1.1 --cacert ca.crt --cert server.crt --key server.key"
        f" https://{three.project.lab.address(0)}:{PEER}/members",
    )
    assert "etcd-3" in by_member


def test_older_tls_than_1_2_is_refused_by_the_server(three: Stack, ask: Ask) -> None:
    context = ask(three).context()
    # Or this side would refuse, and nothing would be known of the server.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    for number in NODES:
        address = three.project.lab.naming.address(number)
        for port in (CLIENT, PEER):
            assert "TLSV1_ALERT_PROTOCOL_VERSION" in said(address, port, context)


def test_plain_http_is_refused(three: Stack) -> None:
    for number in NODES:
        address = three.project.lab.naming.address(number)
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


def test_every_member_serves_a_certificate_for_all_its_names(three: Stack, ask: Ask) -> None:
    context = ask(three).context()
    for seq, number in enumerate(NODES, start=1):
        address = three.project.lab.naming.address(number)
        for port in (CLIENT, PEER):
            for name in (address, f"etcd-{seq}", "etcd", "localhost", "127.0.0.1", "::1"):
                with (
                    socket.create_connection((address, port), timeout=10) as plain,
                    context.wrap_socket(plain, server_hostname=name),
                ):
                    pass
            with (
                socket.create_connection((address, port), timeout=10) as plain,
                pytest.raises(ssl.SSLCertVerificationError),
            ):
                context.wrap_socket(plain, server_hostname="another.example")


def test_a_certificate_alone_is_no_login(three: Stack, ask: Ask) -> None:
    ask(three).assert_login_is_demanded()


def test_a_wrong_password_is_refused(three: Stack, ask: Ask) -> None:
    refused = ask(three).run("get", "asked", ETCDCTL_PASSWORD="wrong")
    assert refused.returncode != 0
    assert "invalid user ID or password" in refused.stderr


def test_the_gateway_demands_the_login_too(three: Stack, ask: Ask) -> None:
    for endpoint in ask(three).endpoints:
        request = urllib.request.Request(f"{endpoint}/v3/kv/range", b'{"key":"AA=="}')
        with pytest.raises(urllib.error.HTTPError, match=r"Bad Request|Unauthorized|Forbidden"):
            urllib.request.urlopen(request, timeout=10, context=ask(three).context())


def test_a_generated_password_has_32_characters_that_need_no_quotes(three: Stack) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", three.output("root_password"))


def test_all_members_answer_for_one_cluster(three: Stack, ask: Ask) -> None:
    ask(three).assert_one_healthy_cluster("etcd-1", "etcd-2", "etcd-3")


# --- on the node


@pytest.mark.parametrize("number", NODES)
def test_only_etcds_two_ports_listen(three: Stack, number: int) -> None:
    lab = three.project.lab
    listening = shell(lab, number, "ss -Hltnup | awk '{ print $1, $5, $7 }'").splitlines()
    ours = {line.split()[1] for line in listening if "sshd" not in line}
    address = lab.naming.address(number)
    assert ours == {f"{address}:{CLIENT}", f"127.0.0.1:{CLIENT}", f"{address}:{PEER}"}


@pytest.mark.parametrize("number", NODES)
def test_keys_and_data_are_etcds_alone(three: Stack, number: int) -> None:
    lab = three.project.lab
    keys = shell(lab, number, "grep -rIl 'PRIVATE KEY' /etc/etcd /opt/etcd /data /usr/local /run")
    assert keys
    modes = shell(lab, number, f"stat -c '%a %U:%G' {' '.join(keys.split())}").splitlines()
    assert set(modes) == {"600 etcd:etcd"}
    assert shell(lab, number, "stat -c '%a %U:%G' /data/etcd") == "700 etcd:etcd"
    assert shell(lab, number, "find /data/etcd ! -user etcd -o -perm /077") == ""
    assert shell(lab, number, "find /etc/etcd /opt/etcd ! -type l -perm /022") == ""


@pytest.mark.parametrize("number", NODES)
def test_etcd_runs_as_its_own_user_and_is_hardened(three: Stack, number: int) -> None:
    lab = three.project.lab
    pid = shell(lab, number, "systemctl show --value -p MainPID etcd")
    assert shell(lab, number, f"ps -o user= -p {pid}") == "etcd"
    assert int(shell(lab, number, f"awk '/^CapEff/ {{ print $2 }}' /proc/{pid}/status"), 16) == 0
    verdict = shell(lab, number, "systemd-analyze security --no-pager etcd.service | tail -n 1")
    level = re.search(r": (\d+\.\d+) ", verdict)
    assert level, verdict
    assert float(level[1]) <= 2.0


@pytest.mark.parametrize("number", NODES)
def test_etcdctl_on_the_node_needs_no_more_than_the_login(three: Stack, number: int) -> None:
    lab = three.project.lab
    password = three.output("root_password")
    listed = lab.exec(number, "etcdctl", "--user", "root", "member", "list", stdin=f"{password}\n")
    assert sorted(re.findall(r"started, (etcd-\d)", listed.stdout)) == [
        "etcd-1",
        "etcd-2",
        "etcd-3",
    ]
    # The connection stands without a flag; that the password is asked for shows that it is stored
    # nowhere.
    refused = lab.exec(number, "etcdctl", "get", "asked", check=False)
    assert "user name is empty" in refused.stderr


def test_the_node_program_says_how_the_member_is(three: Stack) -> None:
    status = shell(three.project.lab, FIRST, "etcd-node status")
    assert "are what the running process was started with" in status
    for name in ("etcd-1", "etcd-2", "etcd-3"):
        assert name in status
    assert status.count("runs") == 3


def test_addresses_in_the_outputs_are_those_of_the_model(three: Stack) -> None:
    lab = three.project.lab
    addresses = [lab.address(position) for position in range(3)]
    assert three.output("endpoints") == [f"{one}:{CLIENT}" for one in addresses]
    assert three.output("client_urls") == ",".join(f"https://{one}:{CLIENT}" for one in addresses)
    assert [one["instance"] for one in three.output("members")] == ["etcd-1", "etcd-2", "etcd-3"]
    assert [str(ipaddress.ip_address(one["ip"])) for one in three.output("members")] == addresses
