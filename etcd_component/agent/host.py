"""Looks at a machine: its disks, its mounts, its addresses, and who listens on a port."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import files, systemd

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc")
_LISTENING = "0A"
_LONGEST_WAY = 400
"""Steps; links in a circle have no end."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Mount:
    """A mounted file system."""

    point: str
    kind: str
    """Its type, such as ext4 or tmpfs."""
    options: frozenset[str]
    """Of the mount and of the file system: `ro`, `noexec` ..."""


def free_mib(path: Path) -> int:
    """How many MiB a user without privileges can write there; 0 where nothing is known."""
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize >> 20


def size_bytes(path: Path) -> int:
    """How large the file system is as a whole; 0 where nothing is known."""
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    return found.f_blocks * found.f_frsize


def existing_parent(path: Path) -> Path:
    """The path itself if it is a directory, else the nearest directory above it."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def architecture() -> str:
    """As etcd's releases call it, amd64 or arm64; else as the kernel does."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def own_addresses() -> list[str]:
    """All addresses to which a server on this machine can bind. Link-local ones are among them."""
    found: dict[str, None] = {}
    last = ""
    for line in files.read_text(PROC / "net/fib_trie").splitlines():
        if line.lstrip().startswith("|--"):
            last = line.split()[-1]
        elif "/32 host LOCAL" in line:
            found[last] = None
    for line in files.read_text(PROC / "net/if_inet6").splitlines():
        found[str(ipaddress.IPv6Address(int(line.split()[0], 16)))] = None
    return list(found)


def holder_of_port(port: int, unit: str) -> str | None:
    """Who listens on a TCP port: a name for a person; empty for the main process of the unit.

    None if nobody does.
    """
    sockets = set(_listeners(port))
    if not sockets:
        return None
    main = systemd.show(unit).main_pid
    if main:
        sockets -= _sockets_of(main)
        if not sockets:
            return ""
    for path in PROC.iterdir():
        if path.name.isdigit() and sockets & _sockets_of(int(path.name)):
            return f"`{files.read_text(path / 'comm').strip()}` (process {path.name})"
    return "the kernel"


def _listeners(port: int) -> Iterator[str]:
    """The inodes of all sockets that listen on a port, as links to them have them."""
    for name in ("net/tcp", "net/tcp6"):
        for line in files.read_text(PROC / name).splitlines()[1:]:
            columns = line.split()
            if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{columns[9]}]"


def _sockets_of(process: int) -> set[str]:
    try:
        return {files.link_target(path) for path in (PROC / str(process) / "fd").iterdir()}
    except OSError:
        return set()


def mounts() -> list[Mount]:
    """All mounts that this process sees, those that cover others last."""
    return [
        Mount(_unescaped(before[4]), after[0], frozenset(f"{before[5]},{after[-1]}".split(",")))
        for line in files.read_text(PROC / "self/mountinfo").splitlines()
        for before, after in [[part.split() for part in line.split(" - ", 1)]]
    ]


def mount_of(path: Path) -> Mount | None:
    """The mount that an absolute path without links is on."""
    found = [one for one in mounts() if is_below(str(path), one.point)]
    deepest = max((len(one.point) for one in found), default=0)
    return next((one for one in reversed(found) if len(one.point) == deepest), None)


def mounts_below(path: Path) -> str:
    """The first mount point below a directory; empty if there is none."""
    return next(
        (one.point for one in mounts() if one.point.startswith(f"{str(path).rstrip('/')}/")), ""
    )


def missing_mount(data: Path) -> str:
    """The first mount point of a data directory that /etc/fstab has and that is not mounted."""
    mounted = {one.point for one in mounts()}
    for line in files.read_text(Path("/etc/fstab")).splitlines():
        columns = line.split()
        if len(columns) < 2 or columns[0].startswith("#"):  # noqa: PLR2004
            continue
        # `none` and `swap` are no places.
        point = _unescaped(columns[1]).rstrip("/")
        if point.startswith("/") and is_below(str(data), point) and point not in mounted:
            return point
    return ""


def file_system_type(path: Path) -> str:
    """Such as ext4 or tmpfs: where a path is, or would be; empty if unknown."""
    found = mount_of(Path(os.path.realpath(existing_parent(path))))
    return found.kind if found else ""


def visited(path: Path) -> list[str]:
    """All that is looked at on the way to an absolute path, itself included: links, and theirs."""
    left, here, found = list(reversed(path.parts[1:])), Path("/"), ["/"]
    while left and len(found) < _LONGEST_WAY:
        part = left.pop()
        if part == "..":
            here = here.parent
            continue
        here /= part
        found.append(str(here))
        if here.is_symlink():
            target = Path(files.link_target(here))
            here = Path("/") if target.is_absolute() else here.parent
            left.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
    return found


def is_below(path: str, point: str) -> bool:
    """Whether a path is that directory, or in it."""
    return f"{path}/".startswith(f"{point.rstrip('/')}/")


def _unescaped(word: str) -> str:
    """A path of mountinfo or fstab, in which blanks are octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), word)
