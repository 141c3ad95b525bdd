"""Taking away what is ours of directories in which others may have put something, too."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import files
from etcd_component.agent.paths import CONFIGURATIONS, SOFTWARE, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etcd_component.agent.paths import Paths

_PROGRAMS = ("etcd", "etcdctl", "etcdutl")
_SHOWN = 5


def remove_configuration(paths: Paths) -> None:
    """All of a cluster's directory in /etc but the claim, and what is not ours."""
    if not paths.etc.is_dir():
        return
    wanted = {path.name for path in paths.of_the_member} | {paths.made_parent.name}
    known = "|".join(re.escape(name) for name in sorted(wanted))
    # What a run wrote that was killed has the number of its process behind its name.
    ours = re.compile(rf"(({known}|claim|as-put\.[a-z]+|pki)(\.[0-9]+)?|pki-[A-Za-z0-9_]+)")
    for path in paths.etc.iterdir():
        if path != paths.claim and ours.fullmatch(path.name):
            _remove(path)


def remove_claim(paths: Paths) -> None:
    """The rest of it, last of all: a run that is cut off before can be run again."""
    files.remove(paths.claim)
    remove_if_empty(paths.etc, CONFIGURATIONS)


def remove_snapshots(paths: Paths) -> None:
    """Of the database, before upgrades."""
    for path in paths.snapshots.glob("before-*"):
        _remove(path)
    remove_if_empty(paths.snapshots, paths.snapshots.parent)


def remove_programs() -> None:
    """All versions of etcd that were put there, or linked there."""
    for path in VERSIONS.iterdir() if VERSIONS.is_dir() else ():
        if path.is_symlink() or path.name.startswith(".new-"):
            _remove(path)
        else:
            files.remove(*(path / "bin" / name for name in _PROGRAMS))
            remove_if_empty(path / "bin", path)
    remove_if_empty(VERSIONS, SOFTWARE)


def remove_if_empty(*directories: Path) -> None:
    """Each of them, unless something is in it."""
    for path in directories:
        with contextlib.suppress(OSError):
            path.rmdir()


def staying(places: Iterable[Path]) -> str:
    """What is left in these directories, as a sentence; empty where nothing is."""
    names = [str(path) for place in places for path in sorted(files.walk(place))]
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f" What is not etcd-node's stays: {', '.join(names[:_SHOWN])}{more}."


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        files.remove(path)
