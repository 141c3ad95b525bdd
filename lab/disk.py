"""A node's disk: a layer over the shared base system, which is what the node has written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab import keys, mounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.naming import Naming


def home(naming: Naming, number: int) -> Path:
    """Directory of one node: its disk, its pidfile, its console log."""
    return naming.nodes_home / str(number)


def root(naming: Naming, number: int) -> Path:
    """Where the node's file system is mounted on the host while it runs."""
    return home(naming, number) / "root"


def mount(naming: Naming, number: int, layers: Sequence[Path]) -> None:
    """Mount the node's disk over a system; a fresh one first gets what makes it this node's."""
    unmount(naming, number)
    mounts.overlay(f"etcd-lab-{naming.name}", home(naming, number), layers)
    if not (home(naming, number) / "upper/etc/hostname").exists():
        _personalise(naming, number, root(naming, number))


def choose(naming: Naming, number: int, system: str) -> None:
    """Write down which system is below the disk of a node, if it is not the base alone."""
    home(naming, number).mkdir(parents=True, exist_ok=True)
    (home(naming, number) / "system").write_text(system)


def chosen(naming: Naming, number: int) -> str | None:
    """Name of the system that was chosen for a node; None for the base."""
    file = home(naming, number) / "system"
    return file.read_text() if file.exists() else None


def unmount(naming: Naming, number: int) -> None:
    """Unmount the node's disk, if it is mounted, however often."""
    mounts.unmount_below(home(naming, number))


def empty(naming: Naming, number: int) -> None:
    """Lose everything the node has ever written. The node must be down."""
    unmount(naming, number)
    for layer in ("upper", "work"):
        mounts.remove_tree(home(naming, number) / layer)


def _personalise(naming: Naming, number: int, place: Path) -> None:
    # Its own name must be here, or every sudo asks DNS for it and waits.
    (place / "etc/hosts").write_text(
        f"127.0.0.1 localhost\n::1 localhost\n{naming.address(number)} node{number}\n"
    )
    (place / "etc/resolv.conf").write_text(resolvers())
    keys.install(naming, number, place)
    # Last, as it tells a disk that is ready from one that a killed run left half-written.
    (place / "etc/hostname").write_text(f"node{number}\n")


def resolvers() -> str:
    """Return the host's resolv.conf, or what stands behind one that points at the host itself."""
    for path in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        lines = path.read_text().splitlines() if path.exists() else []
        useful = [
            line
            for line in lines
            if not line.startswith(("#", "nameserver 127.", "nameserver ::1"))
        ]
        if any(line.startswith("nameserver") for line in useful):
            return "\n".join(useful) + "\n"
    return ""
