"""`pulumi up` of the committed stacks, and of a login that is not root's."""

from __future__ import annotations

import pytest

from etcd_component import packing
from lab import Lab
from tests.live.conftest import Ask
from tests.live.nodes import processes
from tests.live.stack import Project

SIZES = {"one": 1, "three": 3, "five": 5}


@pytest.mark.parametrize("name", SIZES)
def test_a_committed_stack_comes_up_as_one_healthy_cluster_and_a_second_up_touches_nothing(
    name: str, nodes: Lab, project: Project, ask: Ask
) -> None:
    count = SIZES[name]
    stack = project.committed(name)
    stack.up()

    asked = ask(stack)
    asked.assert_one_healthy_cluster(*(f"etcd-{seq}" for seq in range(1, count + 1)))
    members = asked.members()
    assert [members[f"etcd-{seq}"]["clientURLs"] for seq in range(1, count + 1)] == [
        [f"https://{nodes.address(position)}:2379"] for position in range(count)
    ]

    before = processes(nodes, count)
    again = stack.up()
    assert again.changed == {}, again.text
    assert processes(nodes, count) == before

    # Of the agent the state has the checksum alone.
    state = stack.state_file.read_text()
    print(f"{len(state)} bytes of state")
    assert packing.sha256() in state
    assert "etcd_component.agent" not in state
    # The stack itself is registered before the program begins.
    assert state.count("stackTrace") <= 1
    assert len(state) < 60_000 + count * 80_000
