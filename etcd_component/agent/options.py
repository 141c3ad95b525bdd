"""The command line of a run: plain words, read into one typed value."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from etcd_component.agent.output import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True)
class Grant:
    """A permission as it was written: access, scope, and one key or the two ends of a range."""

    access: str
    """read, write or readwrite."""
    scope: str
    """key, prefix or range."""
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Options:
    """All options of all commands, with what is so without them. Each command takes some."""

    owner: str = ""
    """The stack that is meant; empty for a person."""
    name: str = ""
    instance: str = ""
    cluster: str = "etcd"
    names_cluster: bool = False
    """Whether that was said."""
    reseat: int = 0
    repair: int = 0
    address: str = ""
    client_port: int = 2379
    peer_port: int = 2380
    data: str = ""
    method: str = "archive"
    clock: int = 0
    """Seconds since 1970 where Pulumi runs; 0 where it is not said."""
    quota: int = 0
    """Bytes that the database may have; 0 where it is not said."""
    peers: str = ""
    founders: str = ""
    token: str = ""
    learner: bool = False
    version: str = ""
    url: str = ""
    archive: str = ""
    sha256_amd64: str = ""
    sha256_arm64: str = ""
    to: str = ""
    lost: str = ""
    revoked: tuple[str, ...] = ()
    textfile: str = ""
    save: bool = False
    remove: bool = False
    remove_data: bool = False
    remove_software: bool = False
    yes: bool = False
    role_grants: tuple[tuple[str, Grant], ...] = ()
    """Names of roles, each with a permission that it has."""
    user_roles: tuple[tuple[str, str], ...] = ()
    """Names of users, each with a role that it has."""
    roles: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    listen: str = ""
    port: int = 8428
    alerts_port: int = 8880
    kind: str = ""
    of: str = ""
    after: str = ""

    @property
    def meant(self) -> str:
        """The instance that is meant; empty where none is named."""
        return self.instance or self.name


_LISTS = {"--role": "roles", "--user": "users", "--revoked": "revoked"}
_NAME = re.compile(r"[A-Za-z0-9_.@][A-Za-z0-9_.@-]*")


def parse(command: str, words: Sequence[str], allowed: Sequence[str]) -> Options:
    """The options of a command, of which it takes the allowed ones. Raises Refusal."""
    kinds = {field.name: str(field.type) for field in fields(Options)}
    found: dict[str, Any] = {}
    left = iter(words)
    for word in left:
        name = word[2:].replace("-", "_")
        if not word.startswith("--") or word[2:] not in allowed:
            refuse(f"`{command}` has no option `{word}`")
        if word == "--role-grant":
            one = (_name(word, "role", left), _grant(word, left))
            found["role_grants"] = (*found.get("role_grants", ()), one)
        elif word == "--user-role":
            both = (_name(word, "user", left), _name(word, "role", left))
            found["user_roles"] = (*found.get("user_roles", ()), both)
        elif word in _LISTS:
            value = _value(word, left)
            if word != "--revoked":
                check_name(word[2:], value)
            found[_LISTS[word]] = (*found.get(_LISTS[word], ()), value)
        elif kinds[name] == "bool":
            found[name] = True
        elif kinds[name] == "int":
            found[name] = _number(word, _value(word, left))
        else:
            found[name] = _value(word, left)
    return Options(**found, names_cluster="cluster" in found)


def check_name(what: str, name: str) -> None:
    """Raises Refusal for what is no name of a user or role."""
    if not _NAME.fullmatch(name):
        refuse(f"`{name}` is not the name of a {what}")


def _grant(word: str, left: Iterator[str]) -> Grant:
    access = next(left, "")
    if access not in {"read", "write", "readwrite"}:
        refuse(f"a role may read, write or readwrite, and not `{access}`")
    scope = next(left, "")
    keys = [
        key for _ in range(2 if scope == "range" else 1) if (key := next(left, None)) is not None
    ]
    if scope not in {"", "key", "prefix", "range"}:
        refuse(f"a permission is for a key, a prefix or a range, not for a `{scope}`")
    if not scope or len(keys) < (2 if scope == "range" else 1):
        refuse(f"the option {word} needs key KEY, prefix PREFIX or range FIRST END")
    return Grant(access, scope, tuple(keys))


def _name(word: str, what: str, left: Iterator[str]) -> str:
    name = _value(word, left)
    check_name(what, name)
    return name


def _value(word: str, left: Iterator[str]) -> str:
    value = next(left, None)
    if value is None:
        refuse(f"the option {word} needs a value")
    return value


def _number(word: str, value: str) -> int:
    if not re.fullmatch("[0-9]+", value):
        refuse(f"{word} needs a number, not `{value}`")
    return int(value)
