"""`pulumi up` killed anywhere, then run again: one healthy cluster, and never a second one."""

from __future__ import annotations

import re

import pytest

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.nodes import FIRST, journal, shell
from tests.live.stack import Project, Stack

CREATED = re.compile(r"^ \+  (?!pulumi:pulumi:Stack)\S+ \S+ created ", re.MULTILINE)
CLUSTER_ID = re.compile(r'"cluster-id": ?"([0-9a-f]+)"')


def killed_after(stack: Stack, count: int) -> bool:
    """Kill `pulumi up` as soon as it has created so many resources; False if it ended before."""
    with stack.started("up", "--yes", "--skip-preview") as run:
        in_time = run.until(lambda text: len(CREATED.findall(text)) >= count)
        run.kill()
    stack.project.new_file("killed").write_text(run.text)
    return in_time


def founded(lab: Lab, count: int) -> set[str]:
    """IDs of all clusters that any etcd on the first nodes ever was a member of."""
    logs = [journal(lab, FIRST + position) for position in range(count)]
    return set(CLUSTER_ID.findall("\n".join(logs)))


def test_killed_after_every_resource_in_turn_the_last_up_completes_one_member(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 1))
    kills = 0
    # A kill may take what was just made out of the state again, so later ones let more be made.
    while killed_after(stack, 1 + kills // 12):
        kills += 1
        stack.recover()
        assert kills < 60
    stack.recover()
    stack.up()
    assert kills >= 10
    cluster_id = ask(stack).assert_one_healthy_cluster("etcd-1")
    assert founded(nodes, 1) <= {f"{cluster_id:x}"}
    assert stack.up().changed == {}


@pytest.mark.parametrize("count", [16, 23, 31])
def test_killed_in_the_middle_the_next_up_completes_the_same_three(
    count: int, nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    assert killed_after(stack, count)
    before = founded(nodes, 3)
    stack.recover()
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster("etcd-1", "etcd-2", "etcd-3")
    assert len(before) <= 1
    assert founded(nodes, 3) == {f"{cluster_id:x}"}


def test_an_engine_that_dies_alone_leaves_no_process_and_its_next_up_completes(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 1))
    with stack.started("up", "--yes", "--skip-preview") as run:
        assert run.until(lambda text: len(CREATED.findall(text)) >= 10)
        run.kill_engine()
        run.until_gone(30)
    said = stack.recover()
    assert "was killed" in said
    stack.up()
    ask(stack).assert_one_healthy_cluster("etcd-1")


def test_a_rollout_that_was_killed_is_finished_by_the_next_up(
    three: Stack, lab: Lab, ask: Ask
) -> None:
    cluster_id = ask(three).assert_one_healthy_cluster("etcd-1", "etcd-2", "etcd-3")
    three.edit(etcd_snapshot_count=20000)
    three.killed_when(" etcd-1-rollout updated ")
    three.up()
    for number in range(FIRST, FIRST + 3):
        said = shell(lab, number, "etcd-node status")
        assert "are what the running process was started with" in said
        assert "snapshot-count: 20000" in shell(lab, number, "cat /etc/etcd/etcd/etcd.yaml")
    assert ask(three).assert_one_healthy_cluster("etcd-1", "etcd-2", "etcd-3") == cluster_id
    assert three.up().changed == {}
