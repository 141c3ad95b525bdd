"""The Pulumi program: stack configuration -> model -> clusters and monitor -> outputs."""

import json
import os
from typing import Any

import pulumi

from etcd_component import EtcdCluster, InvalidInventory, Monitor, load, previous


def stack_value(key: str) -> Any:
    """The stack's value of a key of this project; secrets are in the clear, the caller keeps them.

    None when it is unset or empty. An object arrives as JSON.
    """
    text = pulumi.runtime.get_config(f"etcd:{key}")
    if not text:
        return None
    return json.loads(text) if key in {"inventory", "etcd_monitor"} else text


def main() -> None:
    """Make every cluster of the stack; touch nothing while the inventory has a mistake."""
    previous.begin()
    try:
        plan = load(stack_value, os.environ)
    except InvalidInventory as mistakes:
        raise pulumi.RunError(str(mistakes)) from None
    for warning in plan.warnings:
        pulumi.warn(warning)
    clusters = [(one, EtcdCluster(one)) for one in plan.clusters]
    outputs = {one.name: made.outputs for one, made in clusters}
    for key in next(iter(outputs.values())):
        by_cluster = {name: found[key] for name, found in outputs.items()}
        # A stack of one cluster, which is nearly every stack, needs no map.
        (value,) = by_cluster.values() if len(by_cluster) == 1 else (by_cluster,)
        pulumi.export(key, value)
    if plan.monitor:
        for key, value in Monitor(plan.monitor, clusters).outputs.items():
            pulumi.export(key, value)


main()
