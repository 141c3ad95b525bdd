"""The system's users that etcd and the monitor run as."""

from __future__ import annotations

import grp

from etcd_component.agent import files
from etcd_component.agent.output import refuse
from etcd_component.agent.process import run

USER = "etcd"


def make_user(name: str = USER, comment: str = "etcd (etcd-node)") -> None:
    """Have that user on this machine, and its group. Raises Refusal."""
    if files.user_exists(name):
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
    if not files.user_exists(name):
        refuse(
            f"the user {name} cannot be made: {done.err.strip() or done.status}. Make it by hand as"
            " a system user, and run this again"
        )


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
