"""Who gets in, over the network and on the node; asked of a cluster that came up through sudo."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl

import pytest

from tests.live.conftest import Ask
from tests.live.nodes import FIRST, shell
from tests.live.stack import Stack

NODES = (10, 11, 12)
CLIENT, PEER = 2379, 2380


# --- over the network


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
