"""`pulumi destroy`: refused, done without a trace, or with the data kept."""

from __future__ import annotations

import re

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.nodes import FIRST, processes, shell, traces
from tests.live.stack import Project


def test_a_guarded_cluster_is_not_destroyed_and_says_what_guards_it(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3, etcd_safeguard=True))
    stack.up()
    names = ("etcd-1", "etcd-2", "etcd-3")
    cluster_id = ask(stack).assert_one_healthy_cluster(*names)
    before = processes(nodes, 3)

    refused = stack.destroy(check=False)

    assert refused.status != 0
    assert re.search(r"etcd-safeguard\W+cannot be deleted\s+because it is protected", refused.text)
    assert not re.search(r"deleted \(", refused.text)
    assert processes(nodes, 3) == before
    assert ask(stack).assert_one_healthy_cluster(*names) == cluster_id

    stack.edit(etcd_safeguard=False, etcd_rm_pkg=True)
    stack.up()
    assert processes(nodes, 3) == before
    stack.destroy()
    for number in range(FIRST, FIRST + 3):
        assert traces(nodes, number) == []


def test_data_that_is_to_be_kept_is_kept_and_not_overwritten_by_a_new_cluster(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 1, etcd_rm_data=False))
    stack.up()
    ask(stack)("put", "kept", "for later")
    destroyed = stack.destroy()
    assert "data stay in /data/etcd" in destroyed.text
    assert "programs stay in /opt/etcd/versions" in destroyed.text
    assert shell(nodes, FIRST, "ls /data/etcd") == "member"
    assert shell(nodes, FIRST, "stat -c %a /data/etcd") == "700"

    refused = stack.up(check=False)

    assert refused.status != 0
    assert "/data/etcd holds the data of etcd-1 of cluster etcd" in refused.text
    assert shell(nodes, FIRST, "ls /data/etcd") == "member"


def test_a_node_that_is_away_at_destroy_is_named_and_one_that_was_killed_is_finished_by_the_next(
    nodes: Lab, project: Project
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    nodes.kill(FIRST + 2)
    failed = stack.destroy(check=False, seconds=240)
    assert failed.status != 0
    assert nodes.address(2) in failed.text
    nodes.start(FIRST + 2)
    stack.recover()
    with stack.started("destroy", "--yes", "--skip-preview") as run:
        assert run.until(lambda text: " deleted " in text)
        run.kill()
    stack.recover()
    stack.destroy()
    for number in range(FIRST, FIRST + 3):
        assert [one for one in traces(nodes, number) if one != "/opt/etcd"] == []
