"""One run at a time: the remote side of a killed `pulumi up` goes on for a while."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path

from etcd_component.agent.files import PRIVATE
from etcd_component.agent.output import refuse, say

_held: dict[str, int] = {}
_PATIENCE = 2.0
"""Seconds before a person hears that another run is waited for."""


def hold(directory: Path, name: str, program: str, seconds: float) -> None:
    """Hold the lock of that name until this process and its children end. Raises Refusal.

    `directory` is the program's own below /run. Whoever can open a file can lock it, so locks are
    where only root can look.
    """
    if name in _held:
        return
    begun, announced = time.monotonic(), False
    while True:
        path = _lock_directory(directory) / f"{name}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        while not _taken(descriptor):
            waited = time.monotonic() - begun
            if waited > _PATIENCE and not announced:
                say(f"waiting for another {program}, which is at work here")
                announced = True
            if waited > seconds:
                refuse(
                    f"another {program} has been at work here for ten minutes; see `fuser -v"
                    f" {path}`"
                )
            time.sleep(0.05)
        # The one that was waited for may have removed the file, and then this lock locks nothing.
        if os.fstat(descriptor).st_nlink:
            _held[name] = descriptor
            return
        os.close(descriptor)


def release(name: str) -> None:
    """Let others have it, before this run ends."""
    descriptor = _held.pop(name)
    # What a child has left behind may have it open, too, so to close it here would not do.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def forget(directory: Path, *names: str) -> None:
    """Leave nothing of these locks, which this run holds, on a machine that is refused or left."""
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            (directory / "locks" / f"{name}.lock").unlink()
    for path in (directory / "locks", directory):
        with contextlib.suppress(OSError):
            path.rmdir()


def forget_if_free(directory: Path, name: str) -> None:
    """The same for one that this run does not hold, unless another does."""
    path = directory / "locks" / f"{name}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    if _taken(descriptor):
        path.unlink()
    os.close(descriptor)


def descriptors() -> tuple[int, ...]:
    """Of the locks that are held, for children to hold them too."""
    return tuple(_held.values())


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_directory(directory: Path) -> Path:
    path = directory / "locks"
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o777 != PRIVATE:
        refuse(
            f"{path} is not a directory of root with mode 700, so other users could lock what is in"
            " it; remove it and run this again"
        )
    return path
