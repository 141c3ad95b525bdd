"""Whether a member may be away for a moment: all other voters are healthy, as one cluster.

A learner counts for no quorum, so it holds up nothing: this restart may be what mends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.etcd_api import quorum
from etcd_component.etcd_api.members import NOSPACE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.etcd_api.members import Alarm, Member, MemberStatus

LAG = 1000
"""So many entries behind is too far."""


@dataclass(frozen=True)
class Seen:
    """A member besides the one that is to restart, as it was asked."""

    member: Member
    status: MemberStatus | None = None
    error: str = ""
    """Why there is no status."""
    token_refused: bool = False
    """Whether it answered, and did not take the login."""
    ready: bool = False
    """Its own opinion; of a learner, apart from its being one."""


@dataclass(frozen=True)
class View:
    """What was seen at once. What could not be seen is None, and `error` says why."""

    name: str
    """Of the member that is to restart."""
    peer_urls: Sequence[str]
    """By which the cluster may know it."""
    endpoint: str
    """The client URL that was asked, usually its own."""
    members: tuple[Member, ...] | None = None
    alarms: tuple[Alarm, ...] | None = None
    reference: MemberStatus | None = None
    """The status of the endpoint."""
    others: tuple[Seen, ...] = ()
    quota: float | None = None
    """Of the running process, in bytes; looked at where an alarm is raised."""
    wanted_quota: int = 0
    """Of the configuration."""
    error: str = ""


@dataclass(frozen=True)
class Pass:
    """It may restart."""

    own: Member
    leads: bool
    """Whether it is the leader, and must hand over first."""
    heir: Member | None
    """Who takes over; None in a cluster of one voter."""
    abandoned: tuple[Member, ...] = ()
    """Learners that never started."""
    ailing: tuple[str, ...] = ()
    """What is wrong with other learners."""


@dataclass(frozen=True)
class Wait:
    """It may not restart now."""

    reason: str


def decide(view: View) -> Pass | Wait:
    """Whether the member may restart.

    All declared members have joined before the first rollout begins, so a learner that never
    started belongs to a join that failed and was given up. Nobody else would remove it, and etcd
    takes no other learner while it is there.
    """
    fault = _blindness(view)
    if fault:
        return Wait(fault)
    assert view.members is not None
    assert view.reference is not None
    ailing, abandoned, voters, faults = [], [], [], []
    own = next((one for one in view.members if set(one.peer_urls) & set(view.peer_urls)), None)
    seen = {one.member.id: one for one in view.others}
    for member in view.members:
        if member is own:
            continue
        fault = _fault(seen.get(member.id, Seen(member, error="nothing")), view.reference)
        if member.is_voter:
            voters.append(member)
            faults += [fault] if fault else []
        elif not member.started:
            abandoned.append(member)
        elif fault:
            ailing.append(fault)
    if not quorum.may_restart(len(voters) + 1, len(voters) - len(faults)):
        return Wait(faults[0])
    if own is None:
        return Wait(f"{view.endpoint} does not list {view.name} as a member")
    leads = view.reference.leader == own.id
    return Pass(own, leads, heir_among(voters), tuple(abandoned), tuple(ailing))


def heir_among(voters: Sequence[Member]) -> Member | None:
    """The one with the lowest number; None of none.

    Members are restarted by their numbers, so it has been restarted and need not hand over again.
    """
    return min(voters, key=_number, default=None)


def _number(member: Member) -> tuple[bool, int]:
    found = re.search(r"-(\d+)$", member.name)
    return (False, int(found[1])) if found else (True, 0)


def _blindness(view: View) -> str:
    """What keeps the members from being looked at, or makes that unnecessary."""
    if view.members is None:
        return f"{view.endpoint} gives no member list: {view.error}"
    if view.alarms is None:
        return f"the alarms cannot be read: {view.error}"
    for alarm in view.alarms:
        # A larger quota is a cure that a restart brings, and the alarm is raised until somebody
        # disarms it.
        if alarm.kind == NOSPACE and not _raises_quota(view):
            return (
                "the alarm NOSPACE is raised: compact and defragment, then `etcdctl alarm disarm`;"
                " or raise etcd_quota"
            )
        if alarm.kind != NOSPACE:
            return f"the alarm {alarm.kind} is raised: `etcdctl alarm list` says where"
    if view.reference is None:
        return f"{view.endpoint} gives no status: {view.error}"
    return "" if view.reference.leader else "there is no leader"


def _raises_quota(view: View) -> bool:
    return view.quota is not None and 0 < view.quota < view.wanted_quota


def _fault(seen: Seen, reference: MemberStatus) -> str:
    """What is wrong with another member; empty where it is healthy."""
    member, status = seen.member, seen.status
    if not member.started:
        return f"member {member.id} at {member.peer_url} never started"
    if status is None:
        # A learner serves no login, so it cannot be asked while other tokens are rolled out.
        if not member.is_voter and seen.token_refused and seen.ready:
            return ""
        return f"{member.name} at {member.client_url} does not answer: {seen.error}"
    fault = _difference(status, reference)
    if fault:
        return f"{member.name} {fault}"
    if member.is_voter and not seen.ready:
        return f"{member.name} is not ready"
    return ""


def _difference(status: MemberStatus, reference: MemberStatus) -> str:
    if status.cluster_id != reference.cluster_id:
        return "is in another cluster"
    if status.leader != reference.leader:
        return "follows another leader"
    # That alarm has been looked at before.
    errors = [error for error in status.errors if not _is_nospace(error)]
    if errors:
        return f"reports: {errors[0]}"
    lag = reference.applied - status.applied
    return f"is {lag} entries behind" if lag >= LAG else ""


def _is_nospace(error: str) -> bool:
    return re.fullmatch(r"memberID:\d* alarm:NOSPACE *", error) is not None


# ---- behind the restart


def unseen(streams: Sequence[tuple[str, int | None]]) -> str:
    """Why the others do not see a restarted member; empty where they do.

    For each other voter its name, and how many streams it holds to the member; None where it does
    not say. One that is down is the gate's business, and not this member's fault; it is ready, so
    a quorum has it in sight.
    """
    for name, count in streams:
        if count == 0:
            return f"{name} has no connection to it"
    if streams and all(count is None for _, count in streams):
        return "no other voter says whether it has a connection to it"
    return ""
