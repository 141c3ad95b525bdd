"""One change of a lab at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.naming import Naming

# Outside the lab's own directory, which `down` removes while it holds the lock.
_HOME = Path("/run/etcd-lab")


@contextlib.contextmanager
def held(naming: Naming, *, last: bool = False) -> Iterator[None]:
    """Hold the lock of a lab; the kernel drops it when this process dies.

    With `last`, the file goes too when the work succeeds: nothing of the lab is left then.
    """
    path = _HOME / f"{naming.name}.lock"
    descriptor = _open(path)
    try:
        yield
        if last:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                _HOME.rmdir()
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        # Whoever held it has removed the file since: this one guards nothing any more.
        os.close(descriptor)
