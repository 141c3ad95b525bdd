"""Users and roles: as the stack has them, as etcd has them, and where the two differ."""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from etcd_component.model import ROOT, Permission

Grant = tuple[str, bytes, bytes]
"""What may be done, the first key and the first one after the last, see `Permission.span`."""

Call = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Asks etcd as root: a path of its gateway and a body."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what; root and its role are left out."""

    users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Names of roles by user."""
    roles: Mapping[str, frozenset[Grant]] = field(default_factory=dict)


def desired(document: Mapping[str, Any]) -> Access | None:
    """What a cluster's component says, see `etcd_component.desired`; None where it says nothing."""
    if not document:
        return None
    return Access(
        {name: frozenset(roles) for name, roles in document["users"].items()},
        {
            name: frozenset((one[0], *Permission(*one).span) for one in permissions)
            for name, permissions in document["roles"].items()
        },
    )


def listed(call: Call) -> Access:
    """What etcd has; raises what `call` raises."""
    users = call("auth/user/list", {}).get("users", [])
    roles = call("auth/role/list", {}).get("roles", [])
    return Access(
        {
            name: frozenset(call("auth/user/get", {"name": name}).get("roles", []))
            for name in users
            if name != ROOT
        },
        {
            name: frozenset(map(_grant, call("auth/role/get", {"role": name}).get("perm", [])))
            for name in roles
            if name != ROOT
        },
    )


def _grant(said: Mapping[str, str]) -> Grant:
    first, end = (base64.b64decode(said.get(name, "")) for name in ("key", "range_end"))
    # etcd leaves the right to read out, since it is the first of its list.
    return said.get("permType", "READ").lower(), first, end


def undeclared(wanted: Access, there: Access) -> str:
    """Who is there and was never declared, as a person says it; empty when nobody is."""
    found = [
        f"{what} {', '.join(names)}"
        for what, names in (
            ("user", sorted(there.users.keys() - wanted.users.keys())),
            ("role", sorted(there.roles.keys() - wanted.roles.keys())),
        )
        if names
    ]
    return " and ".join(found)


def differences(wanted: Access, there: Access) -> Iterator[str]:
    """A sentence for each role and user that is not as it was declared."""
    for role, grants in sorted(wanted.roles.items()):
        if role not in there.roles:
            yield f"role {role} is not there"
        elif there.roles[role] != grants:
            yield f"role {role} has other permissions than were declared"
    for user, roles in sorted(wanted.users.items()):
        if user not in there.users:
            yield f"user {user} is not there"
        elif there.users[user] != roles:
            names = ", ".join(sorted(there.users[user])) or "none"
            yield f"user {user} has other roles than were declared: {names}"
