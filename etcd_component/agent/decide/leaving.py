"""Decisions about members that go: one that leaves, and one whose machine is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.agent.decide.verdict import Refuse
from etcd_component.etcd_api import quorum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.etcd_api.members import Member


@dataclass(frozen=True)
class Remove:
    """The cluster can do without it."""


@dataclass(frozen=True)
class Ask:
    """The others decide: their client URLs."""

    urls: tuple[str, ...]


@dataclass(frozen=True)
class Stop:
    """It never joined, so nobody counts on it."""


@dataclass(frozen=True)
class Surroundings:
    """What a member that leaves knows of the others."""

    name: str
    voters: tuple[str, ...]
    """Client URLs of the other voters that have started, as somebody who answered lists them."""
    learners_only: bool
    """Whether the member itself answers, and lists others, all of them learners."""
    peers: tuple[str, ...]
    """What each of the other members that it knew when it last took part says now, as lines."""
    has_joined: bool
    answers: bool
    """Whether its own peer port has just listed the members."""
    peers_noted: bool
    """Whether the file is there in which the other members are noted."""
    peers_file: str
    unit: str


def how_to_leave(seen: Surroundings) -> Ask | Stop | Refuse:
    """Whom a member that leaves has to ask."""
    if seen.voters:
        return Ask(seen.voters)
    if seen.learners_only:
        return Refuse(f"{seen.name} cannot leave: it is the only voter. Nothing was removed")
    if seen.peers:
        lines = "\n".join(seen.peers)
        return Refuse(
            f"{seen.name} cannot leave: no other member answers, and they would keep counting on"
            f" it. Nothing was removed:\n{lines}\n  Bring them back and run it again. A cluster"
            " that is to end as a whole is taken down with `pulumi destroy`"
        )
    if seen.has_joined and not seen.answers and not seen.peers_noted:
        return Refuse(
            f"{seen.name} cannot leave: it does not answer, and {seen.peers_file}, where the other"
            " members are noted, is missing, so nobody can be asked. Nothing was removed. Have it"
            f" run (`systemctl restart {seen.unit}`) and run this again"
        )
    if seen.has_joined:
        return Refuse(
            f"{seen.name} cannot leave: it is the only member, and the cluster ends with it."
            " Nothing was removed. Leave it out of --target and --replace; to take the cluster"
            " down as a whole, run `pulumi destroy`"
        )
    return Stop()


@dataclass(frozen=True)
class Observed:
    """A member, and whether it takes part now."""

    member: Member
    healthy: bool


def leave(own: Member, others: Sequence[Observed]) -> Remove | Refuse:
    """Whether a member may be removed at its own wish. The reason of a refusal may pass."""
    if own.is_learner:
        return Remove()
    stay = [one for one in others if one.member.is_voter]
    healthy = sum(one.healthy for one in stay)
    if not stay:
        return Refuse("it is the only voter")
    if quorum.may_leave(len(stay) + 1, healthy):
        return Remove()
    ill = [_described(one.member) for one in stay if not one.healthy]
    return Refuse(
        f"of the {len(stay)} voters that stay, {quorum.quorum(len(stay))} must be well, and"
        f" {healthy} are (not well: {' '.join(ill)})"
    )


def remove_lost(lost: Member, others: Sequence[Observed]) -> Remove | Refuse:
    """Whether a member whose machine is lost may be removed.

    It is a decision of the voters as they are counted now, the lost one included.
    """
    voters = [one for one in others if one.member.is_voter]
    healthy = sum(one.healthy for one in voters)
    count = len(voters) + (1 if lost.is_voter else 0)
    if quorum.may_remove(count, healthy):
        return Remove()
    return Refuse(f"of {count} voters {quorum.quorum(count)} must be well, and {healthy} are")


def _described(member: Member) -> str:
    return member.name if member.started else f"{member.id} (never started)"
