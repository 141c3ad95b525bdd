"""The system's users that etcd and the monitor run as."""

from __future__ import annotations

import grp
import pwd

from etcd_component.agent.output import refuse
from etcd_component.agent.process import run

USER = "etcd"
COMMENT = "etcd (etcd-node)"
"""Of the user that we made; one of somebody else's has another."""


def make_user(name: str = USER, comment: str = COMMENT) -> None:
    """Have that user on this machine, and its group. Raises Refusal."""
    if exists(name):
        # Somebody may have made it in another group; files and the unit name its own.
        if (
            not _has_group(name)
            and not run("groupadd", "--system", name).ok
            and not _has_group(name)
        ):
            refuse(f"the group {name} cannot be made. Make it by hand, and run this again")
        return
    done = run(
        "useradd",
        "--system",
        # A group may be left of a user that somebody removed.
        *(["--gid", name] if _has_group(name) else ["--user-group"]),
        *("--home-dir", "/", "--no-create-home", "--shell", "/usr/sbin/nologin"),
        *("--comment", comment, name),
    )
    # The instance of another cluster on this machine may have been quicker.
    if not exists(name):
        refuse(
            f"the user {name} cannot be made: {done.err.strip() or done.status}. Make it by hand as"
            " a system user, and run this again"
        )


def exists(name: str) -> bool:
    """Whether the system knows a user of that name."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def name_of(uid: int) -> str:
    """The name of a user; its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
