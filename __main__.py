"""The Pulumi program: stack configuration -> model -> clusters -> outputs."""

import json
import os
from typing import Any

import pulumi

from etcd_component import EtcdCluster, InvalidInventory, load


def stack_value(key: str) -> Any:
    """The stack's value of a key of this project; secrets are in the clear, the caller keeps them.

    None when it is unset or empty. An object arrives as JSON.
    """
    text = pulumi.runtime.get_config(f"etcd:{key}")
    if not text:
        return None
    return json.loads(text) if key == "inventory" else text


def main() -> None:
    """Make every cluster of the stack; touch nothing while the inventory has a mistake."""
    try:
        plan = load(stack_value, os.environ)
    except InvalidInventory as mistakes:
        raise pulumi.RunError(str(mistakes)) from None
    for warning in plan.warnings:
        pulumi.warn(warning)
    clusters = {one.name: EtcdCluster(one) for one in plan.clusters}
    if len(clusters) == 1:
        (outputs,) = (one.outputs for one in clusters.values())
    else:
        outputs = {"clusters": {name: one.outputs for name, one in clusters.items()}}
    for name, value in outputs.items():
        pulumi.export(name, value)


main()
