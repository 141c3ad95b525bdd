"""The Pulumi program: stack configuration -> model -> clusters and monitor -> outputs."""

import json
import os
from collections.abc import Sequence
from typing import Any

import pulumi

from etcd_component import EtcdCluster, InvalidInventory, Monitor, by_cluster, load, previous
from etcd_component.departures import departures
from etcd_component.model import Cluster


def stack_value(key: str) -> Any:
    """The stack's value of a key of this project; secrets are in the clear, the caller keeps them.

    None when it is unset or empty. An object arrives as JSON.
    """
    text = pulumi.runtime.get_config(f"etcd:{key}")
    if not text:
        return None
    return json.loads(text) if key in {"inventory", "etcd_monitor"} else text


def announce(clusters: Sequence[Cluster]) -> None:
    """Say who leaves, and refuse what would take away more than was meant."""
    found = departures(previous.found(), clusters)
    if found.refusals:
        raise InvalidInventory(found.refusals)
    for sentence in found.leaving:
        pulumi.warn(sentence)
    if found.unknown:
        pulumi.warn(found.unknown)
    if pulumi.runtime.is_dry_run():
        for sentence in found.safeguards:
            pulumi.info(sentence)


def main() -> None:
    """Make every cluster of the stack; touch nothing while the inventory has a mistake."""
    previous.begin()
    try:
        plan = load(stack_value, os.environ)
        announce(plan.clusters)
    except InvalidInventory as mistakes:
        raise pulumi.RunError(str(mistakes)) from None
    for warning in plan.warnings:
        pulumi.warn(warning)
    clusters = [(one, EtcdCluster(one)) for one in plan.clusters]
    outputs = by_cluster({one.name: made.outputs for one, made in clusters})
    for key, value in outputs.items():
        pulumi.export(key, value)
    if plan.monitor:
        for key, value in Monitor(plan.monitor, clusters).outputs.items():
            pulumi.export(key, value)


main()
