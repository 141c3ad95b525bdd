"""What is slow to make and the same for every lab and every checkout: kept once per user."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lab import mounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def cache_home() -> Path:
    """Directory of the cache; `PULUMI_ETCD_CACHE` or `XDG_CACHE_HOME` move it."""
    chosen = os.environ.get("PULUMI_ETCD_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "pulumi-etcd"
    )


def kept(relative: str, build: Callable[[Path], None]) -> Path:
    """Return the directory `relative` of the cache, made by `build` when it is not there yet.

    `build` fills an empty directory that gets its real name only when it returns, so that whatever
    exists is whole. Two runs do not build the same thing twice: the second waits for the first.
    """
    place = cache_home() / relative
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place.with_name(f".{place.name}.lock")):
        if place.is_dir():
            return place
        # Under the lock nobody else builds this: what lies about is of a run that was killed.
        for remains in place.parent.glob(f".{place.name}.new-*"):
            mounts.remove_tree(remains)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{place.name}.new-", dir=place.parent))
        unfinished.chmod(0o755)
        try:
            build(unfinished)
            unfinished.rename(place)
        finally:
            mounts.remove_tree(unfinished)
    return place


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; the kernel drops it when this process dies.

    Only its owner can open the file, since whoever can open a file can lock it. Raises
    PermissionError when it is another user's, as it may be where everybody can write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise PermissionError(f"{path} is another user's: remove it")
        os.fchmod(descriptor, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
