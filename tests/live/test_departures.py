"""Who leaves is said beforehand, and what would take away more than was named is refused."""

from __future__ import annotations

from typing import Any

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.nodes import FIRST, processes, shell, traces
from tests.live.stack import Project, Stack

NAMES = ("etcd-1", "etcd-2", "etcd-3")


def renumbered(lab: Lab, *seqs: int, **variables: object) -> dict[str, object]:
    hosts = {lab.address(at): {"etcd_seq": seq} for at, seq in enumerate(seqs)}
    return {"inventory": {"etcd": {"hosts": hosts, "vars": {"etcd_cluster": "etcd"} | variables}}}


def refused(stack: Stack, *parts: str, preview: bool = True) -> None:
    """Preview and an `up` without one both say so; neither is a traceback."""
    for outcome in (*([stack.preview(check=False)] if preview else []), stack.up(check=False)):
        assert outcome.status != 0
        assert "Traceback" not in outcome.text
        assert outcome.changed == {}, outcome.text
        for part in parts:
            assert part in outcome.text, outcome.text


def test_changed_numbers_and_names_are_refused_and_who_leaves_is_said(  # noqa: PLR0915 - one cluster
    nodes: Lab, project: Project, ask: Ask
) -> None:
    three = inventory(nodes, 3)
    stack = project.stack(three)
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*NAMES)
    ask(stack)("put", "precious", "kept")
    before = processes(nodes, 3)

    def nothing_happened() -> None:
        assert processes(nodes, 3) == before
        assert ask(stack).assert_one_healthy_cluster(*NAMES) == cluster_id
        assert ask(stack)("get", "precious", "--print-value-only") == "kept"

    # One renumbered, two swapped, all renumbered; and the undoing takes nothing.
    held = f"{nodes.address(2)}: this machine is etcd-3, a member of cluster etcd"
    for seqs in ((1, 2, 4), (1, 3, 2), (4, 5, 6)):
        stack.write(renumbered(nodes, *seqs))
        refused(stack, held, preview=seqs == (1, 2, 4))
    stack.write(three)
    assert stack.up().changed == {}
    nothing_happened()

    # A cluster under another name.
    stack.write(inventory(nodes, 3, etcd_cluster="prod"))
    refused(stack, "a new cluster prod on its", "a cluster cannot be renamed")
    stack.write(inventory(nodes, 3, etcd_cluster="prod", etcd_port=3379, etcd_peer_port=3380))
    refused(stack, "a cluster cannot be renamed", preview=False)
    stack.write(three)
    assert stack.up().changed == {}
    nothing_happened()

    # A protected member, and what a preview says about the protection.
    stack.edit(etcd_safeguard=True)
    assert "etcd_safeguard is on" in stack.preview().text
    stack.up()
    assert "etcd_safeguard is on, so neither can a member be removed" in stack.preview().text
    stack.write(inventory(nodes, 2))
    refused(stack, "the inventory has etcd-3 no more, and etcd_safeguard protects etcd-3")
    stack.write(renumbered(nodes, 4, 5, 6, etcd_safeguard=True))
    refused(stack, held, preview=False)
    stack.write(inventory(nodes, 3, etcd_safeguard=True))
    assert stack.up().changed == {}
    nothing_happened()
    stack.write(three)
    stack.up()
    nothing_happened()

    # Who is named leaves, and a preview and the update say so.
    stack.write(inventory(nodes, 2))
    leaves = (
        f"etcd-3 ({nodes.address(2)}) leaves cluster etcd; its data in /data/etcd are deleted"
        " (etcd_rm_data)"
    )
    marker = f"etcd-3: /data/etcd on {nodes.address(2)}, deleted with it"
    preview = stack.preview()
    assert leaves in preview.text
    assert marker in preview.text
    shrunk = stack.up()
    assert leaves in shrunk.text
    assert "etcd-3 is off this machine. Its data in /data/etcd are deleted." in shrunk.text
    assert ask(stack).assert_one_healthy_cluster("etcd-1", "etcd-2") == cluster_id
    assert [one for one in traces(nodes, FIRST + 2) if one != "/opt/etcd"] == []

    # Whether data are kept changes what a deletion runs, and the marker's name.
    stack.edit(etcd_rm_data=False)
    kept = stack.up()
    assert kept.changed == {"updated": 2}, kept.text
    assert processes(nodes, 2) == before[:2]
    (sentence,) = removal(stack)
    assert sentence == (
        f"cluster etcd is destroyed: etcd-1 ({nodes.address(0)}) and etcd-2 ({nodes.address(1)})"
        " stop; their data in /data/etcd are kept (etcd_rm_data: false)"
    )
    destroyed = stack.destroy()
    assert f"etcd-1: /data/etcd on {nodes.address(0)}, kept" in destroyed.text
    assert "etcd-2 is off this machine. Its data stay in /data/etcd." in destroyed.text
    for number in (FIRST, FIRST + 1):
        assert shell(nodes, number, "ls /data/etcd") == "member"


def removal(stack: Stack) -> list[str]:
    """What `make destroy` says first."""
    done: Any = stack._python("removal", "-m", "etcd_component", "removal", stack.name)
    assert done.returncode == 0, done.stderr
    said: list[str] = done.stdout.splitlines()
    return said


def test_a_first_run_that_was_refused_can_be_corrected(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    shell(nodes, FIRST, "mkdir -p /data/etcd && echo precious >/data/etcd/file")
    stack = project.stack(inventory(nodes, 1))
    assert "choose another etcd_data" in stack.up(check=False).text
    stack.edit(etcd_data="/data/mine")
    stack.up()
    ask(stack).assert_one_healthy_cluster("etcd-1")
    assert shell(nodes, FIRST, "cat /data/etcd/file") == "precious"
    # From here on it is bound.
    stack.edit(etcd_data="/data/elsewhere")
    assert "etcd-1 has its data in /data/mine, and etcd_data" in stack.preview(check=False).text
