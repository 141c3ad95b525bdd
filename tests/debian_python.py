"""The Pythons that nodes have: those of the oldest and the newest Debian that is to be had."""

from __future__ import annotations

from pathlib import Path

from lab import base

OLDEST, NEWEST = "bullseye", "trixie"

_RUN = """
mount --bind "$1" "$2/mnt"
mount -o remount,bind,ro "$2/mnt"
mount --rbind /dev "$2/dev"
mount --rbind /proc "$2/proc"
root=$2
shift 2
exec chroot "$root" python3 -B "$@"
"""


def command(suite: str, directory: Path, *words: str) -> list[str]:
    """The command line that runs a Debian's own `python3` with these words, as root.

    `directory` of this machine is at /mnt there, and cannot be written. The first time, the system
    is built, which takes a minute. Raises LabError when that fails.
    """
    root = base.ensure(print, suite)
    return ["unshare", "--mount", "sh", "-euc", _RUN, "sh", str(directory), str(root), *words]
