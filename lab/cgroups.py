"""A control group per node, where no systemd of the host hands them out.

Nodes that shared one would see and remove each other's groups, as each of them runs a systemd that
takes the whole group for its own.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab import processes

if TYPE_CHECKING:
    from lab.naming import Naming
    from lab.processes import Process

_MOUNT = Path("/sys/fs/cgroup")


def host_runs_systemd() -> bool:
    """Whether the host's own systemd is there to make a scope for each nspawn."""
    return Path("/run/systemd/system").is_dir()


def nspawn_options() -> list[str]:
    """Options of nspawn for the way this host makes control groups."""
    return [] if host_runs_systemd() else ["--keep-unit"]


def hierarchies() -> list[Path]:
    """Return the mounted hierarchies in which systemd keeps its groups; empty if there are none."""
    if (_MOUNT / "cgroup.controllers").exists():
        return [_MOUNT]
    return [path for path in (_MOUNT / "systemd", _MOUNT / "unified") if path.is_dir()]


def ensure(naming: Naming, number: int) -> list[Path]:
    """Make the groups a node is started in; none where the host's systemd makes them."""
    if host_runs_systemd():
        return []
    groups = _groups(naming, number)
    for group in groups:
        _make(group)
    return groups


def _make(group: Path) -> None:
    # The parent is empty, and may be removed, until another node's group is in it.
    for _ in range(50):
        with contextlib.suppress(FileNotFoundError):
            group.mkdir(parents=True, exist_ok=True)
            return
    group.mkdir(parents=True, exist_ok=True)


def members(naming: Naming, number: int) -> list[Process]:
    """Return all processes in the groups of a node."""
    found = set()
    for group in _groups(naming, number):
        for listing in group.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found |= {processes.find(int(pid)) for pid in listing.read_text().split()}
    return [process for process in found if process]


def remove(naming: Naming, number: int) -> None:
    """Remove the groups of a node, which must be empty of processes."""
    for group in _groups(naming, number):
        _remove_tree(group)
        with contextlib.suppress(OSError):
            group.parent.rmdir()


def _groups(naming: Naming, number: int) -> list[Path]:
    return [path / f"etcd-lab-{naming.name}" / str(number) for path in hierarchies()]


def _remove_tree(group: Path) -> None:
    if not group.is_dir():
        return
    for child in group.iterdir():
        if child.is_dir():
            _remove_tree(child)
    # The kernel lets go of a group a moment after its last process.
    for _ in range(50):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return
