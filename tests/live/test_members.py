"""Members come, go and change: each is one edit and one `pulumi up`."""

from __future__ import annotations

from bench.writer import Writer
from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.hosts import names, write_hosts
from tests.live.nodes import FIRST, process, processes, traces
from tests.live.stack import Project, Stack


def one_after_another(text: str, *parts: str) -> bool:
    """Whether these parts stand in the text in this order."""
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


def test_three_grow_to_five_and_any_two_leave_under_load(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    before = processes(nodes, 3)

    # The order of lines means nothing.
    write_hosts(stack, nodes, {5: {}, 2: {}, 4: {}, 1: {}, 3: {}})
    with Writer(ask(stack).access()) as writer:
        stack.up()
    assert not writer.lost()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3, 4, 5)) == cluster_id
    assert processes(nodes, 3) == before

    # Two founders, the leader one of them.
    asked = ask(stack)
    asked("move-leader", f"{asked.members()['etcd-1']['ID']:x}")
    write_hosts(stack, nodes, {4: {}, 3: {}, 5: {}})
    with Writer(asked.access()) as writer:
        left = stack.up()
    assert "etcd-1: handed the leadership over" in left.text
    assert not writer.lost()
    assert ask(stack).assert_one_healthy_cluster(*names(3, 4, 5)) == cluster_id
    assert process(nodes, FIRST + 2) == before[2]
    for number in (FIRST, FIRST + 1):
        assert [one for one in traces(nodes, number) if one != "/opt/etcd"] == []
    assert stack.up().changed == {}


def test_one_grows_to_five_and_five_shrink_to_one(nodes: Lab, project: Project, ask: Ask) -> None:
    stack = project.stack(inventory(nodes, 1))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1))
    stack.write(inventory(nodes, 5))
    with Writer(ask(stack).access()) as writer:
        stack.up()
    assert not writer.lost()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3, 4, 5)) == cluster_id

    # The only founder leaves as well.
    write_hosts(stack, nodes, {4: {}})
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(4)) == cluster_id
    assert ask(stack)("get", "asked", "--print-value-only")

    write_hosts(stack, nodes, {4: {}, 2: {}, 1: {}})
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 4)) == cluster_id
    write_hosts(stack, nodes, {2: {}})
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(2)) == cluster_id


def refused(stack: Stack, *parts: str) -> None:
    """Preview says so, and an `up` without a preview does not touch the machine either."""
    for outcome in (stack.preview(check=False), stack.up(check=False)):
        assert outcome.status != 0
        assert "Traceback" not in outcome.text
        for part in parts:
            assert part in outcome.text


def test_a_learner_is_promoted_and_a_member_is_replaced_but_not_moved(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {}, 4: {"etcd_learner": True}})
    stack.up()
    assert ask(stack).members()["etcd-4"]["isLearner"]
    assert len(stack.output("endpoints")) == 3
    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {}, 4: {}})
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3, 4)) == cluster_id
    before = processes(nodes, 4)

    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {"etcd_learner": True}, 4: {}})
    refused(stack, "etcd-3 votes, and etcd makes no learner of a voter")
    # This one once was a learner, so only the machine knows.
    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {}, 4: {"etcd_learner": True}})
    assert "etcd-4 votes, and etcd makes no learner" in stack.up(check=False).text
    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {}, 4: {"etcd_data": "/data/elsewhere"}})
    refused(stack, "etcd-4 has its data in /data/etcd, and etcd_data cannot move them")
    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {}, 4: {}}, at={4: 5})
    refused(stack, f"cannot be moved to {nodes.address(4)}", "a new etcd_seq, in one edit")
    assert traces(nodes, FIRST + 4) == []
    assert processes(nodes, 4) == before

    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {}, 5: {}})
    moved = stack.up()
    assert one_after_another(
        moved.text, "etcd-5: joined the cluster", "etcd-4: removed from the cluster"
    )
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3, 5)) == cluster_id
    assert processes(nodes, 3) == before[:3]


def test_ports_change_under_load_and_a_safeguard_keeps_lines(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3, etcd_safeguard=True))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    before = processes(nodes, 3)
    write_hosts(stack, nodes, {1: {}, 2: {}}, etcd_safeguard=True)
    kept = stack.up(check=False)
    assert kept.status != 0
    assert "the inventory has etcd-3 no more, and etcd_safeguard protects etcd-3" in kept.text
    assert processes(nodes, 3) == before

    stack.write(inventory(nodes, 3, etcd_safeguard=True, etcd_port=2479, etcd_peer_port=2480))
    old = ask(stack).access()
    old.urls.extend(url.replace(":2379", ":2479") for url in list(old.urls))
    with Writer(old) as writer:
        stack.up()
    assert not writer.lost()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3)) == cluster_id
    for seq, one in enumerate(sorted(ask(stack).members().items())):
        address = nodes.address(seq)
        assert one[1]["peerURLs"] == [f"https://{address}:2480"]
        assert one[1]["clientURLs"] == [f"https://{address}:2479"]
    assert stack.up().changed == {}
