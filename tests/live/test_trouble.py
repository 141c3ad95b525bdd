"""Machines that are away, die, or are not fit."""

from __future__ import annotations

import re
import time

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.nodes import FIRST, journal, processes, shell, traces
from tests.live.stack import Project, Stack

NAMES = ("etcd-1", "etcd-2", "etcd-3")


def await_healthy(ask: Ask, stack: Stack, *names: str) -> int:
    """Wait until the cluster has come back by itself; return its ID."""
    give_up = time.monotonic() + 90
    while True:
        try:
            return ask(stack).assert_one_healthy_cluster(*names)
        except (AssertionError, ValueError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)


def test_a_node_that_is_away_at_the_first_up_is_named_and_the_next_up_completes(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    nodes.kill(FIRST + 2)

    failed = stack.up(check=False, seconds=240)
    assert failed.status != 0
    assert nodes.address(2) in failed.text
    assert "etcd-3" in failed.text
    assert "Traceback" not in failed.text
    print("\n".join(line for line in failed.text.splitlines() if "error" in line.lower()))

    nodes.start(FIRST + 2)
    stack.recover()
    stack.up()
    ask(stack).assert_one_healthy_cluster(*NAMES)
    assert stack.up().changed == {}


def test_a_rebooted_node_comes_back_by_itself_and_up_changes_nothing(
    three: Stack, lab: Lab, ask: Ask
) -> None:
    cluster_id = ask(three).assert_one_healthy_cluster(*NAMES)
    lab.reboot(FIRST)
    assert await_healthy(ask, three, *NAMES) == cluster_id
    before = processes(lab, 3)
    assert three.up().changed == {}
    assert processes(lab, 3) == before


def test_after_a_power_cut_of_all_nodes_the_cluster_is_back_with_its_data(
    three: Stack, lab: Lab, ask: Ask
) -> None:
    cluster_id = ask(three).assert_one_healthy_cluster(*NAMES)
    ask(three)("put", "before", "the cut")
    for number in range(FIRST, FIRST + 3):
        lab.kill(number)
    lab.up(5)
    assert await_healthy(ask, three, *NAMES) == cluster_id
    assert ask(three)("get", "before", "--print-value-only") == "the cut"
    before = processes(lab, 3)
    assert three.up().changed == {}
    assert processes(lab, 3) == before


def test_a_wiped_member_never_founds_a_second_cluster(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 1))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster("etcd-1")
    shell(nodes, FIRST, "systemctl stop etcd && rm -rf /data/etcd")
    stack.edit(etcd_heartbeat_interval=110)

    refused = stack.up(check=False)

    assert refused.status != 0
    ids = set(re.findall(r'"cluster-id": ?"([0-9a-f]+)"', journal(nodes, FIRST)))
    assert ids == {f"{cluster_id:x}"}
    assert not shell(nodes, FIRST, "ls /data/etcd/member/wal 2>/dev/null || :")


def test_all_that_is_wrong_with_a_node_is_told_at_once_and_nothing_is_changed_there(
    nodes: Lab, project: Project
) -> None:
    address = nodes.address(0)
    shell(
        nodes,
        FIRST,
        "systemd-run -q --unit squatter perl -MIO::Socket::INET -e 'my @s = IO::Socket::INET->new("
        f'LocalAddr => "{address}:2380", Listen => 1, ReuseAddr => 1) or die; sleep\''
        " && mkdir -p /data/etcd && echo precious >/data/etcd/file",
    )
    stack = project.stack({"sshUser": "admin"} | inventory(nodes, 2))
    try:
        refused = stack.up(check=False)
    finally:
        shell(nodes, FIRST, "systemctl stop squatter")
    assert refused.status != 0
    assert "the peer port 2380 is held by `perl`" in refused.text
    assert "/data/etcd is not empty and not this instance's" in refused.text
    assert "Cure: look at what it holds; move it away, or choose another etcd_data" in refused.text
    for noise in ("never retrieved", "Traceback"):
        assert noise not in refused.text
    assert traces(nodes, FIRST) == ["/data/etcd"]
    assert shell(nodes, FIRST, "ls -A /data/etcd; cat /data/etcd/file") == "file\nprecious"

    shell(nodes, FIRST, "rm -rf /data")
    stack.up()


def test_a_node_that_is_away_later_fails_in_bounded_time_and_leaves_the_others_alone(
    three: Stack, lab: Lab, ask: Ask
) -> None:
    config = three.config
    before = processes(lab, 2)
    lab.kill(FIRST + 2)
    three.edit(etcd_heartbeat_interval=130)
    failed = three.up(check=False, seconds=240)
    lab.start(FIRST + 2)
    assert failed.status != 0
    assert lab.address(2) in failed.text
    assert processes(lab, 2) == before
    three.write(config)
    three.recover()
    three.up()
    await_healthy(ask, three, *NAMES)
    assert processes(lab, 2) == before
