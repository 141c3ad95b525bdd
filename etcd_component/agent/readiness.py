"""Starting a member, waiting until it takes part, and what is noted then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from etcd_component.agent import composition, crash, files, peers, systemd, wal
from etcd_component.agent.client import FORMED
from etcd_component.agent.output import complain, doing, refuse, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etcd_component.agent.client import Client
    from etcd_component.agent.frame import Run
    from etcd_component.agent.instance import Instance, Peer
    from etcd_component.agent.systemd import UnitState

PAUSE = 0.05
"""Seconds between two looks."""
_SILENCE = 5.0
"""Seconds after which it is said who is waited for."""
_FAILURES = 3
"""So many failed starts are no accident any more."""

STOPPED = "it stopped by itself"
FAILED = "it failed"
FLAPS = "it fails and is started again and again"


class Attendant(Protocol):
    """Looks after a member that joins, while it starts."""

    def attend(self, waited: float) -> None:
        """Called again and again while etcd's process runs and is not ready; seconds since then."""

    @property
    def has_reported(self) -> bool:
        """Whether it said how far the member is."""


def await_member(
    run: Run,
    instance: Instance,
    client: Client,
    seconds: float,
    newcomer: Attendant | None = None,
) -> None:
    """Wait until the member takes part. Raises Refusal after so many seconds, or if it cannot run.

    `newcomer` looks after one that never had data.
    """
    doing("waiting for etcd to be ready")
    unit = instance.paths.unit
    begun, announced = time.monotonic(), False
    failures = systemd.show(unit).restarts
    while True:
        state, waited = systemd.show(unit), time.monotonic() - begun
        # Its start goes on as a job until it is ready.
        if newcomer is not None and state.is_starting:
            newcomer.attend(waited)
        if state.is_active and not state.has_job and client.takes_part(instance.client_url):
            return
        reason = why_given_up(state, failures, _FAILURES)
        if not reason and waited >= seconds:
            reason = f"it has been waiting for a quorum for {seconds:g} s"
        if reason:
            _break_off(run, instance, client, reason)
        has_reported = newcomer is not None and newcomer.has_reported
        if waited >= _SILENCE and not announced and not has_reported:
            announced = True
            _say_who_is_missing(instance, client, run.options.peers)
        time.sleep(PAUSE)


def takes_part_within(instance: Instance, client: Client, seconds: float) -> str:
    """Why a started member does not take part within so many seconds; empty when it does."""
    doing(f"looking whether {instance.name} can run with its data")
    unit, end = instance.paths.unit, time.monotonic() + seconds
    failures = systemd.show(unit).restarts
    while True:
        state = systemd.show(unit)
        if state.is_active and not state.has_job and client.takes_part(instance.client_url):
            return ""
        reason = why_given_up(state, failures, _FAILURES - 1)
        if not reason and time.monotonic() >= end:
            reason = f"it was not ready within {seconds:g} s"
        if reason:
            return reason
        time.sleep(PAUSE)


def why_given_up(state: UnitState, failures: int, limit: int) -> str:
    """Why there is nothing to wait for; empty while there is.

    `failures` are the restarts there were before, `limit` how many more are too many.
    """
    # A queued job has not begun to change the unit's state yet.
    if not state.has_job and state.active == "inactive":
        return STOPPED
    if not state.has_job and state.active == "failed":
        return FAILED
    return FLAPS if state.restarts >= failures + limit else ""


def describe_peers(client: Client, known: Iterable[Peer]) -> list[str]:
    """A line for each peer: who it is, where, and what it says."""
    return [str(report) for report in peers.observe(client, known).all]


def _say_who_is_missing(instance: Instance, client: Client, named: str) -> None:
    reports = peers.observe(client, instance.known_peers(named)).all
    missing = [str(report) for report in reports if report.state.kind != FORMED]
    doing("waiting for etcd to be ready")
    if missing:
        say(f"{instance.name}: waiting for the others; these are not there:")
        say("\n".join(missing))


def _break_off(run: Run, instance: Instance, client: Client, reason: str) -> None:
    unit = instance.paths.unit
    found = crash.look(unit, systemd.show(unit))
    if found:
        complain(f"{instance.name} {found}")
    for line in describe_peers(client, instance.known_peers(run.options.peers)):
        complain(line)
    complain(systemd.journal_tail(unit))
    if peers.is_unknown_to_peers(client, instance, run.options.peers):
        refuse(
            f"{instance.name} was removed from its cluster, which does not know it any more; so it"
            " cannot come back with its data. Raise etcd_reseat on this host to have it join again;"
            " a copy of its data is kept"
        )
    refuse(
        f"{instance.name} does not become ready: {reason}. Mend what the lines above show and run"
        " `pulumi up` again"
    )


# ---- starting


def start(instance: Instance) -> None:
    """Have it start, now and at boot, unless it runs or is about to.

    `systemctl start` would wait for the first of three founders, which cannot be ready alone.
    """
    unit = instance.paths.unit
    systemd.enable(unit)
    state = systemd.known(unit)
    # One that is between two attempts starts now.
    if not state.is_active and not state.is_starting:
        systemd.restart_without_waiting(unit)


def start_member(
    run: Run,
    instance: Instance,
    client: Client,
    seconds: float,
    newcomer: Attendant | None = None,
) -> None:
    """Start it, and note what it is as soon as it takes part. Raises Refusal."""
    start(instance)
    await_member(run, instance, client, seconds, newcomer)
    seal(instance, client)


def restart_member(run: Run, instance: Instance, client: Client) -> None:
    """Restart it, and wait until it takes part again. Raises Refusal."""
    doing("restarting etcd")
    systemd.enable(instance.paths.unit)
    systemd.restart_without_waiting(instance.paths.unit)
    await_member(run, instance, client, run.waits.start)
    seal(instance, client)


# ---- what is noted


def seal(instance: Instance, client: Client) -> None:
    """Note that the member has taken part: its configuration no longer tells etcd how to begin.

    A machine that boots without its data disk would bootstrap its cluster again, or come back as a
    member that has forgotten its votes: both can cost the cluster data. With nobody else in the
    list etcd does neither.
    """
    wal.note_identity(instance.paths, instance.data)
    remember_peers(instance, client)
    files.remove(instance.paths.bootstrapping)
    alone = f"{instance.name}={instance.new_peer_url}"
    written = files.read_text(instance.paths.membership)
    if not instance.has_joined or files.value_in(written, "initial-cluster") != alone:
        composition.write_joined(instance)


def remember_peers(instance: Instance, client: Client) -> None:
    """Note the other members, by which this one finds its cluster when it has nothing else."""
    members = client.members_or_none(instance.peer_url, 10)
    # A list that cannot be read would mean that this is the last member.
    if members is None:
        return
    text = "".join(
        f"{member.label}={member.peer_url}\n"
        for member in members
        if not set(member.peer_urls) & set(instance.peer_urls)
    )
    path = instance.paths.known_peers
    if text != files.read_text(path) or not path.exists():
        files.atomic_write(path, text)
