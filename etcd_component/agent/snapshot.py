"""What is saved before an upgrade: the database, on the leader's node.

Every member looks who leads, and the leader takes the snapshot. What was seen is noted, since the
leadership may move on before the first restart: then another is taken.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from typing import TYPE_CHECKING

from etcd_component.agent import files, host, software
from etcd_component.agent.decide.snapshot import LeaderSeen, is_due, outdated
from etcd_component.agent.output import complain, doing, refuse, say
from etcd_component.agent.paths import SNAPSHOTS
from etcd_component.agent.process import run as run_program
from etcd_component.agent.session import Credentials, Session
from etcd_component.etcd_api.errors import ApiError, UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from etcd_component.agent.client import Client
    from etcd_component.agent.decide.version import Change
    from etcd_component.agent.frame import Run
    from etcd_component.agent.instance import Instance
    from etcd_component.agent.paths import Paths
    from etcd_component.etcd_api.members import MemberStatus

_MIB = 1024 * 1024
_SPARE_MIB = 64
_DIGEST = 32
"""The last bytes of a snapshot are the SHA-256 of all others."""
_REPORT_SECONDS = 5.0


def before_upgrade(run: Run, instance: Instance, client: Client, change: Change) -> None:
    """Note who leads, and take the snapshot where this member does. Raises Refusal.

    Does nothing for a downgrade, or for an upgrade that some member has begun.
    """
    if not change.is_upgrade or change.has_begun:
        return
    session = Session(client, Credentials(run.stdin), run.waits)
    session.choose([instance.client_url])
    status = _status(session)
    if status.leader == status.member_id:
        take(session, instance.paths, change, status)
    seen = LeaderSeen(change.version, status.leader, status.term, time.time())
    instance.paths.leader_seen.parent.mkdir(parents=True, exist_ok=True)
    files.atomic_write(instance.paths.leader_seen, f"{seen}\n", 0o600)


def ensure(session: Session, instance: Instance, change: Change) -> bool:
    """At the first restart: take a snapshot where one is due; whether it was. Raises Refusal."""
    status = _status(session)
    now = LeaderSeen(change.version, status.leader, status.term, time.time())
    noted = LeaderSeen.parse(files.read_text(instance.paths.leader_seen))
    if not is_due(noted, now):
        return False
    near = session.endpoint
    session.go_to_leader(session.members())
    try:
        take(session, instance.paths, change, _status(session))
    finally:
        session.endpoint = near
    return True


def take(session: Session, paths: Paths, change: Change, status: MemberStatus) -> None:
    """Have the endpoint's snapshot here, whole and readable, or nothing. Raises Refusal."""
    doing("taking a snapshot before the upgrade")
    for directory in (SNAPSHOTS, paths.snapshots):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A killed run may have left the half of one.
    files.remove(*paths.snapshots.glob("before-*.part"))
    needed = status.size // _MIB + _SPARE_MIB
    free = host.free_mib(paths.snapshots)
    if free < needed:
        refuse(
            f"a snapshot is taken before an upgrade, and needs {needed} MiB in {paths.snapshots},"
            f" where {free} are free; nothing was changed. Free that much"
        )
    file = paths.snapshots / f"before-{change.version}-from-{change.mine}.db"
    part = file.with_name(f"{file.name}.part")
    try:
        _receive(session, change.name, part, status.size)
        # It is what an upgrade is turned back with, so it is read before anything is changed.
        contents = _contents(paths, part)
        part.replace(file)
    except BaseException:
        files.remove(part)
        raise
    taken = [(one.stat().st_mtime, one.name) for one in paths.snapshots.glob("before-*.db")]
    files.remove(*(paths.snapshots / name for name in outdated(taken)))
    say(f"{change.name}: snapshot before the upgrade in {file} ({contents})")


def _status(session: Session) -> MemberStatus:
    try:
        return session.status()
    except ApiError as error:
        refuse(f"{session.endpoint} gives no status: {error}")


def _receive(session: Session, name: str, part: Path, size: int) -> None:
    """Etcdctl would want the password in its environment or arguments, so it is the gateway's."""
    url = session.endpoint
    stall = session.waits.snapshot_stall
    records = session.client.connection(url).stream(
        "maintenance/snapshot", {}, session.token_at(url), stall
    )
    try:
        whole = write_checked(records, part, Progress(name, size))
        reason = "" if whole else "its checksum is not that of what came"
    except ApiError as error:
        reason = str(error)
    if reason:
        refuse(
            "the snapshot that is taken before an upgrade did not come whole from"
            f" {url}: {reason}. Nothing was changed; it is safe to run this again"
        )


class Progress:
    """Says now and then how much has come."""

    def __init__(self, name: str, size: int) -> None:
        """`size` in bytes is what is expected."""
        self._name = name
        self._size = size
        self._next = time.monotonic() + _REPORT_SECONDS

    def report(self, received: int) -> None:
        """So many bytes are here."""
        if time.monotonic() >= self._next:
            self._next += _REPORT_SECONDS
            say(
                f"{self._name}: {received // _MIB} of {self._size // _MIB} MiB of the snapshot are"
                " here"
            )


def write_checked(records: Iterable[dict[str, object]], part: Path, progress: Progress) -> bool:
    """Write what comes into a file of root's alone; whether its last bytes are the others' SHA-256.

    Raises ApiError for what is no record of a snapshot.
    """
    digest, tail, received = hashlib.sha256(), b"", 0
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        for record in records:
            try:
                piece = base64.b64decode(str(record.get("blob") or ""), validate=True)
            except ValueError:
                raise UnexpectedAnswer("a piece of it cannot be read") from None
            stream.write(piece)
            received += len(piece)
            held = tail + piece
            digest.update(held[:-_DIGEST])
            tail = held[-_DIGEST:]
            progress.report(received)
        stream.flush()
        os.fsync(stream.fileno())
    return received > _DIGEST and digest.digest() == tail


def _contents(paths: Paths, part: Path) -> str:
    """What is in it. Raises Refusal where etcd's own utility cannot read it."""
    utility = paths.current / "bin" / "etcdutl"
    if not software.is_program(utility):
        return f"{part.stat().st_size} bytes"
    done = run_program(str(utility), "snapshot", "status", str(part), "-w", "json")
    try:
        found = json.loads(done.out) if done.ok else {}
        return f"revision {found['revision']}, {found['totalKey']} keys, {found['totalSize']} bytes"
    except (ValueError, KeyError, TypeError):
        complain(done.err.strip())
        refuse(
            f"etcdutl cannot read the snapshot that is taken before an upgrade ({part}); no member"
            " was touched. Look at what it says above, and run `pulumi up` again"
        )
