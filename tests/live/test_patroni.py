"""Patroni, PostgreSQL and vip-manager, with what the outputs gave them and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import Lab
from tests.live.cluster import Asked
from tests.live.conftest import Ask, inventory
from tests.live.postgres import CERTIFICATES, NUMBERS, VIP_CERTIFICATES, Pair
from tests.live.stack import Project, Stack

CLIENTS = {
    "pg-main": {"kind": "patroni", "prefix": "/pg/main/"},
    "vip-main": {"kind": "vip-manager", "prefix": "/pg/main/"},
}
NEXT = {"pg-next": {"kind": "patroni", "prefix": "/pg/main/"}}
KEY = "/pg/main/leader"


@pytest.fixture
def pair(nodes: Lab) -> Iterator[Pair]:
    """Two more nodes, with PostgreSQL, Patroni and vip-manager, and nothing of them configured."""
    try:
        nodes.up_with_postgres(*NUMBERS)
        yield Pair(nodes)
    finally:
        for number in NUMBERS:
            nodes.remove(number)


def test_patroni_leads_fails_over_and_stays_healthy_whatever_is_done_to_etcd(
    pair: Pair, nodes: Lab, project: Project, ask: Ask, tmp_path: Path
) -> None:
    stack = project.stack(inventory(nodes, 3, etcd_clients=CLIENTS))
    stack.up()
    hand_over(stack, pair, "pg-main", tmp_path)
    pair.start()
    first, second = in_order(pair)
    pair.until_held_by(first)
    pair.sql("create table kept (text text); insert into kept values ('from the beginning')")

    switch_over(pair, first, second)
    fail_over(pair, second, first)
    lease = held_since(ask(stack))

    with pair.undisturbed("an upgrade of etcd"):
        stack.edit(etcd_version="3.7.3", etcd_snapshot_count=20000)
        stack.up()

    login = use(stack, "pg-main", tmp_path / "here", ask(stack))
    assert login("get", KEY, "--print-value-only") == first
    assert "permission denied" in login.run("put", "/pg/other/leader", first).stderr
    with pair.undisturbed("a fourth member, a second CA, a second user"):
        config = stack.config
        config["inventory"]["etcd"]["hosts"][nodes.address(3)] = {"etcd_seq": 4}
        stack.write(config)
        stack.edit(etcd_clients=CLIENTS | NEXT, etcd_ca_trusted=[1, 2], etcd_ca_signing=1)
        stack.up()
        hand_over(stack, pair, "pg-next", tmp_path)

    with pair.undisturbed("the second CA signs, the first user goes"):
        stack.edit(etcd_clients={"vip-main": CLIENTS["vip-main"]} | NEXT, etcd_ca_signing=2)
        stack.up()
        hand_over(stack, pair, "pg-next", tmp_path)
    gone = {name: login.environment[name] for name in ("ETCDCTL_USER", "ETCDCTL_PASSWORD")}
    assert "invalid user ID or password" in ask(stack).run("get", KEY, **gone).stderr

    with pair.undisturbed("the first CA goes"):
        stack.edit(etcd_ca_trusted=[2])
        stack.up()

    # Its lease never ended, or the key would be another one.
    assert held_since(ask(stack)) == lease
    pair.until_held_by(first)
    switch_over(pair, first, second)
    assert pair.sql("select text from kept") == "from the beginning"


def switch_over(pair: Pair, leader: str, candidate: str) -> None:
    """The leadership is handed over, and the address with it."""
    pair.assert_whole(leader)
    pair.patronictl("switchover", "--leader", leader, "--candidate", candidate, "--force")
    pair.until(lambda: pair.leader == candidate, f"switchover to {candidate}")
    pair.until_held_by(candidate)


def fail_over(pair: Pair, dying: str, other: str) -> None:
    """The leader's machine dies; the other leads and has the address; the first comes back."""
    pair.assert_whole(dying)
    pair.lab.kill(dying)
    seconds = pair.until(lambda: pair.leader == other, f"failover to {other}")
    print(f"{other} led {seconds:.0f} s after {dying} had died")
    pair.until_held_by(other)
    pair.lab.start(dying)
    pair.assert_whole(other)


def hand_over(stack: Stack, pair: Pair, patroni: str, place: Path) -> None:
    """Write the clients' files, copy them, and have programs that run take them."""
    stack.client(patroni, place / patroni, "--at", CERTIFICATES)
    stack.client("vip-main", place / "vip-main", "--at", VIP_CERTIFICATES)
    pair.receive(place / patroni)
    pair.receive_vip(place / "vip-main")


def use(stack: Stack, name: str, place: Path, asked: Asked) -> Asked:
    """This machine as a client, with what it is given."""
    stack.client(name, place)
    return replace(asked, environment=stack.evaluated(f". {place}/etcdctl.env"))


def in_order(pair: Pair) -> tuple[str, str]:
    """The leader and the other."""
    names = {f"node{number}" for number in NUMBERS}
    leader = pair.leader
    assert leader is not None
    (other,) = names - {leader}
    return leader, other


def held_since(asked: Asked) -> int:
    """The revision at which the leader's key was made: another one if its lease ever ended."""
    (key,) = asked.json("get", KEY)["kvs"]
    return int(key["create_revision"])
