"""One stack, two clusters: a dead machine of one does not stop the other."""

from __future__ import annotations

from lab import Lab
from tests.live.nodes import FIRST, processes
from tests.live.stack import Project
from tests.live.test_layout import group

UP = ("up", "--yes", "--skip-preview", "--continue-on-error")


def test_what_one_dead_machine_stops_is_its_own_cluster_alone(nodes: Lab, project: Project) -> None:
    def clusters(**settings: int) -> dict[str, object]:
        first = group("etcd", [nodes.address(0)], **settings)
        return {"inventory": {"etcd": first, "other": group("other", [at(1), at(2)], **settings)}}

    def at(position: int) -> str:
        return nodes.address(position)

    stack = project.stack(clusters())
    stack.up()
    before = processes(nodes, 2)
    stack.write(clusters(etcd_snapshot_count=20000))
    nodes.kill(FIRST + 2)

    failed = stack.pulumi(*UP, check=False, seconds=240)

    assert failed.status != 0
    assert "Done in cluster etcd: etcd-1 restarted" in failed.text
    assert "Not finished in cluster other: other-1, other-2." in failed.text
    assert "Done in cluster other" not in failed.text
    assert "Not finished in cluster etcd:" not in failed.text
    assert "Traceback" not in failed.text
    # The one that is left of `other` cannot be restarted without the loss of its quorum.
    after = processes(nodes, 2)
    assert after[0] != before[0]
    assert after[1] == before[1]

    nodes.start(FIRST + 2)
    finished = stack.up()
    assert "Done in cluster other:" in finished.text
    assert "Not finished" not in finished.text
    assert stack.up().changed == {}
