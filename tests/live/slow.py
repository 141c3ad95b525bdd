"""A slow disk under a member: each time it waits for the disk, it waits longer."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab import Lab, cgroups, check


@contextlib.contextmanager
def slow_disk(lab: Lab, number: int, seconds: float) -> Iterator[None]:
    """Every fdatasync of etcd on this node takes so much longer, as on an overloaded disk."""
    (etcd,) = (
        process.pid
        for process in cgroups.members(lab.naming, number)
        if Path(f"/proc/{process.pid}/comm").read_text().strip() == "etcd"
    )
    delay = f"inject=fdatasync:delay_enter={round(seconds * 1_000_000)}"
    with subprocess.Popen(
        [_strace(), "-f", "-qq", "-o/dev/null", "-etrace=fdatasync", f"-e{delay}", f"-p{etcd}"]
    ) as tracing:
        try:
            yield
            assert tracing.poll() is None, "strace ended, so the disk was not slow all the time"
        finally:
            tracing.terminate()


def _strace() -> str:
    check.install(lambda: [] if shutil.which("strace") else ["strace"], print)
    return "strace"
