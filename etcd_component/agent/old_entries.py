"""Entries that 3.7 cannot read.

3.7 panics at entries that 3.5 wrote about its members, when it meets them behind its newest raft
snapshot; 3.6 writes those snapshots rarely. So 3.6 is made to write one first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from etcd_component.agent import files, readiness, software, version_change
from etcd_component.agent.decide.version import minor_of
from etcd_component.agent.gate import settle
from etcd_component.agent.output import doing, refuse, say
from etcd_component.agent.waits import attempts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from etcd_component.agent.client import Client
    from etcd_component.agent.frame import Run
    from etcd_component.agent.instance import Instance

_OLD = re.compile(rb"/0/(members/[0-9a-f]+/attributes|version)")
_LONGEST = 64
"""Bytes of such an entry's key at most: an ID has 16 digits."""
_CHUNK = 1 << 20
_PAUSE = 0.05


def must_be_left_behind(instance: Instance, mine: str, version: str) -> bool:
    """Whether a change between these versions meets such entries. Raises OSError."""
    return (
        minor_of(mine) == "3.6"
        and minor_of(version) == "3.7"
        and log_has_old_entries(instance.data / "member")
    )


def leave_behind(run: Run, instance: Instance, client: Client, mine: str) -> None:
    """Restart the member with the version that it has, and have it write a raft snapshot.

    It has handed over before. Raises Refusal.
    """
    paths = instance.paths
    version_change.keep_configuration(paths, mine)
    text = re.sub(r"(?m)^snapshot-count:.*\n?", "", version_change.kept_configuration(paths))
    files.atomic_write(paths.configuration, f"{text}snapshot-count: 1\n")
    software.link_version(paths, mine)
    readiness.restart_member(run, instance, client)
    doing("waiting for a raft snapshot")
    applied = client.metric(instance.client_url, "etcd_server_proposals_applied_total")
    if applied is None:
        refuse(
            f"{instance.name}: etcd {mine} does not say how many entries it has applied, without"
            " which 3.7 is not started here. Run `pulumi up` again"
        )
    member = instance.data / "member"
    if not any(
        newest_raft_snapshot(member) >= applied - 1
        for _ in attempts(run.waits.raft_snapshot, _PAUSE)
    ):
        refuse(
            f"{instance.name}: etcd {mine} writes no raft snapshot, without which 3.7 cannot start"
            " here"
        )
    settle(run, instance, client)
    say(f"{instance.name}: restarted with {mine} once more, to leave entries of etcd 3.5 behind")


def newest_raft_snapshot(member: Path) -> int:
    """The index of raft's newest snapshot in a member's directory; 0 without one."""
    return max((index for index, _ in _files(member / "snap", "snap")), default=0)


def log_has_old_entries(member: Path) -> bool:
    """Whether what is still read of a member's log has such entries. Raises OSError."""
    pieces = _files(member / "wal", "wal")
    first_read = read_from([first for first, _ in pieces], newest_raft_snapshot(member))
    return any(_has_old_entries(piece) for _, piece in pieces[first_read:])


def read_from(first_entries: Sequence[int], covered: int) -> int:
    """The number of the piece of a log at which reading begins, by the first entry of each.

    Pieces whose successor begins at or before the newest raft snapshot are not read any more.
    """
    return max(
        (number for number, first in enumerate(first_entries) if first <= covered), default=0
    )


def _files(directory: Path, kind: str) -> list[tuple[int, Path]]:
    """Those that etcd names so, in its order, each with the index in its name."""
    named = re.compile(rf"[0-9a-f]{{16}}-([0-9a-f]{{16}})\.{kind}")
    found = ((named.fullmatch(path.name), path) for path in sorted(directory.glob(f"*.{kind}")))
    return [(int(match[1], 16), path) for match, path in found if match]


def _has_old_entries(piece: Path) -> bool:
    """Read it, and do not map it: an etcd that starts cuts its log short, under whoever has it."""
    end = b""
    with piece.open("rb") as stream:
        while content := stream.read(_CHUNK):
            if _OLD.search(end + content):
                return True
            end = (end + content)[-_LONGEST:]
    return False
