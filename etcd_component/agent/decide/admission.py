"""What a formed cluster must be asked for by one that joins it, and what forbids that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.agent.decide.verdict import Refuse
from etcd_component.agent.instance import parse_peers
from etcd_component.etcd_api.quorum import may_remove, quorum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.agent.decide.joining import Observed
    from etcd_component.etcd_api.members import Member

VOTER, LEARNER = "voter", "learner"


@dataclass(frozen=True)
class RemoveFormer:
    """The cluster still counts the member that lost its data."""

    member: Member


@dataclass(frozen=True)
class Complete:
    """It was added before, and has not said that it started."""


@dataclass(frozen=True)
class Add:
    """The cluster does not know it yet."""


def decide_admission(seen: Observed, own: Member | None) -> RemoveFormer | Complete | Add | Refuse:
    """What the cluster must be asked for; `own` is this instance among its members."""
    if own is not None and own.started:
        if seen.rejoin_is_asked:
            return RemoveFormer(own)
        return Refuse(
            f"{seen.name} is a member that has lost its data: {seen.data} holds none, but the"
            f" cluster knows it as {own.id}. etcd_repair cannot bring them back. If a disk is only"
            " not mounted, mount it. A member is never removed unasked: set etcd_reseat on this"
            f" host to {seen.rejoin_done + 1} and run `pulumi up` to have it removed and joined"
            " again with the data of the others"
        )
    if own is not None:
        # A learner takes data before it says that it started. With them it has lost its ID.
        return RemoveFormer(own) if own.is_learner and seen.rejoin_is_asked else Complete()
    # A repair puts files back and has nobody join; one that has left is wanted again.
    if seen.repair and not (seen.founders or seen.rejoin or seen.has_left):
        return Refuse(
            f"{seen.name} is no member of cluster {seen.cluster} (any more), and {seen.data} holds"
            " none. etcd_repair has nobody join: set etcd_reseat on this host to 1 and run"
            " `pulumi up` again. Nothing was changed"
        )
    return Add()


@dataclass(frozen=True)
class Promote:
    """A learner becomes a voter."""


@dataclass(frozen=True)
class Keep:
    """It is what it should be."""


def decide_role(name: str, role: str, *, wants_learner: bool) -> Promote | Keep | Refuse:
    """What is done about the role of one that takes part: voter, learner or unknown."""
    if not wants_learner:
        return Keep() if role == VOTER else Promote()
    if role == VOTER:
        return Refuse(
            f"{name} votes, and etcd makes no learner of a voter; nothing was changed. Take"
            " etcd_learner off its host. A learner on this machine: delete its line, run `pulumi"
            " up`, then add it with a new etcd_seq"
        )
    return Keep()


def abandoned_learners(members: Sequence[Member], peers: str) -> list[Member]:
    """Learners that never started and that nobody declares: a join that was given up.

    etcd takes no other learner while one is there. Nobody where the peers are not named.
    """
    urls = {peer.url for peer in parse_peers(peers)}
    return [
        member
        for member in members
        if urls and member.is_learner and not member.started and not urls & set(member.peer_urls)
    ]


def initial_cluster(members: Sequence[Member], name: str, own_urls: Sequence[str]) -> str:
    """The list of a member that joins, made from the live one, with which etcd compares it."""
    pairs = []
    for member in members:
        is_own = bool(set(own_urls) & set(member.peer_urls))
        label = name if is_own else member.name or f"unstarted-{member.id}"
        pairs += [f"{label}={url}" for url in member.peer_urls]
    return ",".join(pairs)


def objection_to_removal(name: str, voters: int, healthy: int, absent: Sequence[str]) -> str:
    """Why a member cannot be removed to join again; empty when it can.

    Removing a member is a decision of all voters as they are counted now, and what is left must be
    able to go on without it. `healthy` counts voters besides it.
    """
    if voters < 1:
        return "the member list of the others cannot be read; nothing was changed"
    if may_remove(voters, healthy):
        return ""
    if voters <= 2:  # noqa: PLR2004
        cure = f"A cluster of {voters} can spare nobody: restore a snapshot into a new cluster"
    else:
        cure = (
            "Bring the others back and run `pulumi up` again; if none will come back, restore a"
            " snapshot into a new cluster"
        )
    who = f" (not healthy: {' '.join(absent)})" if absent else ""
    return (
        f"{name} is not removed to join again: of {voters} voters {quorum(voters)} must be healthy"
        f" without it, and {healthy} are{who}. {cure}. Nothing was changed"
    )


def writes_only_here(
    own_cluster: str, their_cluster: str, highest: int, theirs: int, crash: str
) -> str:
    """Why data that are set aside may hold writes that the others lack; empty when they do not.

    `highest` and `theirs` are entries of raft; clusters are IDs, empty where unknown.
    """
    if own_cluster and own_cluster != their_cluster:
        return f"they are those of another cluster ({own_cluster}; the others are {their_cluster})"
    if highest > theirs:
        return f"they reach entry {highest}, the others only {theirs}"
    if "conflict with committed" in crash:
        return "they have other entries than the others, who may have been set back"
    return ""
