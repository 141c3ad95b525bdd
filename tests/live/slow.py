"""A slow disk under a member: the kernel lets its process write only so often in a second."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from lab import Lab, cgroups

_GROUPS = Path("/sys/fs/cgroup/blkio")
_LIMIT = "blkio.throttle.write_iops_device"


@contextlib.contextmanager
def slow_disk(lab: Lab, number: int, writes: int) -> Iterator[None]:
    """etcd on this node writes to its disk so many times a second at most, fsync included."""
    assert (_GROUPS / "cgroup.procs").exists(), (
        f"a disk cannot be made slow here: {_GROUPS} is not mounted (cgroup v1 with blkio)"
    )
    device = lab.home.stat().st_dev
    group = _GROUPS / f"etcd-lab-{lab.naming.name}-{number}"
    group.mkdir(exist_ok=True)
    (group / _LIMIT).write_text(f"{os.major(device)}:{os.minor(device)} {writes}")
    for process in cgroups.members(lab.naming, number):
        if Path(f"/proc/{process.pid}/comm").read_text().strip() == "etcd":
            (group / "cgroup.procs").write_text(str(process.pid))
    assert (group / "cgroup.procs").read_text(), f"no etcd runs on node {number}"
    try:
        yield
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (_GROUPS / "cgroup.procs").write_text(pid)
        group.rmdir()
