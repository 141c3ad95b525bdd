"""Looks as the user that etcd runs as, through the path's directories, with its unit's sandbox."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import host, privileges, software, user
from etcd_component.agent.finding import Finding
from etcd_component.agent.paths import PROGRAM, RUN, SOFTWARE, UNITS, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etcd_component.agent.preflight.subject import Subject

_HIDDEN = {
    "/home": "ProtectHome=yes",
    "/root": "ProtectHome=yes",
    "/run/user": "ProtectHome=yes",
    "/tmp": "PrivateTmp=yes",  # noqa: S108 - nothing is written there
    "/var/tmp": "PrivateTmp=yes",  # noqa: S108
}
_PROGRAMS_MIB = 150
"""For an archive, and what is in it."""


def hidden(subject: Subject) -> Iterator[Finding]:
    """Data in a directory that the unit does not see, or linked there, or by way of it."""
    for place, setting in _HIDDEN.items():
        for path in host.visited(subject.data):
            if any(host.is_below(path, one) for one in (place, os.path.realpath(place))):
                yield Finding(
                    f"{subject.data} leads through {path}, which etcd does not see: its unit has"
                    f" {setting}",
                    f"choose an etcd_data outside of {', '.join(_HIDDEN)}, also where links lead",
                )
                return


def way(subject: Subject) -> Iterator[Finding]:
    """Directories that the user etcd may not enter, on the way to all that it needs."""
    ways = {one: host.visited(one) for one in (subject.paths.etc, VERSIONS)}
    if not any(hidden(subject)):
        # The data directory itself becomes the user's own.
        ways[subject.data] = [
            one for one in host.visited(subject.data) if Path(one) != subject.real
        ]
    if subject.options.method == "preinstalled":
        program = Path(software.program_of_machine("etcd") or "/usr/bin/etcd")
        ways[program] = host.visited(program)

    def closed() -> str:
        """The first one of each way, or nothing, by line."""
        return "\n".join(
            next((one for one in way if _is_closed(one, str(target))), "")
            for target, way in ways.items()
        )

    found = dict(zip(ways, privileges.run_as(privileges.user("etcd"), closed).split("\n")))
    for target, path in found.items():
        if path:
            verb = "run" if path == str(target) else "enter"
            other = ", or choose another etcd_data" if target == subject.data else ""
            yield Finding(
                f"the user etcd may not {verb} {path} ({_rights(Path(path))}),"
                f" which is on the way to {target}",
                f"chmod o+x {path}{other}",
            )


def _is_closed(path: str, target: str) -> bool:
    """Whether this process may not enter a directory, or run the program that is the target."""
    place = Path(path)
    return (place.is_dir() or (path == target and place.is_file())) and not os.access(path, os.X_OK)


def _rights(path: Path) -> str:
    found = path.stat()
    return f"mode {found.st_mode & 0o7777:o}, of {user.name_of(found.st_uid)}"


def system(subject: Subject) -> Iterator[Finding]:
    """Directories of the system in which something is put: that they are some, and writable."""
    wanted = {
        PROGRAM.parent: "this program goes",
        VERSIONS: "etcd's programs go",
        subject.paths.etc: "its configuration goes",
        UNITS: "its unit goes",
        RUN: "this program notes what it must",
    }
    unwritable: dict[Path, str] = {}
    for path, what in wanted.items():
        there = host.existing_parent(path)
        below = there / path.relative_to(there).parts[0] if path != there else there
        if os.path.lexists(below) and not below.is_dir():
            yield Finding(f"{below} is not a directory, where {what}", "move it away")
        elif not os.access(there, os.W_OK):
            unwritable.setdefault(there, what)
    for path, what in unwritable.items():
        mount = host.mount_of(Path(os.path.realpath(path)))
        how = f": {mount.point} is mounted read-only" if mount and "ro" in mount.options else ""
        yield Finding(f"nothing can be written in {path}, where {what}{how}", "mount it writable")


def programs(subject: Subject) -> Iterator[Finding]:
    """Whether what is put there can be started from there, and finds room."""
    places = [PROGRAM.parent]
    if subject.options.method in {"archive", "upload"}:
        places.append(SOFTWARE)
        there, version = host.existing_parent(VERSIONS), subject.options.version
        free = host.free_mib(there)
        is_there = subject.has_joined or (version and (VERSIONS / version).is_dir())
        if free < _PROGRAMS_MIB and not is_there:
            yield Finding(
                f"only {free} MiB are free in {there}, where etcd's programs go",
                f"free at least {_PROGRAMS_MIB} MiB",
            )
    for place in places:
        mount = host.mount_of(Path(os.path.realpath(host.existing_parent(place))))
        if mount and "noexec" in mount.options:
            yield Finding(
                f"{mount.point} is mounted with noexec, so no program starts from {place}",
                f"mount it without (`mount -o remount,exec {mount.point}`, and its line in"
                " /etc/fstab)",
            )
