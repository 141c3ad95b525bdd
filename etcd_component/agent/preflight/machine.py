"""What the machine is and has: programs, architecture, clock, and where uploads go."""

from __future__ import annotations

import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import host, process, software
from etcd_component.agent.finding import Finding, Remark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etcd_component.agent.preflight.subject import Subject

_NEEDED = ("systemctl", "journalctl", "useradd", "groupadd", "userdel")
_LATE = 5
_EARLY, _A_LITTLE_EARLY = 900, 120


def programs(subject: Subject) -> Iterator[Finding]:
    """The system's own programs that are called, and those that were to be preinstalled."""
    if not Path("/run/systemd/system").is_dir():
        yield Finding("systemd is not the init system", "use a machine that runs systemd")
    missing = [name for name in _NEEDED if not process.exists(name)]
    if missing:
        yield Finding(
            f"these programs are missing: {' '.join(missing)}",
            "install the packages that hold them (systemd, passwd or shadow-utils)",
        )
    if host.architecture() not in {"amd64", "arm64"}:
        yield Finding(
            f"etcd is not provided for the architecture {host.architecture()}",
            "use an x86_64 or aarch64 machine",
        )
    if subject.options.method == "preinstalled":
        for name in ("etcd", "etcdctl"):
            if not software.program_of_machine(name):
                yield Finding(
                    f"etcd_install is preinstalled, but `{name}` is not on root's PATH",
                    "install it in /usr/local/bin, or choose another etcd_install",
                )


def upload(subject: Subject) -> Iterator[Finding]:
    """Pulumi uploads into the directory where this runs: the login's home."""
    here = Path.cwd()
    if subject.options.method == "upload" and here.stat().st_mode & stat.S_IWOTH:
        yield Finding(
            f"everybody can write in {here}, where the login's uploads go",
            f"chmod o-w {here}, or use another login",
        )


def clock(subject: Subject) -> Iterator[Finding | Remark]:
    """Held against the time of the machine that runs Pulumi when this run began.

    All nodes are, so they are held against each other; certificates are dated by it.
    """
    if not subject.options.clock:
        return
    behind = subject.options.clock - int(time.time())
    if behind > _LATE:
        yield Finding(
            f"the clock is {behind} s behind the machine that runs Pulumi, so new certificates are"
            " not valid here yet",
            "let chrony or systemd-timesyncd set it",
        )
    elif behind < -_EARLY:
        yield Finding(
            f"the clock is {-behind} s ahead of the machine that runs Pulumi",
            "let chrony or systemd-timesyncd set it, on both",
        )
    elif behind < -_A_LITTLE_EARLY:
        yield Remark(
            f"the clock is {-behind} s ahead of the start of this run; a run that waited long"
            " explains it, else see chrony"
        )
