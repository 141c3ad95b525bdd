"""Pulumi's options for a part of a stack work, or are refused with the reason."""

from __future__ import annotations

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.hosts import names
from tests.live.nodes import FIRST, process, processes
from tests.live.readme import steps
from tests.live.stack import CHECKOUT, Outcome, Project, Stack

OPTIONS = "## Pulumi's options for a part of a stack"


def up(stack: Stack, *words: str) -> Outcome:
    return stack.pulumi("up", "--yes", "--skip-preview", *words, check=False)


def test_only_a_part_is_updated_or_replaced_where_that_does_no_harm(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    before = processes(nodes, 3)

    wanted = ["**etcd-1-node", "**etcd-owner", "**etcd-genesis", "**PrivateKey::etcd-ca"]
    words = [f"--replace={pattern}" for pattern in wanted]
    for refused in (stack.preview(*words, check=False), up(stack, *words)):
        assert refused.status != 0
        assert "4 mistakes to correct" in refused.text
        assert "etcd-1 would be taken off its machine, data included" in refused.text
    assert processes(nodes, 3) == before

    # A rollout without its files would count as done, and etcd-1 never be restarted.
    stack.edit(etcd_snapshot_count=20000)
    refused = up(stack, "--target", "**etcd-1-rollout")
    assert refused.status != 0
    assert "etcd-1-config or etcd-1-tls was left out" in refused.text
    assert up(stack, "--target", "**etcd-1-config").status == 0
    assert processes(nodes, 3) == before
    stack.up()
    assert not set(processes(nodes, 3)) & set(before)
    assert stack.up().changed == {}

    replaced = up(stack, "--replace", "**etcd-2-member")
    assert replaced.status == 0, replaced.text
    assert "etcd-2: joined the cluster" in replaced.text
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3)) == cluster_id
    assert stack.up().changed == {}


def test_a_part_is_destroyed_only_where_the_rest_keeps_its_quorum(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    second = process(nodes, FIRST + 1)

    def destroy(*words: str) -> Outcome:
        target = ("--target", "**etcd-2-member")
        return stack.pulumi("destroy", "--yes", "--skip-preview", *target, *words, check=False)

    refused = destroy()
    assert refused.status != 0
    assert "--target-dependents" in refused.text
    nodes.kill(FIRST)
    refused = destroy("--target-dependents")
    assert refused.status != 0
    assert "etcd-2 cannot leave: of the 2 voters that stay, 2 must be well" in refused.text
    assert process(nodes, FIRST + 1) == second

    nodes.start(FIRST)
    assert destroy("--target-dependents").status == 0
    assert set(ask(stack).members()) == {"etcd-1", "etcd-3"}
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3)) == cluster_id
    assert stack.up().changed == {}


def test_the_only_member_is_not_replaced_and_a_refresh_changes_nothing(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 1))
    stack.up()
    ask(stack)("put", "kept", "for ever")
    before = processes(nodes, 1)
    refused = up(stack, "--replace", "**etcd-1-member")
    assert refused.status != 0
    assert "it is the only member, and the cluster ends with it" in refused.text

    page = (CHECKOUT / "docs/how-it-works.md").read_text()
    section = page[page.index(OPTIONS) :]
    (step,) = steps(section[: section.index("\n## ", 1)])
    program, *typed = step.command.replace("--stack prod", "").split()
    assert program == "pulumi"
    assert not stack.pulumi(*typed).changed

    assert stack.up().changed == {}
    assert processes(nodes, 1) == before
    assert ask(stack)("get", "kept", "--print-value-only") == "for ever"
