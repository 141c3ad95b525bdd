"""An attempt to become a member that came to nothing: it does not bind the next one.

A first run may have a wrong address, port or directory in it. What it left on this machine is
cleared away, unless a cluster may count on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import composition, data_directory, files, systemd
from etcd_component.agent.client import FORMED, FORMING, UNREACHABLE
from etcd_component.agent.decide.attempting import may_be_a_member
from etcd_component.agent.instance import Peer, parse_peers
from etcd_component.agent.output import refuse, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.agent.client import Client
    from etcd_component.agent.instance import Instance

LABEL = "attempt"


def objection(instance: Instance, *clients: Client, founders: str = "") -> str:
    """Why a cluster may count on what is here; empty when none does.

    `clients` have different certificates, of which the peers may take one or the other. `founders`
    are those that it is to bootstrap with now: a cluster of theirs does not count on data that
    began with others.
    """
    paths = instance.paths
    if instance.has_joined or paths.left.exists():
        return f"{instance.name} has joined its cluster"
    # Without a log it has neither voted nor taken anything; but a log may have been lost.
    if not instance.holds_member and not paths.identity.exists():
        return ""
    began_with = parse_peers(files.value_in(files.read_text(paths.membership), "initial-cluster"))
    wanted = set(parse_peers(founders))
    formed, away, runs = [], [], False
    for peer in began_with:
        kinds = [client.probe(peer.url).kind for client in clients]
        if FORMED in kinds and not (wanted and _members(peer, clients) == wanted):
            formed.append(peer)
        elif peer.name == instance.name:
            runs = FORMING in kinds
        elif set(kinds) == {UNREACHABLE}:
            away.append(peer)
    return may_be_a_member(formed, away, len(began_with), runs=runs)


def _members(peer: Peer, clients: Sequence[Client]) -> set[Peer]:
    """The members of the cluster that a peer is in."""
    for client in clients:
        members = client.members_or_none(peer.url)
        if members:
            return {Peer(one.name, url) for one in members for url in one.peer_urls}
    return set()


def discard(instance: Instance) -> None:
    """Clear away what the attempt left; data are kept as a copy. Raises Refusal."""
    paths = instance.paths
    if not systemd.systemctl("stop", paths.unit) and systemd.known(paths.unit).main_pid:
        refuse(
            f"{paths.unit} could not be stopped; look at `systemctl status {paths.unit}` and run"
            " this again. Nothing was changed"
        )
    # First what would have this run refused, if it were cut off and run again.
    files.remove(paths.identity)
    copy = data_directory.set_aside(instance.data, paths.unit, LABEL)
    files.remove(paths.membership, paths.known_peers, paths.bootstrapping)
    if files.has_content(paths.settings):
        composition.compose(paths)
    kept = f"; what it wrote is kept in {copy}" if copy else ""
    say(f"{instance.name}: an attempt that formed no cluster is cleared away{kept}")
