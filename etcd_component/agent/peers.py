"""What all the other members say on their peer ports, at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.agent.client import FORMED, FORMING, NOT_RUNNING, SHORT, PeerState
from etcd_component.agent.instance import Peer
from etcd_component.agent.output import doing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etcd_component.agent.client import Client
    from etcd_component.agent.instance import Instance
    from etcd_component.etcd_api.members import Member


@dataclass(frozen=True)
class PeerReport:
    """A peer, and what it said."""

    peer: Peer
    state: PeerState

    def __str__(self) -> str:
        return f"  - {self.peer.name} at {self.peer.url}: {self.state}"


@dataclass(frozen=True)
class PeerReports:
    """What all peers said; nobody in it means that nobody is known."""

    all: tuple[PeerReport, ...] = ()

    @property
    def formed(self) -> tuple[Peer, ...]:
        """Those that are in a formed cluster."""
        return tuple(one.peer for one in self.all if one.state.kind == FORMED)

    @property
    def hindrances(self) -> tuple[PeerReport, ...]:
        """Those that forbid bootstrapping: nobody knows what they are."""
        return tuple(
            one for one in self.all if one.state.kind not in {FORMED, FORMING, NOT_RUNNING}
        )

    @property
    def idle(self) -> tuple[PeerReport, ...]:
        """Those that wait for others themselves, or on whose machines etcd does not run."""
        return tuple(one for one in self.all if one.state.kind in {FORMING, NOT_RUNNING})

    @property
    def asked(self) -> frozenset[str]:
        """The peer URLs of all."""
        return frozenset(one.peer.url for one in self.all)

    @property
    def not_begun(self) -> tuple[Peer, ...]:
        """Those that have not begun, where that is all that is missing; else nobody."""
        if self.formed or self.hindrances:
            return ()
        return tuple(one.peer for one in self.all if one.state.kind == NOT_RUNNING)


def observe(client: Client, peers: Iterable[Peer]) -> PeerReports:
    """Ask each peer, one after the other; one that is away takes two or three seconds."""
    reports = []
    for peer in peers:
        doing(f"asking {peer.name} at {peer.url}")
        reports.append(PeerReport(peer, client.probe(peer.url)))
    return PeerReports(tuple(reports))


def members_by_any(client: Client, peers: Iterable[Peer]) -> tuple[Member, ...] | None:
    """The member list as the first peer gives it that answers; None where none does."""
    for peer in peers:
        members = client.members_or_none(peer.url, SHORT)
        if members is not None:
            return members
    return None


def is_unknown_to_peers(client: Client, instance: Instance, named: str = "") -> bool:
    """Whether its cluster has removed it: all peers in it that answer say so, and one at least.

    `named` are peers besides those that it knew. One that was removed stops by itself or fails, as
    far as it had heard of its removal.
    """
    asked = False
    for peer in instance.known_peers(named):
        if client.probe(peer.url).kind != FORMED:
            continue
        members = client.members_or_none(peer.url)
        if not members:
            continue
        if instance.own_among(members) or any(one.name == instance.name for one in members):
            return False
        asked = True
    return asked
