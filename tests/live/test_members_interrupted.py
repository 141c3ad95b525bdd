"""Growth and shrinkage that are killed, rebooted or cut off, then run again: the wanted members."""

from __future__ import annotations

from bench.writer import Writer
from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.hosts import names, write_hosts
from tests.live.nodes import FIRST, shell
from tests.live.stack import Project


def test_growth_and_shrinkage_that_were_killed_are_finished_by_the_next_up(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    access = ask(stack).access()
    with Writer(access) as writer:
        stack.write(inventory(nodes, 5))
        stack.killed_when("etcd-5-config created")
        stack.killed_when(": added as a learner")
        stack.killed_when(": joined the cluster; runs, voter")
        stack.up()
        assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3, 4, 5)) == cluster_id

        write_hosts(stack, nodes, {1: {}, 2: {}, 3: {}})
        stack.killed_when("-member deleting")
        stack.killed_when(": removed from the cluster")
        stack.up()
    assert not writer.lost()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3)) == cluster_id
    assert stack.up().changed == {}


def test_a_newcomer_that_reboots_or_is_cut_off_while_it_joins_is_taken_in_by_the_next_up(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))

    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {}, 4: {}})
    with stack.started("up", "--yes", "--skip-preview") as run:
        assert run.until(lambda text: "etcd-4: added as a learner" in text), run.text
        nodes.reboot(FIRST + 3)
        run.kill()
    stack.recover()
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3, 4)) == cluster_id

    stack.write(inventory(nodes, 5))
    with stack.started("up", "--yes", "--skip-preview") as run:
        assert run.until(lambda text: "etcd-5: added as a learner" in text), run.text
        nodes.cut(FIRST + 4, peers=True)
        run.kill()
    stack.recover()
    # What the killed run left at work there must not finish it.
    shell(nodes, FIRST + 4, "for id in $(pgrep -f 'etcd-node [s]eat'); do kill -9 $id; done")
    nodes.heal(FIRST + 4)
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3, 4, 5)) == cluster_id
    assert stack.up().changed == {}
