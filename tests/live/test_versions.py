"""Another version of etcd, up and down: one edit and one `pulumi up`, under clients that write."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile

import pytest

from bench.writer import Writer
from lab import Lab
from lab.releases import architecture, archive_name
from tests.live.cluster import Asked
from tests.live.conftest import Ask, inventory
from tests.live.nodes import FIRST, processes, shell
from tests.live.stack import Outcome, Project, Stack

NAMES = ("etcd-1", "etcd-2", "etcd-3")
SNAPSHOTS = "/var/lib/etcd-node/etcd"

_BROKEN = """\
#!/bin/sh
[ "$1" != --version ] || { echo "etcd Version: 3.7.9" && exit; }
echo "this release is broken" >&2
exit 1
"""


def assert_runs(stack: Stack, lab: Lab, asked: Asked, version: str) -> None:
    """All members run it, and say so."""
    asked.assert_one_healthy_cluster(*NAMES)
    assert {one["version"] for one in asked.statuses()} == {version}
    minor = version.rpartition(".")[0]
    for number in range(FIRST, FIRST + 3):
        said = shell(lab, number, "etcd-node status")
        assert f"{version}, serving {version}, cluster at {minor}.0" in said
        assert "are what the running process was started with" in said
    assert stack.up().changed == {}


def snapshots(lab: Lab) -> dict[str, list[str]]:
    """The snapshots on each node, by the instance's name."""
    return {
        name: shell(lab, FIRST + at, f"ls {SNAPSHOTS}", check=False).split()
        for at, name in enumerate(NAMES)
    }


def confirmed(outcome: Outcome, version: str) -> bool:
    minor = version.rpartition(".")[0]
    return f"etcd-3: all members run {version}, the cluster is at {minor}" in outcome.text


def test_a_cluster_goes_up_and_down_through_all_minors_and_loses_no_acknowledged_write(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3, etcd_version="3.5.35"))
    stack.up()
    asked = ask(stack)
    cluster_id = asked.assert_one_healthy_cluster(*NAMES)
    before = processes(nodes, 3)

    stack.edit(etcd_version="3.7.3")
    foreseen = stack.preview(check=False)
    assert foreseen.status != 0
    assert "etcd 3.5.35 does not become 3.7.3: etcd goes from one minor version" in foreseen.text
    refused = stack.up(check=False)
    assert refused.status != 0
    assert "etcd goes from one minor version to the next, never over one" in refused.text
    assert processes(nodes, 3) == before
    assert not any(snapshots(nodes).values())

    with Writer(asked.access()) as writer:
        stack.edit(etcd_version="3.6.16")
        preview = stack.preview()
        assert preview.text.count("+   --version 3.6.16") == 9, preview.text
        assert preview.changed == {"update": 9}
        leader = asked.leader()
        assert confirmed(stack.up(), "3.6.16")
        assert snapshots(nodes) == {
            name: ["before-3.6.16-from-3.5.35.db"] if name == leader else [] for name in NAMES
        }

        stack.edit(etcd_version="3.7.3")
        stack.killed_when(" etcd-1-rollout updated ")
        assert confirmed(stack.up(), "3.7.3")
        assert_runs(stack, nodes, asked, "3.7.3")

        for version in ("3.6.16", "3.5.35"):
            stack.edit(etcd_version=version)
            assert confirmed(stack.up(), version)
    print(
        f"{len(writer.acknowledged)} writes acknowledged, {writer.failed} attempts failed, "
        f"longest gap {writer.longest_gap() * 1000:.0f} ms"
    )
    assert not writer.lost()
    assert_runs(stack, nodes, asked, "3.5.35")
    assert asked.assert_one_healthy_cluster(*NAMES) == cluster_id


@pytest.fixture
def broken(lab: Lab) -> str:
    """A release 3.7.9 on the lab's mirror that only knows its version; its checksum."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for program in ("etcd", "etcdctl", "etcdutl"):
            entry = tarfile.TarInfo(f"etcd/{program}")
            entry.size, entry.mode = len(_BROKEN), 0o755
            archive.addfile(entry, io.BytesIO(_BROKEN.encode()))
    place = lab.home / "archive" / "v3.7.9"
    place.mkdir(exist_ok=True)
    (place / archive_name("3.7.9")).write_bytes(packed.getvalue())
    return hashlib.sha256(packed.getvalue()).hexdigest()


def test_a_release_that_does_not_run_is_put_back_and_the_others_are_left_alone(
    three: Stack, lab: Lab, ask: Ask, broken: str
) -> None:
    before, config = processes(lab, 3), three.config
    three.edit(etcd_version="3.7.9", etcd_archive_sha256={architecture(): broken})
    failed = three.up(check=False)
    assert failed.status != 0
    assert "this release is broken" in failed.text
    assert "etcd 3.6.16 was put back and runs again" in failed.text
    assert processes(lab, 3)[1:] == before[1:]
    ask(three).assert_one_healthy_cluster(*NAMES)

    three.write(config)
    back = three.up()
    assert not re.search(r"etcd-[23]: restarted", back.text)
    assert_runs(three, lab, ask(three), "3.6.16")
    assert processes(lab, 3)[1:] == before[1:]
