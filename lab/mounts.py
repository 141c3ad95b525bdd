"""Mounts below a directory, and the removal of directories that may still hold some."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.shell import attempt, run

if TYPE_CHECKING:
    from collections.abc import Sequence


def overlay(name: str, home: Path, layers: Sequence[Path]) -> None:
    """Mount `layers`, the upper one first, at `root` of `home`; what is written goes to `upper`."""
    for directory in ("root", "upper", "work"):
        (home / directory).mkdir(parents=True, exist_ok=True)
    lower = ":".join(map(str, layers))
    options = f"lowerdir={lower},upperdir={home / 'upper'},workdir={home / 'work'}"
    run(["mount", "-t", "overlay", name, "-o", options, str(home / "root")])


def below(directory: Path) -> list[str]:
    """Return the mount points at and below a directory, the deepest first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = [
        point for point in points if point == str(directory) or point.startswith(f"{directory}/")
    ]
    return sorted(inside, key=len, reverse=True)


def unmount_below(directory: Path) -> None:
    """Unmount everything at and below a directory.

    Raises LabError when the kernel keeps one of the mounts.
    """
    for point in below(directory):
        if attempt(["umount", point]).returncode != 0:
            # Somebody's shell stands in it: it goes when they leave, and nobody waits for them.
            attempt(["umount", "--lazy", point])
    for point in below(directory):
        message = f"{point} cannot be unmounted: see who uses it with `fuser -vm {point}`."
        raise LabError(message)


def remove_tree(directory: Path) -> None:
    """Remove a directory, if it is there, but never what is only mounted in it."""
    unmount_below(directory)
    shutil.rmtree(directory, ignore_errors=True)
