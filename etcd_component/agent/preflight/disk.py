"""The disk of the data: room, speed, and whether it keeps what is written."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import files, host
from etcd_component.agent.finding import Finding, Remark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etcd_component.agent.preflight.subject import Subject

_LEAST_MIB = 512
_SLOW_MS = 10.0
_WRITES, _WRITE_BYTES, _WRITE_SECONDS = 20, 2300, 20.0
_VOLATILE = {"tmpfs", "ramfs"}


def room(subject: Subject) -> Iterator[Finding | Remark]:
    """Free space, and a directory in which something can be written, in good time."""
    place = host.existing_parent(subject.real)
    free = host.free_mib(place)
    if free < _LEAST_MIB:
        # One that ran full is mended by a change, such as another number of etcd_repair.
        if subject.has_joined:
            yield Remark(f"only {free} MiB are free for {subject.data}")
            return
        yield Finding(
            f"only {free} MiB are free for {subject.data}",
            f"free at least {_LEAST_MIB} MiB (the quota and as much again is a good size)",
        )
        return
    try:
        milliseconds = synchronous_write(place)
    except OSError:
        yield Finding(
            f"nothing can be written under {place}",
            "mount it writable, or choose another etcd_data",
        )
        return
    if milliseconds > _SLOW_MS:
        yield Remark(
            f"the disk under {place} needs {milliseconds:.1f} ms for a synchronous write; etcd"
            " wants less than 10 ms. Use an SSD, or expect elections"
        )


def synchronous_write(place: Path) -> float:
    """How many milliseconds one takes in a directory, which is left as it was. Raises OSError.

    etcd writes small records and waits for the disk after each; this does the same. In a directory
    of root's alone, because the one above may be another user's, who could put a link there.
    """
    private = Path(tempfile.mkdtemp(prefix=".etcd-node.", dir=place))
    inside = os.open(private, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(inside)
        if (found.st_uid, found.st_mode & 0o777) != (os.geteuid(), 0o700):
            raise PermissionError(f"{private} was replaced by another user")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_DSYNC
        probe = os.open("probe", flags, 0o600, dir_fd=inside)
        try:
            return _timed(probe)
        finally:
            os.close(probe)
            os.unlink("probe", dir_fd=inside)
    finally:
        os.close(inside)
        private.rmdir()


def _timed(probe: int) -> float:
    begun, written = time.monotonic(), 0
    while written < _WRITES and time.monotonic() - begun < _WRITE_SECONDS:
        os.write(probe, bytes(_WRITE_BYTES))
        written += 1
    return (time.monotonic() - begun) / written * 1000


def kind(subject: Subject) -> Iterator[Finding | Remark]:
    """A file system in memory loses the member with the next reboot."""
    name = host.file_system_type(subject.real)
    if name not in _VOLATILE:
        return
    problem = f"{subject.data} is on a {name}, which is empty after a reboot"
    if subject.has_joined:
        yield Remark(f"{problem}; the member is lost with it")
    else:
        yield Finding(problem, "choose an etcd_data on a disk")


def mounted(subject: Subject) -> Iterator[Finding]:
    """A disk that comes later hides what was written before. `join` asks for a member's own."""
    point = host.missing_mount(subject.data)
    if point and not files.has_content(subject.paths.membership):
        yield Finding(
            f"/etc/fstab has a disk for {point}, and it is not mounted",
            f"mount it (`mount {point}`), or take its line out of /etc/fstab",
        )


def quota(subject: Subject) -> Iterator[Finding | Remark]:
    """A database may grow up to its quota, and must find room."""
    wanted = subject.options.quota
    place = host.existing_parent(subject.real)
    size = host.size_bytes(place)
    if not wanted or not size:
        return
    mib, free = wanted >> 20, host.free_mib(place)
    if wanted >= size:
        problem = (
            f"etcd's quota is {mib} MiB, and the disk of {subject.data} has {size >> 20} MiB as a"
            " whole: it would be full before etcd stops to write"
        )
        if subject.has_joined:
            yield Remark(problem)
        else:
            yield Finding(problem, "lower etcd_quota, or choose an etcd_data on a larger disk")
    elif mib > free and not subject.has_joined:
        yield Remark(
            f"etcd's quota is {mib} MiB, and {free} MiB are free for {subject.data}; make room"
            " before the database grows so far"
        )
