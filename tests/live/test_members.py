"""Members come, go, are lost and come back empty: each is one edit and one `pulumi up`."""

from __future__ import annotations

from bench.writer import Writer
from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.nodes import FIRST, process, processes, shell, traces
from tests.live.stack import Project, Stack


def names(*seqs: int) -> list[str]:
    return [f"etcd-{seq}" for seq in seqs]


def write_hosts(stack: Stack, lab: Lab, hosts: dict[int, dict[str, object]]) -> None:
    """Declare these hosts by number, each on its own node, with what more is said of them."""
    addressed = {lab.address(seq - 1): {"etcd_seq": seq, **more} for seq, more in hosts.items()}
    stack.write({"inventory": {"etcd": {"hosts": addressed, "vars": {"etcd_cluster": "etcd"}}}})


def test_two_members_join_in_one_edit_and_any_two_leave(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    before = processes(nodes, 3)

    stack.write(inventory(nodes, 5))
    with Writer(ask(stack).access()) as writer:
        stack.up()
    assert not writer.lost()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3, 4, 5)) == cluster_id
    assert processes(nodes, 3) == before

    # Two founders, the leader among them if it is one of the first two.
    write_hosts(stack, nodes, {3: {}, 4: {}, 5: {}})
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(3, 4, 5)) == cluster_id
    assert process(nodes, FIRST + 2) == before[2]
    for number in (FIRST, FIRST + 1):
        assert [one for one in traces(nodes, number) if one != "/opt/etcd"] == []
    assert stack.up().changed == {}


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
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 4)) == cluster_id


def test_a_machine_that_still_answers_is_not_lost(nodes: Lab, project: Project, ask: Ask) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {"etcd_lost": True}})
    refused = stack.up(check=False)
    assert refused.status != 0
    assert "so it is not lost" in refused.text
    stack.write(inventory(nodes, 3))
    stack.up()
    ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))


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
    # Nobody asked: nothing changes, and nobody is removed.
    assert stack.up().changed == {}
    assert sorted(ask(stack).members()) == names(1, 2, 3)

    write_hosts(stack, nodes, {1: {}, 2: {"etcd_reseat": 1}, 3: {}})
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3)) == cluster_id
    assert [process(nodes, number) for number in (FIRST, FIRST + 2)] == [before[0], before[2]]
    assert ask(stack)("get", "kept", "--print-value-only") == "by the others"
