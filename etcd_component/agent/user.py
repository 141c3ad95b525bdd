"""The system's user that etcd runs as."""

from __future__ import annotations

import grp

from etcd_component.agent import files
from etcd_component.agent.output import refuse
from etcd_component.agent.process import run

USER = "etcd"


def make_user() -> None:
    """Have that user on this machine, and its group. Raises Refusal."""
    if files.user_exists(USER):
        # Somebody may have made it in another group; files and the unit name its own.
        if not _group_exists() and not run("groupadd", "--system", USER).ok and not _group_exists():
            refuse(f"the group {USER} cannot be made. Make it by hand, and run this again")
        return
    done = run(
        "useradd",
        "--system",
        # A group may be left of a user that somebody removed.
        *(["--gid", USER] if _group_exists() else ["--user-group"]),
        *("--home-dir", "/", "--no-create-home", "--shell", "/usr/sbin/nologin"),
        *("--comment", "etcd (etcd-node)", USER),
    )
    # The instance of another cluster on this machine may have been quicker.
    if not files.user_exists(USER):
        refuse(
            f"the user {USER} cannot be made: {done.err.strip() or done.status}. Make it by hand as"
            " a system user, and run this again"
        )


def _group_exists() -> bool:
    try:
        grp.getgrnam(USER)
    except KeyError:
        return False
    return True
