"""Whose monitor a machine is, and what a run may do there: decided from what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.agent.decide.verdict import LeaveAlone, Proceed, Refuse

if TYPE_CHECKING:
    from etcd_component.agent.decide.verdict import Verdict


@dataclass(frozen=True)
class Holding:
    """What is on the machine."""

    there: bool
    """Whether it has anything of a monitor."""
    owner: str
    """The stack that claimed it; empty where none did."""
    data: str
    """The data directory; empty where it is not known."""


def is_ours(owner: str, holding: Holding) -> bool:
    """Whether the machine is claimed by the stack that a run names."""
    return bool(holding.owner) and holding.owner == owner


def is_another_s(owner: str, holding: Holding) -> bool:
    """Whether another stack has claimed it. Who names none means what is there."""
    return bool(owner) and bool(holding.owner) and holding.owner != owner


def decide(
    holding: Holding, *, owner: str, removes: bool, remove_data: bool, confirmed: bool
) -> Verdict:
    """What a run for the monitor of stack `owner` may do; a person names none."""
    if not owner:
        if removes and holding.there and not confirmed:
            return Refuse(_what_would_go(holding, remove_data=remove_data))
        return Proceed()
    if is_ours(owner, holding):
        return Proceed()
    whose = "no claim of this stack"
    if is_another_s(owner, holding):
        whose = "the monitor of another stack"
    if not removes:
        return Refuse(
            f"this machine holds {whose}; no changes were made. Run `pulumi up` with the stack that"
            " put it there; where its files were lost, take etcd_monitor out, run `pulumi up`, and"
            " put it in again"
        )
    if not holding.there:
        # One that was cut off may have left the program itself.
        return Proceed()
    return LeaveAlone(
        f"the monitor of this stack is not on this machine, which holds {whose}. Nothing was"
        " removed"
    )


def _what_would_go(holding: Holding, *, remove_data: bool) -> str:
    more = " --remove-data" if remove_data else ""
    fate = ", which would be DELETED" if remove_data else ""
    return (
        f"this machine is the monitor of stack {holding.owner or 'unknown'}, and has what it"
        f" collected in {holding.data or 'no directory'}{fate}. Nothing was removed. To confirm:"
        f" etcd-monitor uninstall{more} --yes"
    )
