"""What somebody left on the machine that would change what runs: users, groups, drop-ins."""

from __future__ import annotations

import contextlib
import grp
import re
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import files, privileges
from etcd_component.agent.finding import Finding, Remark
from etcd_component.agent.user import USER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from etcd_component.agent.preflight.subject import Subject

_ROOTS = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_DECISIVE = re.compile(
    "ExecStart|ExecStartPre|ExecCondition|User|Group|DynamicUser|Type|NotifyAccess|RootDirectory"
    "|RootImage|PrivateNetwork|RemainAfterExit|(Condition|Assert)[A-Za-z]+"
)
"""Settings with which the unit starts something else, or nothing, or as somebody else."""


def user(_subject: Subject) -> Iterator[Finding]:
    """A user or group that is root by another name. Any other shape is put right, or runs."""
    numbers = {"user": privileges.user(USER).uid}
    with contextlib.suppress(KeyError):
        numbers["group"] = grp.getgrnam(USER).gr_gid
    for what, number in numbers.items():
        if number == 0:
            yield Finding(
                f"the {what} {USER} has the number 0, so etcd would have the rights of root",
                f"remove or rename that {what}",
            )


def drop_ins(subject: Subject) -> Iterator[Finding | Remark]:
    """Files that change a unit of that name, be it there or not."""
    unit = subject.paths.unit
    for path, is_general in _drop_ins_of(unit):
        keys = settings(files.read_text(path))
        decisive = [one for one in keys if _DECISIVE.fullmatch(one)]
        if decisive and not subject.has_joined:
            yield Finding(
                f"{path} would change how {unit} starts ({', '.join(decisive)})",
                f"remove it (`rm {path}; systemctl daemon-reload`)",
            )
        elif decisive or (keys and not is_general):
            yield Remark(f"{path} changes {unit} ({', '.join(keys)})")


def _drop_ins_of(unit: str) -> Iterable[tuple[Path, bool]]:
    """Each with whether it is one for all services. Of the same name only the first counts."""
    found: dict[str, tuple[Path, bool]] = {}
    for name in [*names_of_directories(unit), "service"]:
        for root in _ROOTS:
            for path in sorted(Path(root, f"{name}.d").glob("*.conf")):
                found.setdefault(path.name, (path, name == "service"))
    return found.values()


def names_of_directories(unit: str) -> list[str]:
    """A unit with dashes has those of each beginning, too: a-b.service, a-.service."""
    parts = unit[: -len(".service")].split("-")
    begun = ["-".join(parts[:count]) + "-" for count in range(len(parts) - 1, 0, -1)]
    return [unit, *(f"{one}.service" for one in begun)]


def settings(text: str) -> list[str]:
    """The names of what a drop-in sets, once each."""
    keys = re.findall(r"^[ \t]*([A-Z][A-Za-z]*)[ \t]*=", text, re.MULTILINE)
    return list(dict.fromkeys(keys))
