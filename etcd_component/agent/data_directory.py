"""The data directory: what may be one, what is in it, and how it is emptied or set aside."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from etcd_component.agent import files, systemd
from etcd_component.agent.finding import Finding
from etcd_component.agent.instance import holds_member
from etcd_component.agent.output import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable

_SYSTEM = re.compile(
    "/|/(bin|boot|dev|etc|home|lib|lib64|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)"
    "|/var/(lib|log|tmp|cache|spool)|/(usr|dev|proc|sys|boot|run|etc)/.*"
)
_OWN = ".etcd-node"
_NOT_DATA = ("lost+found", _OWN)
_KEPT = ("member.attempt-", "member.before-reseat-", "member.left-", "member.removed-")


class HasMadeParent(Protocol):
    """The paths of a program that has a data directory."""

    @property
    def made_parent(self) -> Path:
        """A file with the nearest directory above the data that was there before."""


def system_directory(path: Path, real: Path, choose: str = "another etcd_data") -> Finding | None:
    """What is wrong with having data there; `real` is where links on the way to it lead.

    A data directory is looked at, made and emptied where it really is: a link may lead there, and
    is left alone.
    """
    # Of links in a circle some stay unresolved.
    for part in (real, *real.parents):
        if part.is_symlink():
            return Finding(
                f"{path} cannot be followed: the link {part} leads nowhere",
                f"mend it, or choose {choose}",
            )
    # Other programs are there.
    if _SYSTEM.fullmatch(str(real)):
        return Finding(f"{path} is the directory {real} of the system", f"choose {choose}")
    return None


def foreign_content(real: Path) -> list[str]:
    """What is in a data directory besides what we leave in one without a member; unsorted.

    Raises OSError where it cannot be read.
    """
    try:
        names = [path.name for path in real.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [one for one in names if one not in _NOT_DATA and not one.startswith(_KEPT)]


def is_unused(real: Path) -> bool:
    """Whether there is a directory, and nothing in it but what the agent made at once."""
    return real.is_dir() and {path.name for path in real.iterdir()} <= {_OWN}


def state(data: Path) -> str:
    """`whole` where the log of a member is, `part` where only other files of one are, or `none`."""
    if holds_member(data):
        return "whole"
    return "part" if next(files.walk(data / "member"), None) else "none"


def kept_copy(data: Path, label: str) -> Path:
    """Where a member's data can be set aside: `member.LABEL-TIME`, in UTC. Nothing is there."""
    copy = data / f"member.{label}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    return copy.with_name(f"{copy.name}-{os.getpid()}") if os.path.lexists(copy) else copy


def set_aside(data: Path, unit: str, label: str, copy: Path | None = None) -> Path | None:
    """Stop the unit and keep a copy of data that no cluster wants any more; where it is.

    None where there are none. Raises Refusal where the unit does not stop.
    """
    if not os.path.lexists(data / "member"):
        return None
    if not systemd.systemctl("stop", unit) and systemd.known(unit).main_pid:
        # An etcd that runs would go on with them under another name.
        refuse(
            f"{unit} could not be stopped; look at `systemctl status {unit}` and run this again."
            f" Its data stay in {data}"
        )
    copy = copy or kept_copy(data, label)
    (data / "member").rename(copy)
    descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return copy


def remove(real: Path, paths: HasMadeParent) -> None:
    """Remove all data, and of the way to them what was made for them. Raises OSError."""
    descriptor = os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _empty(descriptor, os.fstat(descriptor).st_dev)
    finally:
        os.close(descriptor)
    base = Path(files.read_text(paths.made_parent).strip() or real)
    # It may have been written for another directory, which an instance of this machine had before.
    if base not in (real, *real.parents):
        base = real
    # The directory may be a mount point, and its parents may serve others.
    with contextlib.suppress(OSError):
        for part in _between(real, base):
            part.rmdir()


def _between(real: Path, base: Path) -> Iterable[Path]:
    """A path and its parents, up to but without the base."""
    for part in (real, *real.parents):
        if part == base:
            return
        yield part


def _empty(directory: int, device: int) -> None:
    """Remove all that is in an open directory, on that device only."""
    with os.scandir(directory) as entries:
        found = list(entries)
    for entry in found:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=directory)
            continue
        inside = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
        try:
            if os.fstat(inside).st_dev == device:
                _empty(inside, device)
        finally:
            os.close(inside)
        os.rmdir(entry.name, dir_fd=directory)
