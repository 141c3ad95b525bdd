"""Does the instance of another number that is on this machine still count?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import attempt, claim, files, systemd
from etcd_component.agent.client import Client
from etcd_component.agent.decide.claiming import Occupant
from etcd_component.agent.instance import Instance
from etcd_component.agent.peers import is_unknown_to_peers

if TYPE_CHECKING:
    from etcd_component.agent.paths import Paths

UNKNOWN = Occupant()


def look(paths: Paths, peers: str) -> Occupant:
    """What is known of it; `peers` are those of the command line."""
    if _never_joined(paths):
        return Occupant(never_joined=True)
    if not files.has_content(paths.configuration):
        return UNKNOWN
    instance = Instance.load(paths)
    if not files.has_content(paths.pki / "server.key"):
        return UNKNOWN
    client = Client(paths.pki)
    # Nobody can be asked with a certificate that is broken, and then it may still count.
    if client.fault():
        return UNKNOWN
    if client.takes_part(instance.client_url):
        return Occupant(takes_part=True)
    return Occupant(removed=is_unknown_to_peers(client, instance, peers))


def _never_joined(paths: Paths) -> bool:
    """A first run with a wrong number has put nothing there that anybody could miss."""
    claimed = claim.read(paths)
    return (
        claimed is not None
        and bool(claimed.data)
        and not files.has_content(paths.membership)
        and not paths.left.exists()
        and not os.path.lexists(Path(claimed.data) / "member")
        and not systemd.is_active(paths.unit)
    )


def was_only_tried(paths: Paths) -> bool:
    """Whether the instance here began something that no cluster counts on."""
    if not files.has_content(paths.configuration):
        return False
    instance = Instance.load(paths)
    return not attempt.objection(instance, Client(paths.pki))
