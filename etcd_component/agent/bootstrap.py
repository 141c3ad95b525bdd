"""Forming a cluster with the other founders, which may begin long after this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import (
    composition,
    configuration,
    files,
    peers,
    readiness,
    software,
    start,
    wal,
)
from etcd_component.agent.decide.admission import LEARNER, VOTER
from etcd_component.agent.decide.joining import founders_to_come
from etcd_component.agent.instance import parse_peers
from etcd_component.agent.output import doing, say

if TYPE_CHECKING:
    from etcd_component.agent.client import Client
    from etcd_component.agent.frame import Run
    from etcd_component.agent.instance import Instance

NEW, EXISTING = "new", "existing"
_PAUSE = 1.0
"""Seconds between two looks at the other founders."""


class _OthersToComeError(Exception):
    """Founders have not begun, and nothing else is missing."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names


class _Founder:
    """Looks after a founder that waits for others, which a run after this one may have begin."""

    has_reported = False

    def __init__(self, run: Run, instance: Instance, client: Client, founders: str) -> None:
        self._instance = instance
        self._client = client
        self._founders = founders
        self._next_look = run.waits.founders

    def attend(self, waited: float) -> None:
        if not self._instance.holds_member:
            return
        # From now on its data may have votes in them: without them it never begins again.
        wal.note_identity(self._instance.paths, self._instance.data)
        if waited < self._next_look or not self._instance.paths.identity.exists():
            return
        self._next_look = waited + _PAUSE
        known = self._instance.known_peers(self._founders)
        missing = founders_to_come(self._founders, peers.observe(self._client, known))
        doing("waiting for etcd to be ready")
        if missing:
            raise _OthersToComeError(missing)


def bootstrap(run: Run, instance: Instance, client: Client) -> None:
    """Have this founder begin, and wait for others that have begun, too. Raises Refusal."""
    founders = run.options.founders
    start.permit_bootstrap(instance.paths)
    prepare(run, instance, NEW, founders)
    if await_others(run, instance, client, founders):
        others = [one for one in parse_peers(founders) if one.name != instance.name]
        say(
            f"{instance.name}: founded the cluster with {len(others)} other members; runs,"
            f" {role(instance, client)}"
        )


def resume(run: Run, instance: Instance, client: Client) -> bool:
    """The same for a founder that has begun before; whether it takes part now. Raises Refusal."""
    text = files.read_text(instance.paths.membership)
    return await_others(run, instance, client, files.value_in(text, "initial-cluster"))


def has_begun(instance: Instance) -> bool:
    """Whether it is a founder that has begun and has not been part of its cluster yet."""
    text = files.read_text(instance.paths.membership)
    return instance.holds_member and files.value_in(text, "initial-cluster-state") == NEW


def began_with_others(instance: Instance, founders: str) -> bool:
    """Whether it has begun as a founder with others than these, if any are named."""
    text = files.read_text(instance.paths.membership)
    recorded = set(files.value_in(text, "initial-cluster").split(","))
    return bool(founders) and has_begun(instance) and recorded != set(founders.split(","))


def was_joining(instance: Instance) -> bool:
    """Whether it was to join a formed cluster and has not been part of it yet."""
    text = files.read_text(instance.paths.membership)
    return not instance.has_joined and files.value_in(text, "initial-cluster-state") == EXISTING


def await_others(run: Run, instance: Instance, client: Client, founders: str) -> bool:
    """Start a founder; whether it takes part. Where others have not begun, it goes on running.

    The step that has them begin may be waiting for this one to be done.
    """
    attendant = _Founder(run, instance, client, founders)
    try:
        readiness.start_member(run, instance, client, run.waits.start, attendant)
    except _OthersToComeError as missing:
        files.remove(instance.paths.bootstrapping)
        verb = "have" if len(missing.names) > 1 else "has"
        say(
            f"{instance.name}: started as a founder; {', '.join(missing.names)} {verb} not begun"
            " yet"
        )
        return False
    return True


def prepare(run: Run, instance: Instance, state: str, initial_cluster: str) -> None:
    """Have etcd begin anew when it starts: `new` with the founders, or `existing` with all members.

    Raises Refusal.
    """
    paths = instance.paths
    files.remove(paths.identity)
    software.link_version(paths, run.options.version)
    composition.write_joining(paths, state, initial_cluster, run.options.token)
    files.remove(paths.left)
    configuration.own_data_directory(instance)


def role(instance: Instance, client: Client) -> str:
    """`voter` or `learner`, as its own peer port says; else `unknown`."""
    own = instance.own_among(client.members_or_none(instance.peer_url, 10) or ())
    if own is None:
        return "unknown"
    return VOTER if own.is_voter else LEARNER
