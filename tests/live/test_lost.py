"""Machines that are lost, that lose their disk, or that are only off for a while."""

from __future__ import annotations

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.hosts import names, write_hosts
from tests.live.nodes import FIRST, process, processes, shell
from tests.live.stack import Project


def test_a_lost_machine_and_its_replacement_are_one_edit(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    nodes.kill(FIRST + 2)

    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {"etcd_lost": True}, 4: {}})
    replaced = stack.up()
    assert "etcd-3: the lost member is removed from the cluster" in replaced.text
    assert "dial" not in replaced.text.lower()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 4)) == cluster_id
    assert stack.up().changed == {}

    write_hosts(stack, nodes, {1: {}, 2: {}, 4: {}})
    assert "dial" not in stack.up().text.lower()
    nodes.start(FIRST + 2)
    shell(
        nodes,
        FIRST + 2,
        "for i in $(seq 100); do systemctl is-active -q etcd || exit 0; sleep 0.2; done; exit 1",
    )
    assert "was removed from its cluster" in shell(nodes, FIRST + 2, "etcd-node status || :")
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 4)) == cluster_id


def test_two_lost_of_five_go_in_one_edit_and_one_that_answers_is_not_lost(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 5))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3, 4, 5))
    nodes.kill(FIRST)
    lost: dict[str, object] = {"etcd_lost": True}
    write_hosts(stack, nodes, {1: lost, 2: {}, 3: {}, 4: {}, 5: lost})
    refused = stack.up(check=False)
    assert refused.status != 0
    assert "etcd-5 answers" in refused.text
    assert "so it is not lost" in refused.text
    nodes.kill(FIRST + 4)
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(2, 3, 4)) == cluster_id
    write_hosts(stack, nodes, {2: {}, 3: {}, 4: {}})
    assert "dial" not in stack.up().text.lower()


def test_a_machine_that_is_off_or_cut_off_is_named_and_the_next_up_finishes(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    before = processes(nodes, 2)
    nodes.kill(FIRST + 2)
    stack.edit(etcd_snapshot_count=20000)
    failed = stack.up(check=False, seconds=100)
    assert failed.status != 0
    assert nodes.address(2) in failed.text
    # The files of the others are in place, and nobody was restarted without the third.
    assert "snapshot-count: 20000" in shell(nodes, FIRST, "cat /etc/etcd/etcd/etcd.yaml")
    assert processes(nodes, 2) == before

    nodes.start(FIRST + 2)
    nodes.cut(FIRST + 2)
    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {}, 4: {}}, etcd_snapshot_count=20000)
    failed = stack.up(check=False, seconds=240)
    assert failed.status != 0
    assert nodes.address(2) in failed.text
    assert processes(nodes, 2) == before
    nodes.heal(FIRST + 2)
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3, 4)) == cluster_id
    for number in range(FIRST, FIRST + 4):
        assert "snapshot-count: 20000" in shell(nodes, number, "cat /etc/etcd/etcd/etcd.yaml")
        assert "are what the running process was started with" in shell(
            nodes, number, "etcd-node status"
        )


def test_without_a_quorum_no_lost_member_is_removed(nodes: Lab, project: Project) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    nodes.kill(FIRST + 1)
    nodes.kill(FIRST + 2)
    write_hosts(stack, nodes, {1: {}, 2: {"etcd_lost": True}, 3: {"etcd_lost": True}})
    refused = stack.up(check=False)
    assert refused.status != 0
    assert "Is there a quorum?" in refused.text or "2 must be well, and 1 are" in refused.text


def test_a_machine_that_lost_its_disk_joins_again_when_asked_to(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    asked = ask(stack)
    cluster_id = asked.assert_one_healthy_cluster(*names(1, 2, 3))
    asked("put", "kept", "by the others")
    before = processes(nodes, 3)
    nodes.kill(FIRST + 1)
    nodes.wipe(FIRST + 1)
    nodes.start(FIRST + 1)
    # Nobody asked: it is told, nothing changes, and nobody is removed.
    told = f"etcd-2 does not answer at {nodes.address(1)}:2379 (nothing listens there)"
    assert told in stack.preview().text
    unasked = stack.up()
    assert told in unasked.text
    assert unasked.changed == {}
    assert sorted(ask(stack).members()) == names(1, 2, 3)

    write_hosts(stack, nodes, {1: {}, 2: {"etcd_reseat": 1}, 3: {}})
    assert "does not answer" not in stack.up().text
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3)) == cluster_id
    assert [process(nodes, number) for number in (FIRST, FIRST + 2)] == [before[0], before[2]]
    assert ask(stack)("get", "kept", "--print-value-only") == "by the others"
