"""Whom a machine belongs to, and so what a run may do there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from etcd_component.agent.decide.verdict import LeaveAlone, Proceed, Refuse, Verdict
from etcd_component.agent.finding import Finding


@dataclass(frozen=True)
class Held:
    """What a machine holds of a cluster. Where the claim was lost, the configuration has a name."""

    cluster: str
    name: str = ""
    """Of the instance; empty for none."""
    owner: str = ""
    """The stack that claimed it; empty for none."""

    def is_of_another(self, owner: str) -> bool:
        """Whether it was put there by another stack than this one."""
        return bool(owner and self.owner and self.owner != owner)

    def described(self, owner: str) -> str:
        """As a stack sees it: `holds ...`."""
        if not self.name:
            return f"holds no instance of cluster {self.cluster}"
        if not self.owner:
            return f"holds {self.name} of cluster {self.cluster}, which no stack has claimed"
        if self.is_of_another(owner):
            return f"holds {self.name} of another stack's cluster {self.cluster}"
        return f"holds {self.name} of cluster {self.cluster}"


# ---- what a run means, held against what is there


def authorization(
    held: Held, instance: str, owner: str, *, removes: bool, may_finish: bool = False
) -> Verdict:
    """Whether a run for this instance may touch the machine.

    Every command means an instance, never only a place. `instance` and `owner` are empty where they
    are not said; a person says no owner. `removes`: whether the run takes something away.
    `may_finish`: whether it uninstalls, and no cluster has anything here; then what serves all
    clusters may be left of one that was cut off.
    """
    if not owner:
        matches = instance in {"", held.name}
        return Proceed() if matches else Refuse(_refusal(held, instance, owner))
    if owner == held.owner and (instance or held.name) == held.name:
        return Proceed()
    if not removes:
        return Refuse(_refusal(held, instance, owner))
    if may_finish and not held.name:
        return Proceed()
    return LeaveAlone(
        f"{instance or held.cluster} is not on this machine, which {held.described(owner)}."
        " Nothing was removed"
    )


def _refusal(held: Held, instance: str, owner: str) -> str:
    if not held.name or not held.owner:
        cure = (
            f"raise etcd_repair on the host of {instance}, and `pulumi up` puts it there again"
            if instance
            else "raise etcd_repair on its host, and `pulumi up` puts it there again"
        )
    elif held.is_of_another(owner):
        cure = "use the stack that put it there, with its state"
    else:
        cure = "put etcd_seq of its host back, or correct the host's address"
    return (
        f"this machine {held.described(owner)}, not {instance or 'one of this stack'}; no changes"
        f" were made. Cure: {cure}"
    )


# ---- may a machine be claimed, with what is there


@dataclass(frozen=True)
class Occupant:
    """What shows whether the instance of another name that is here still counts."""

    never_joined: bool = False
    """It was claimed here and put nothing there that anybody could miss."""
    removed: bool = False
    """Its cluster has removed it: all peers that answer say so, and one at least."""
    takes_part: bool = False


@dataclass(frozen=True)
class Free:
    """Nothing is here that another must give up; `former` is cleared away first."""

    former: str = ""
    """Empty; `claimed` for one that never joined, `removed` for one that its cluster removed."""


@dataclass(frozen=True)
class Ours:
    """The very instance is here already."""


@dataclass(frozen=True)
class Occupied:
    """Another instance has the machine."""

    finding: Finding


Holding = Union[Free, Ours, Occupied]


def holding(held: Held, name: str, owner: str, occupant: Occupant) -> Holding:
    """Who has this machine, for one that is to be `name` of a stack (empty: a person asks).

    Another stack's instance of the same name looks like ours in everything else; and another number
    on a machine that holds a member would end that member.
    """
    if not held.name:
        return Free()
    removal = (
        f"`etcd-node uninstall --cluster {held.cluster} --name {held.name} --remove-data --yes`"
    )
    if held.is_of_another(owner):
        return Occupied(
            Finding(
                f"{held.name} was put here by another stack (or its state was lost)",
                f"use that stack and its state; to end that instance for good, run {removal} here",
            )
        )
    if held.name == name:
        return Ours()
    if owner and occupant.never_joined:
        return Free("claimed")
    if owner and occupant.removed:
        return Free("removed")
    cure = (
        f"put etcd_seq of its host back; to replace {held.name}, delete its line, run `pulumi up`,"
        " and give this machine its new etcd_seq then"
    )
    if not occupant.takes_part:
        cure += (
            f". If the cluster has removed it for good, run {removal} here, and `pulumi up` again"
        )
    problem = f"this machine holds {held.name} of cluster {held.cluster}, not {name}"
    return Occupied(Finding(problem, cure))


@dataclass(frozen=True)
class Neighbour:
    """The claim of another cluster on this machine; it counts, also where nothing runs yet."""

    cluster: str
    name: str
    ports: tuple[int, ...]
    real_data: str
    """Empty where the claim does not say it: it says nothing of any directory then."""


def conflicts(other: Neighbour, ports: tuple[int, ...], data: str, real: str) -> list[Finding]:
    """What one instance cannot have because another has it."""
    who = f"{other.name} of cluster {other.cluster}"
    found = [
        Finding(
            f"the port {port} is claimed by {who} on this machine",
            "choose another port in the inventory",
        )
        for port in other.ports
        if port in ports
    ]
    ours, theirs = f"{real}/", f"{other.real_data}/"
    if other.real_data and (ours.startswith(theirs) or theirs.startswith(ours)):
        found.append(
            Finding(
                f"the data directory of {who} is {other.real_data}, which cannot be shared with"
                f" {data}",
                "choose another etcd_data",
            )
        )
    return found


# ---- whose data are in a directory


def foreign_data(mark: dict[str, str], *, has_member: bool, real: str, owner: str) -> Finding:
    """What is said of a data directory that is not empty, and not this instance's by its mark."""
    if not has_member or not mark.get("name"):
        return Finding(
            f"{real} is not empty and not this instance's",
            "look at what it holds; move it away, or choose another etcd_data",
        )
    whose = f"{mark['name']} of cluster {mark.get('cluster', '')}"
    if owner and mark.get("owner", "") != owner:
        whose += " of another stack (or one that was destroyed)"
    if mark.get("left"):
        whose += ", which has left it"
    return Finding(
        f"{real} holds the data of {whose}", "move them away, or choose another etcd_data"
    )
