"""How long a run waits for what others do: one object, whose values tests shorten."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "ETCD_NODE_WAITS"
"""An environment variable with a JSON object of other values, by name. sudo and SSH drop it."""


@dataclass(frozen=True)
class Waits:
    """In seconds."""

    start: float = 90
    """Until a member that was started takes part."""
    founders: float = 3
    """Until the other founders have begun, before this one leaves them to it."""
    peers: float = 60
    """Until a peer of a formed cluster answers one that joins."""
    join: float = 480
    """Until a newcomer has the cluster's data."""
    promote: float = 480
    """Until a learner has caught up."""
    add: float = 300
    """Until the cluster takes a learner."""
    remove: float = 120
    """Until the cluster removes a member."""
    abandoned: float = 60
    """Until it removes a learner that never started, before another is added."""
    announce: float = 30
    """Until the cluster takes another peer URL."""
    distrust: float = 12
    """How long etcd may call a cluster unhealthy after a change, before somebody is looked for."""
    login: float = 15
    """Until some member lets root in."""
    access: float = 60
    """Until a change of access succeeds."""
    members: float = 15
    """Until a voter gives the member list."""
    gate: float = 60
    """Until the others are healthy enough for a restart."""
    settle: float = 60
    """Until the others see a restarted member."""
    leave: float = 15
    """Until those that stay are healthy, and until a leader has handed over."""
    can_run: float = 60
    """Until a member whose data are in doubt has shown that it can run with them."""
    survey: float = 10
    """Until all members say which version they run."""
    cluster_version: float = 30
    """Until the cluster's version follows its members'."""
    downgrade: float = 60
    """Until all data are written as the older version does."""
    raft_snapshot: float = 60
    """Until etcd has written a snapshot of its log."""
    snapshot_stall: float = 60
    """Between two pieces of a snapshot of the database."""
    download: float = 540
    """For an archive as a whole."""
    download_stall: float = 30
    """In which at least a piece of an archive must come."""
    limit: float = 0
    """For a run as a whole, in place of its command's own limit; 0: that one."""
    download_slow: float = 50
    """Over which an archive must come faster than a floor."""
    download_retry: float = 1
    """Before a mirror that fails is tried again; doubled each time."""
    scrape: float = 60
    """Until a monitor has tried all that it is to scrape."""
    lock: float = 610
    """Until another run on this machine is done."""

    @classmethod
    def configured(cls) -> Waits:
        """The usual ones, with what the environment changes. Raises ValueError for nonsense."""
        changes = json.loads(os.environ.get(VARIABLE) or "{}")
        known = {field.name for field in fields(cls)}
        if not isinstance(changes, dict) or not set(changes) <= known:
            raise ValueError(f"{VARIABLE} is not an object of these: {', '.join(sorted(known))}")
        return replace(cls(), **{name: float(value) for name, value in changes.items()})


def attempts(seconds: float, pause: float = 0.3) -> Iterator[bool]:
    """True for each attempt but the last one in so many seconds, and False for that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield True
        time.sleep(pause)
    yield False
