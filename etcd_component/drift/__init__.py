"""Drift: a preview looks at all nodes and members, as `status` does, while the rest goes on.

Nothing is changed anywhere, and a node that is away holds up nothing for long.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pulumi

from etcd_component.drift.look import Look
from etcd_component.drift.say import warnings
from etcd_component.drift.step import step_of
from etcd_component.model import Cluster
from etcd_component.previous import Previous

__all__ = ["Look", "tell", "warnings"]


def tell(
    look: Look,
    previous: Previous,
    clusters: Sequence[Cluster],
    finished: Sequence[pulumi.Resource],
) -> None:
    """Warn of what was seen, when all in `finished` are registered and the nodes have answered."""
    steps = {one.name: step_of(previous, one) for one in clusters}

    async def reports(_: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, look.reports)

    def say(found: Any) -> None:
        for report in found:
            if step := steps.get(report.cluster.name):
                for text in warnings(report, step):
                    pulumi.warn(text)
        if look.problem:
            pulumi.info(f"nodes and members were not looked at: {look.problem}")

    pulumi.Output.all(*(one.urn for one in finished)).apply(reports).apply(say)
