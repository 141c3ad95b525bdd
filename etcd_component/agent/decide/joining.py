"""Bootstrap, join, rejoin, come back, wait or refuse: decided from one observation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from etcd_component.agent.decide.verdict import Refuse
from etcd_component.agent.instance import parse_peers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.agent.instance import Peer
    from etcd_component.agent.peers import PeerReport, PeerReports


@dataclass(frozen=True)
class Observed:
    """All that decides how an instance becomes a member, or becomes one again."""

    name: str
    cluster: str
    data: str
    """The data directory."""
    peer_url: str
    # On disk.
    holds_member: bool = False
    """The data directory has the log of a member."""
    has_membership: bool = False
    """It was written down how it joins, or that it has joined."""
    has_joined: bool = False
    """It has been part of its cluster once."""
    has_left: bool = False
    has_begun: bool = False
    """Its etcd has written data once."""
    was_joining: bool = False
    """It was written down that it joins a cluster that was formed then, and it has not yet."""
    owns_data: bool = False
    """The mark in the data directory names this instance."""
    rejoin_done: int = 0
    """The number of the last rejoin that was done."""
    has_copy: bool = False
    """What the directory held when the number was raised is set aside already."""
    # On the command line.
    founders: str = ""
    """`name=peer-url`, by comma."""
    names_peers: bool = False
    rejoin: int = 0
    repair: int = 0
    # Seen in the network.
    knows_peers: bool = False
    """Somebody is named there, or was known when it last took part."""
    reports: PeerReports | None = None
    """What the peers say; None before they were asked."""
    may_wait: bool = True
    """Whether there is patience left for a peer of a formed cluster."""
    began_with_others: bool = False
    """It has begun with other founders than are wanted now, and has not joined."""
    objection: str | None = None
    """Why a cluster may count on that, empty when none does; None before it was asked."""
    verdict: str | None = None
    """Why it cannot run with its data, empty when it can; None before that was tried."""

    @property
    def rejoin_is_asked(self) -> bool:
        """Whether the number was raised by which a stack asks for a rejoin."""
        return self.rejoin > self.rejoin_done

    @property
    def is_founder(self) -> bool:
        """Whether it is one of those that bootstrap the cluster."""
        return f"{self.name}={self.peer_url}" in self.founders.split(",")


@dataclass(frozen=True)
class Look:
    """Ask the peers, and decide then."""


@dataclass(frozen=True)
class Wait:
    """Ask the peers again in a moment."""


@dataclass(frozen=True)
class Examine:
    """Try whether it can run with its data."""


@dataclass(frozen=True)
class AskFounders:
    """Find out whether those that it began with have formed a cluster."""


@dataclass(frozen=True)
class BeginAnew:
    """No cluster counts on what it began with others: it is cleared away."""


@dataclass(frozen=True)
class SetAside:
    """Its data are kept as a copy, and it joins without them; for this cause."""

    cause: str


@dataclass(frozen=True)
class ComeBack:
    """It is a member and has its data: it only has to run."""

    restore_membership: bool = False
    """The files that say so are lost, and are written anew."""


@dataclass(frozen=True)
class Join:
    """Become a member of the cluster that a peer is in."""

    peer: Peer


@dataclass(frozen=True)
class Bootstrap:
    """Form the cluster with the other founders."""


Decision = Union[
    Refuse, Look, Wait, Examine, AskFounders, BeginAnew, SetAside, ComeBack, Join, Bootstrap
]


def decide(seen: Observed) -> Decision:
    """What an instance does to be a member."""
    if seen.holds_member and not seen.has_left:
        return _with_data(seen)
    if seen.reports is None:
        return Look()
    if seen.reports.formed:
        return Join(seen.reports.formed[0])
    # One that joins may have been declared together with the founders, which are at work now.
    if not _may_bootstrap(seen) and seen.may_wait:
        return Wait()
    reason = _objection_to_bootstrap(seen, seen.reports)
    return Refuse(reason) if reason else Bootstrap()


def _may_bootstrap(seen: Observed) -> bool:
    """Whether it is a founder of which nothing says that there may be a cluster already."""
    knows_of_one = seen.has_joined or seen.has_left or seen.has_begun or seen.was_joining
    return seen.is_founder and not knows_of_one


def _with_data(seen: Observed) -> Decision:
    if seen.began_with_others and seen.objection is None:
        return AskFounders()
    if seen.began_with_others and not seen.objection:
        return BeginAnew()
    is_known = seen.has_membership or seen.owns_data
    if seen.rejoin_is_asked and not seen.has_copy and is_known:
        if seen.verdict is None:
            return Examine()
        if seen.verdict:
            return SetAside(seen.verdict)
    if not is_known:
        return Refuse(
            f"{seen.data} holds a member that did not take its seat through etcd-node; move the"
            " data away, or choose another etcd_data"
        )
    return ComeBack(restore_membership=not seen.has_membership)


def _objection_to_bootstrap(seen: Observed, reports: PeerReports) -> str:
    """Why this instance bootstraps nothing; empty when it may."""
    if not _may_bootstrap(seen):
        return _never_bootstraps(seen, _lines([*reports.hindrances, *reports.idle]))
    if reports.hindrances:
        return (
            f"{seen.name} can found the cluster only when every other member can be asked, so that"
            f" none is ever founded twice:{_lines(reports.hindrances)}\n"
            "  Bring these machines back or open their peer port, and run `pulumi up` again"
        )
    founders = parse_peers(seen.founders)
    unasked = [one for one in founders if one.url not in {*reports.asked, seen.peer_url}]
    if unasked:
        return (
            f"{seen.name} founds no cluster: {unasked[0].name} at {unasked[0].url} is a founder"
            " too, and was not asked; nothing was changed. Run `pulumi up` again"
        )
    if len(founders) != len(seen.founders.split(",")):
        return "the list of founders cannot be read; nothing was changed. Run `pulumi up` again"
    return ""


def _never_bootstraps(seen: Observed, lines: str) -> str:
    """`lines` are what the peers say."""
    if seen.has_left:
        return (
            f"{seen.name} has left cluster {seen.cluster}, and no member of it answers:"
            f"{lines or _lines(['  - it was the last'])}\n"
            "  It never founds a cluster again. Bring the others back and run `pulumi up` again;"
            " where there are none, delete its line, run `pulumi up`, and add it again"
        )
    if seen.has_joined:
        return (
            f"{seen.name} has lost its data: {seen.data} is empty, but it has been a member before."
            " It never founds a cluster again, and no other member is there to join:"
            f"{lines or _lines(['  - it was the only one; restore a snapshot'])}\n"
            "  Bring the others back and run `pulumi up` again"
        )
    if not seen.founders and not seen.names_peers and not seen.knows_peers:
        return (
            f"{seen.name} has no data in {seen.data}, and nothing on this machine says who the"
            " other members are: it was wiped, or is another machine, and never founds a second"
            " cluster. If a disk is only not mounted, mount it. Otherwise set etcd_reseat on this"
            f" host to {seen.rejoin + 1} and run `pulumi up` to have the former member removed and"
            " this one join with the data of the others; `make status` gives the line"
        )
    if not seen.is_founder:
        return (
            f"{seen.name} is not one of the founders of cluster {seen.cluster}, and no peer of a"
            f" formed cluster answers:{lines or _lines(['  - no peer is known'])}\n"
            "  It never founds a second cluster. Bring the cluster back and run `pulumi up` again"
        )
    if seen.was_joining:
        return (
            f"{seen.name} was joining cluster {seen.cluster}, and no member of it answers:{lines}\n"
            "  It never founds a second cluster. Bring the cluster back and run `pulumi up` again"
        )
    return (
        f"{seen.name} has lost its data: {seen.data} is empty, but it began as a founder before,"
        " and may have voted since. No other founder is in a formed cluster:"
        f"{lines or _lines(['  - it is the only one'])}\n"
        "  Have the others begin (`pulumi up --continue-on-error`), then it joins them. If none of"
        f" them has ever begun, remove /etc/etcd/{seen.cluster}/identity on this machine and run"
        " `pulumi up` again"
    )


def founders_to_come(founders: str, reports: PeerReports) -> tuple[str, ...]:
    """The names of the other founders that have not begun, where only they are missing.

    Nobody where a cluster is formed, or where a founder cannot be asked: then there is something
    else to wait for, or to complain about.
    """
    urls = {peer.url for peer in parse_peers(founders)}
    return tuple(peer.name for peer in reports.not_begun if peer.url in urls)


def _lines(reports: Sequence[PeerReport | str]) -> str:
    return "".join(f"\n{report}" for report in reports)
