"""A learner on its way: the data it still lacks, and its promotion to a voter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from etcd_component.agent import files, membership, systemd
from etcd_component.agent.output import doing, refuse, say
from etcd_component.agent.waits import attempts
from etcd_component.etcd_api.errors import ApiError, NotALearner

if TYPE_CHECKING:
    from pathlib import Path

    from etcd_component.agent.client import Client
    from etcd_component.agent.instance import Instance
    from etcd_component.agent.session import Session

_MIB = 1 << 20
_INTERVAL = 3.0
"""Seconds between two lines of progress."""
_OVERLOOKED = 0.6
"""Seconds after its snapshot has come, in which a newcomer is ready or waits in vain."""
_READY = 0.9
"""The share of the leader's log with which etcd takes a learner for one that has caught up."""
_PAUSE = 0.05
_APPLIED = "etcd_server_proposals_applied_total"


class Newcomer:
    """Says how much of the cluster's data has come, and wakes a member that waits in vain.

    One that gets its first data as a snapshot has announced itself before, and never hears the
    answer: it asks again after seven seconds. In a cluster with more than 5000 entries in which
    nobody writes it goes on for ever, because it takes what it has for being far behind. Started
    again, it is ready at once.
    """

    def __init__(self, instance: Instance, session: Session | None) -> None:
        """`session` is None for one that was interrupted, and comes back: it has no login."""
        self._instance = instance
        self._session = session
        self._next_report = _INTERVAL
        self._snapshot_seen = 0.0
        self._is_woken = False
        self.has_reported = False

    def attend(self, waited: float) -> None:
        """Called again and again while it starts."""
        if self._session is not None and waited >= self._next_report:
            self._next_report = waited + _INTERVAL
            self._report(self._session)
        if self._is_woken or not any((self._instance.data / "member" / "snap").glob("*.snap")):
            return
        now = time.monotonic()
        self._snapshot_seen = self._snapshot_seen or now
        if now - self._snapshot_seen >= _OVERLOOKED:
            self._is_woken = True
            systemd.restart_without_waiting(self._instance.paths.unit)

    def _report(self, session: Session) -> None:
        self.has_reported = True
        try:
            size = session.status().size
        except ApiError:
            size = 0
        here = sum(_size(path) for path in files.walk(self._instance.data / "member" / "snap"))
        say(
            f"{self._instance.name}: has {here // _MIB} of {size // _MIB} MiB of the cluster's data"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def promote(instance: Instance, session: Session, client: Client) -> None:
    """Have a learner become a voter when it has caught up; only the leader can do it.

    The session must have been opened at a voter. Raises Refusal.
    """
    members = session.members()
    own = instance.own_among(members)
    if own is None:
        refuse(f"{session.endpoint} does not list {instance.name} as a member")
    session.go_to_leader(members)
    doing(f"waiting to be promoted to a voter by {session.endpoint}")
    _await_entries(instance, session, client)
    try:
        membership.change(session, instance, session.waits.promote, "promote", {"ID": str(own.id)})
    except NotALearner:
        pass
    except ApiError as error:
        refuse(f"{instance.name} joined as a learner, but is not promoted: {error}")
    _await_own_view(instance, session, client)


def _await_own_view(instance: Instance, session: Session, client: Client) -> None:
    """Until the member itself knows that it votes, which the leader knew a moment before."""
    for more in attempts(session.waits.members, _PAUSE):
        own = instance.own_among(client.members_or_none(instance.peer_url) or ())
        if not more or (own is not None and own.is_voter):
            return


def _await_entries(instance: Instance, session: Session, client: Client) -> None:
    """Until it has nearly all that the leader has; where that cannot be seen, etcd says it."""
    shown = time.monotonic()
    for more in attempts(session.waits.promote):
        behind = _entries_behind(instance, session, client)
        if not behind or not more:
            return
        if time.monotonic() - shown >= _INTERVAL:
            shown = time.monotonic()
            say(f"{instance.name}: {behind} entries behind the leader")


def _entries_behind(instance: Instance, session: Session, client: Client) -> int:
    """0 where the learner has caught up, or nobody says how far it is."""
    applied = client.metric(instance.client_url, _APPLIED)
    try:
        index = session.status().index
    except ApiError:
        return 0
    return entries_behind(index, applied)


def entries_behind(index: int, applied: float | None) -> int:
    """How many entries a learner lacks; 0 where it is near enough to be promoted, or unknown."""
    if applied is None or applied >= index * _READY:
        return 0
    return int(index - applied)
