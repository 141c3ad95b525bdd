"""Other shapes than one cluster on IPv4 addresses."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab import Lab
from tests.live.cluster import Asked
from tests.live.conftest import Ask
from tests.live.nodes import FIRST, process, shell, traces
from tests.live.stack import Project, Stack


def cluster_of(stack: Stack, name: str, etcdctl: Path) -> Asked:
    """One of a stack's several clusters, asked."""
    return Asked(stack.client_environment(name), etcdctl)


def group(name: str, addresses: list[str], **variables: Any) -> dict[str, Any]:
    """A cluster of an inventory."""
    hosts = {address: {"etcd_seq": seq} for seq, address in enumerate(addresses, start=1)}
    return {"hosts": hosts, "vars": {"etcd_cluster": name, **variables}}


def test_two_clusters_of_one_stack_on_the_same_nodes_are_two_clusters(
    nodes: Lab, project: Project, ask: Ask, etcdctl: Path
) -> None:
    both = [nodes.address(0), nodes.address(1)]
    apart = {"etcd_port": 3379, "etcd_peer_port": 3380, "etcd_data": "/data/other"}
    stack = project.stack(
        {"inventory": {"etcd": group("etcd", both), "other": group("other", both, **apart)}}
    )
    stack.up()
    one = cluster_of(stack, "etcd", etcdctl)
    two = cluster_of(stack, "other", etcdctl)
    one.assert_one_healthy_cluster("etcd-1", "etcd-2")
    two.assert_one_healthy_cluster("other-1", "other-2")
    assert_two_clusters(one, two)
    assert stack.up().changed == {}

    # One of them goes; the other does not notice.
    before = process(nodes, FIRST, "etcd-other")
    config = stack.config
    del config["inventory"]["etcd"]
    stack.write(config)
    stack.up()
    assert process(nodes, FIRST, "etcd-other") == before
    ask(stack).assert_one_healthy_cluster("other-1", "other-2")
    stack.destroy()
    assert [trace for trace in traces(nodes, FIRST) if trace != "/opt/etcd"] == []


def assert_two_clusters(one: Asked, two: Asked) -> None:
    """Two IDs, two passwords, and a client of the one gets nothing of the other."""
    assert not one.cluster_ids() & two.cluster_ids()
    assert one.environment["ETCDCTL_PASSWORD"] != two.environment["ETCDCTL_PASSWORD"]
    crossed = Asked(one.environment | {"ETCDCTL_ENDPOINTS": two.endpoints[0]}, one.program)
    assert crossed.run("get", "asked").returncode != 0


@contextlib.contextmanager
def ipv6(lab: Lab, count: int) -> Iterator[list[str]]:
    """IPv6 addresses on the first nodes, and a way to them from here."""
    addresses = [f"fd00:e7cd::{FIRST + at}" for at in range(count)]
    here = ["fd00:e7cd::1/64", "dev", lab.naming.bridge]
    subprocess.run(["ip", "addr", "add", *here, "nodad"], check=True)
    try:
        for at, address in enumerate(addresses):
            shell(lab, FIRST + at, f"ip addr add {address}/64 dev eth0 nodad")
        yield addresses
    finally:
        subprocess.run(["ip", "addr", "del", *here], check=True)
        for at, address in enumerate(addresses):
            shell(lab, FIRST + at, f"ip addr del {address}/64 dev eth0", check=False)


def test_nodes_may_have_ipv6_addresses_only(nodes: Lab, project: Project, ask: Ask) -> None:
    with ipv6(nodes, 2) as addresses:
        known = project.home / "known_hosts6"
        text = nodes.known_hosts.read_text()
        for at, address in enumerate(addresses):
            text = text.replace(f"{nodes.address(at)} ", f"{address} ")
        known.write_text(text)
        hosts = {address: {"etcd_seq": seq} for seq, address in enumerate(addresses, start=1)}
        stack = project.stack(
            {"sshKnownHostsFile": str(known), "inventory": {"etcd": {"hosts": hosts}}}
        )
        stack.up()
        ask(stack).assert_one_healthy_cluster("etcd-1", "etcd-2")
        assert stack.output("endpoints") == [f"[{address}]:2379" for address in addresses]
        assert stack.up().changed == {}
        stack.destroy()


def test_nodes_may_be_known_by_name(nodes: Lab, project: Project, ask: Ask) -> None:
    names = [f"etcd{at}.lab.example" for at in range(2)]
    lines = "".join(f"{nodes.address(at)} {name}\n" for at, name in enumerate(names))
    for at in range(2):
        shell(nodes, FIRST + at, "cp /etc/hosts /etc/hosts.before && cat >>/etc/hosts", stdin=lines)
    hosts = {
        name: {"etcd_seq": at + 1, "ansible_host": nodes.address(at)}
        for at, name in enumerate(names)
    }
    stack = project.stack({"inventory": {"etcd": {"hosts": hosts}}})
    try:
        stack.up()
        asked = knowing(lines, ask(stack), project.home)
        assert asked.endpoints == [f"https://{name}:2379" for name in names]
        asked.assert_one_healthy_cluster("etcd-1", "etcd-2")
        assert stack.up().changed == {}
        stack.destroy()
    finally:
        for at in range(2):
            shell(nodes, FIRST + at, "mv /etc/hosts.before /etc/hosts")


def knowing(lines: str, asked: Asked, place: Path) -> Asked:
    """The client, on a machine that has these lines in /etc/hosts."""
    hosts = place / "hosts"
    hosts.write_text(Path("/etc/hosts").read_text() + lines)
    program = place / "etcdctl-with-hosts"
    program.write_text(
        "#!/bin/sh\nexec unshare --mount sh -c"
        f' \'mount --bind {hosts} /etc/hosts && exec {asked.program} "$@"\' etcdctl "$@"\n'
    )
    program.chmod(0o755)
    return Asked(asked.environment, program)
