"""Looking at how far an instance is; without a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import files, peers
from etcd_component.agent.decide import lifecycle as decide

if TYPE_CHECKING:
    from etcd_component.agent.client import Client
    from etcd_component.agent.instance import Instance
    from etcd_component.agent.systemd import UnitState


def stage(instance: Instance) -> str:
    """By what is on this machine."""
    return decide.stage(
        has_membership=files.has_content(instance.paths.membership),
        holds_member=instance.holds_member,
        has_joined=instance.has_joined,
    )


def stage_in_cluster(instance: Instance, client: Client, unit: UnitState) -> str:
    """The same, and whether its cluster still has it. Peers are asked only where etcd is down."""
    found = stage(instance)
    if found != decide.JOINED or unit.is_active or client.fault():
        return found
    return decide.in_cluster(
        found, is_active=False, is_unknown=peers.is_unknown_to_peers(client, instance)
    )
