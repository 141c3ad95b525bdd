"""`pulumi up` that does one step after another: no founder can wait for one that comes later."""

from __future__ import annotations

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.nodes import processes
from tests.live.stack import Project


def test_founders_form_a_cluster_when_one_step_is_done_at_a_time(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack({"sshUser": "admin"} | inventory(nodes, 3))
    up = ("up", "--yes", "--skip-preview", "--parallel", "1")
    first = stack.pulumi(*up)
    stack.learn_secrets()

    assert "started as a founder; " in first.text
    assert "not begun yet" in first.text
    ask(stack).assert_one_healthy_cluster("etcd-1", "etcd-2", "etcd-3")
    for position in range(3):
        text = nodes.exec(10 + position, "cat", "/etc/etcd/etcd/etcd.yaml").stdout
        assert "initial-cluster-state: existing" in text

    before = processes(nodes, 3)
    again = stack.pulumi(*up)
    assert again.changed == {}, again.text
    assert processes(nodes, 3) == before
    # That some began first is not what they are for ever.
    assert "Nothing changes: " in stack.preview().text
