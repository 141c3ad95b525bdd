"""Users and roles: as the stack has them, as etcd has them, and where the two differ."""

import base64
import itertools
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from etcd_component.model import ROOT, Permission
from etcd_component.render import NODE_PROGRAM

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


def declared(scripts: Iterable[str], cluster: str) -> Access:
    """What the scripts of a stack's Commands make of a cluster's roles and users."""
    users, roles = {}, {}
    for script in scripts:
        words = shlex.split(script.partition(NODE_PROGRAM)[2].replace("\\\n", ""))
        if words[:1] not in (["role"], ["user"]) or words[1:3] != ["--cluster", cluster]:
            continue
        name = words[words.index("--name") + 1]
        if words[0] == "role":
            roles[name] = frozenset(_grants(words))
        else:
            users[name] = frozenset(
                one for flag, one in itertools.pairwise(words) if flag == "--role"
            )
    return Access(users, roles)


def _grants(words: list[str]) -> Iterator[Grant]:
    left = words[words.index("--name") + 2 :]
    while left:
        flag, scope, *keys = left
        count = 2 if scope == "range" else 1
        end = keys[1] if scope == "range" else None
        access = cast("Any", flag.removeprefix("--"))
        yield (access, *Permission(access, cast("Any", scope), keys[0], end).span)
        left = keys[count:]


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
