"""A first run with mistakes in it fails, is corrected, and the next one succeeds."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lab import Lab
from tests.authority import Authority, dated, named, pem_of, unlocked
from tests.live.cluster import served_certificate
from tests.live.conftest import Ask
from tests.live.hosts import names, write_hosts
from tests.live.nodes import FIRST, shell, traces
from tests.live.stack import Project, Stack

HOSTS: dict[int, dict[str, object]] = {1: {}, 2: {}, 3: {}}
WRONG = 4
"""The node that is a machine of ours, but not the one that was meant."""


def write(stack: Stack, lab: Lab, authority: Authority, third: int, **variables: object) -> None:
    stack.set_secret("etcd_ca_key", unlocked(authority.key))
    write_hosts(stack, lab, HOSTS, at={3: third}, etcd_safeguard=True, **variables)
    stack.write(stack.config | {"etcd_ca_cert": authority.pem})


def test_address_directory_ports_and_ca_of_a_first_run_are_corrected(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    wrong, right = Authority(name="wrong CA"), Authority(name="right CA")
    stack = project.stack({"inventory": {}})
    # Its peer port is behind a firewall, so nobody founds a cluster with it.
    nodes.cut(FIRST + WRONG - 1, peers=True)
    write(stack, nodes, wrong, WRONG, etcd_data="/data/wrong", etcd_peer_port=3380)
    failed = stack.up(check=False)
    assert failed.status != 0
    assert "can found the cluster only when every other member can be asked" in failed.text
    assert "Traceback" not in failed.text
    assert [one for one in traces(nodes, FIRST + WRONG - 1) if one == "/etc/etcd"]

    write(stack, nodes, right, 3)
    made = stack.up()
    ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    issuer = served_certificate(nodes.address(0)).issuer.rfc4514_string()
    assert issuer == "CN=right CA", made.text
    # Nothing is left where it does not belong.
    left = traces(nodes, FIRST + WRONG - 1)
    assert [one for one in left if one != "/opt/etcd"] == []
    for number in (FIRST, FIRST + 1, FIRST + 2):
        assert shell(nodes, number, "ls /data") == "etcd"
    assert stack.up().changed == {}

    # From here on it binds.
    write(stack, nodes, right, WRONG)
    assert "cannot be moved to" in stack.preview(check=False).text
    write(stack, nodes, right, 3, etcd_data="/data/other")
    assert "etcd_data cannot move them" in stack.preview(check=False).text
    write(stack, nodes, wrong, 3)
    assert "is not exchanged for another in place" in stack.preview(check=False).text


def chain() -> tuple[str, str]:
    """An intermediate CA below its root, as files have it: the root first, in Windows' lines, and
    the key as `openssl ecparam -genkey` prints it."""
    root, middle = Authority(name="root CA"), Authority(name="middle CA")
    signed = (
        dated(named(middle.name), named(root.name), middle.key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root.key, hashes.SHA256())
    )
    key = middle.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    return (root.pem + pem_of(signed)).replace("\n", "\r\n"), parameters + key


_TAKE_PORT = """
setsid sh -c 'until [ -e /etc/etcd/etcd/claim ]; do sleep 0.1; done
exec python3 -c "import socket, time; s = socket.create_server((\\"\\", 2379)); time.sleep(900)"' \
  >/dev/null 2>&1 </dev/null &
"""


@pytest.fixture
def without_etcd(nodes: Lab) -> Iterator[None]:
    """On the wrong machine etcd cannot start, and nobody listens at its peer port."""
    shell(nodes, FIRST + WRONG - 1, _TAKE_PORT)
    yield
    shell(nodes, FIRST + WRONG - 1, "pkill -f '[c]reate_server' || true")


@pytest.mark.usefixtures("without_etcd")
def test_one_that_did_not_come_is_corrected_in_the_cluster_that_the_others_formed(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack({"inventory": {}})
    ca, key = chain()
    stack.set_secret("etcd_ca_key", key)
    write_hosts(stack, nodes, HOSTS, at={3: WRONG}, etcd_ca_cert=ca)
    failed = stack.up(check=False)
    assert failed.status != 0
    assert "etcd-3 does not become ready" in failed.text
    assert "Traceback" not in failed.text

    write_hosts(stack, nodes, HOSTS, etcd_ca_cert=ca)
    made = stack.up()
    assert "etcd-3: the lost member is removed from the cluster" in made.text
    ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    left = traces(nodes, FIRST + WRONG - 1)
    assert [one for one in left if one != "/opt/etcd" and ":2379 " not in one] == []
    assert served_certificate(nodes.address(0)).issuer.rfc4514_string() == "CN=middle CA"
    # OpenSSL takes the bundle, too.
    with (
        socket.create_connection((nodes.address(0), 2379)) as plain,
        ask(stack).context().wrap_socket(plain, server_hostname=nodes.address(0)),
    ):
        pass
    assert set(stack.up().changed) <= {"deleted"}
    assert stack.up().changed == {}
