"""Roles, users and clients as they are declared: from what a person wrote to the model.

What stands in one entry is read here with its own place, so that every mistake names its line.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from etcd_component.inventory import values
from etcd_component.inventory.values import Reader, Said, shown
from etcd_component.mistake import Findings, Wrong
from etcd_component.model import ROOT, Access, Client, Kind, Permission, Role, Scope, User
from etcd_component.suggestion import hint

_Entry = TypeVar("_Entry", Role, User, Client)

_ACCESS: Final = values.choice("read", "write", "readwrite")
_SCOPES: Final[tuple[Scope, ...]] = ("key", "prefix", "range")

_OF_A_PERMISSION: Final[Mapping[str, Reader]] = {
    "permission": _ACCESS,
    "key": values.key,
    "prefix": values.prefix,
    "range": values.key_range,
}
_OF_A_USER: Final[Mapping[str, Reader]] = {
    "roles": values.names,
    "password": values.password,
    "password_generation": values.generation,
}
_OF_A_CLIENT: Final[Mapping[str, Reader]] = {
    "kind": values.choice("patroni", "vip-manager", "plain"),
    "prefix": values.directory,
    "key": values.key,
    "permission": _ACCESS,
    "password": values.password,
    "password_generation": values.generation,
    # Of each one something is remembered.
    "cert_generation": values.integer(1, 100),
    "revoked": values.generations,
}
_PREFIX_OF: Final[Mapping[Kind, str]] = {
    "patroni": "write the namespace and the scope, such as prefix: /pg/main/",
    "vip-manager": "write that of its Patroni, such as prefix: /pg/main/",
    "plain": "write what its keys begin with, such as prefix: /app/",
}
_ONLY_OF: Final[Mapping[str, Kind]] = {"key": "vip-manager", "permission": "plain"}


def read_roles(said: Said, findings: Findings) -> tuple[Role, ...]:
    """The roles that `etcd_roles` declares, as far as they can stand, by name."""
    return _entries(said, _role, findings)


def read_users(said: Said, findings: Findings) -> tuple[User, ...]:
    """The users that `etcd_users` declares, as far as they can stand, by name."""
    return _entries(said, _user, findings)


def read_clients(said: Said, findings: Findings) -> tuple[Client, ...]:
    """The clients that `etcd_clients` declares, as far as they can stand, by name."""
    return _entries(said, _client, findings)


def check(vars_: Mapping[str, Said], findings: Findings) -> None:
    """No two things have one name, and users have only roles that are declared.

    Looks at names alone, so that an entry that cannot stand leaves the others right.
    """
    written = {
        what: said.value if said and isinstance(said.value, Mapping) else {}
        for what in ("etcd_roles", "etcd_users", "etcd_clients")
        for said in [vars_.get(what)]
    }
    for other, what in (("etcd_roles", "role"), ("etcd_users", "user")):
        for name in written["etcd_clients"].keys() & written[other].keys():
            findings.wrong(
                f"{vars_['etcd_clients'].place}.{name}",
                f"it brings a user and a role of its name, and {vars_[other].place} has a {what}"
                " of that name too",
                "call one of them otherwise",
            )
    known = {str(name) for name in (*written["etcd_roles"], *written["etcd_clients"])}
    for name, body in written["etcd_users"].items():
        roles = body.get("roles") if isinstance(body, Mapping) else None
        place = f"{vars_['etcd_users'].place}.{name}.roles"
        for role in roles if isinstance(roles, list) else ():
            if isinstance(role, str) and role not in known | {ROOT}:
                findings.wrong(place, f"no role {role} is declared", _which_role(role, known))


def _which_role(role: str, known: Collection[str]) -> str:
    return hint(role, known, "declare it in etcd_roles")


def _entries(
    said: Said, read: Callable[[str, Said, Findings], _Entry | None], findings: Findings
) -> tuple[_Entry, ...]:
    found: dict[str, _Entry] = {}
    for key, value in said.value.items():
        place = f"{said.place}.{key}"
        with findings.at(place):
            name = values.entry_name(key)
            entry = read(name, Said(values.plain(value), place), findings)
            if entry is not None:
                found[name] = entry
    return tuple(found[name] for name in sorted(found))


def _role(name: str, said: Said, findings: Findings) -> Role:
    if not isinstance(said.value, Sequence) or isinstance(said.value, str):
        cure = "write a list, such as [{permission: readwrite, prefix: /app/}]"
        raise Wrong(f"it is {values.kind(said.value)}, not a list of permissions", cure)
    found: list[Permission] = []
    for number, body in enumerate(said.value, 1):
        place = f"{said.place}[{number}]"
        with findings.at(place):
            permission = _permission(Said(values.plain(body), place), findings)
            if permission is None:
                continue
            if any(one.span == permission.span for one in found):
                raise Wrong(
                    f"the {permission.scope} {shown(permission.key)} stands in this role twice",
                    "keep one of the two; readwrite is both read and write",
                )
            found.append(permission)
    return Role(name, tuple(found))


def _permission(said: Said, findings: Findings) -> Permission | None:
    body = _fields(said, _OF_A_PERMISSION, findings)
    if body is None:
        return None
    scopes = [scope for scope in _SCOPES if scope in said.value]
    if len(scopes) != 1:
        problem = f"it has {' and '.join(scopes)}" if scopes else "it does not say for which keys"
        raise Wrong(problem, "write one of key, prefix and range")
    if "permission" not in said.value:
        raise Wrong(
            "it does not say what may be done", "write permission: read, write or readwrite"
        )
    (scope,) = scopes
    if scope not in body or "permission" not in body:
        return None  # What cannot be read is a mistake already.
    access: Access = body["permission"]
    if scope == "range":
        return Permission(access, scope, *body["range"])
    return Permission(access, scope, body[scope])


def _user(name: str, said: Said, findings: Findings) -> User | None:
    body = _fields(said, _OF_A_USER, findings)
    if body is None:
        return None
    if "roles" not in said.value:
        raise Wrong("it is not said what this user may do", "name its roles, such as roles: [app]")
    _check_password(said)
    return User(name, body.pop("roles", ()), **body)


def _check_password(said: Said) -> None:
    if {"password", "password_generation"} <= said.value.keys():
        raise Wrong(
            "it has password and password_generation",
            "keep one of the two: a given password is changed by giving another",
        )


def _client(name: str, said: Said, findings: Findings) -> Client | None:
    body = _fields(said, _OF_A_CLIENT, findings)
    if body is None:
        return None
    if "kind" not in said.value:
        raise Wrong("it has no kind", "write kind: patroni, vip-manager or plain")
    if "kind" not in body:
        return None
    kind: Kind = body.pop("kind")
    for field, only in _ONLY_OF.items():
        if field in said.value and kind != only:
            raise Wrong(f"{field} is not for kind {kind}", f"take it out; only {only} has one")
    permission = _least(kind, said, body)
    if permission is None:
        return None
    _check_password(said)
    current = body.get("cert_generation", 1)
    if any(one >= current for one in body.get("revoked", ())):
        raise Wrong(
            f"its certificate of generation {current} is the one in use, and would be refused",
            f"raise cert_generation above those that are revoked, such as to"
            f" {max(body['revoked']) + 1}",
        )
    return Client(name, kind, permission, **body)


def _least(kind: Kind, said: Said, body: dict[str, Any]) -> Permission | None:
    """The least that a client of this kind needs; taken out of its fields."""
    prefix, key = body.pop("prefix", None), body.pop("key", None)
    access: Access = body.pop("permission", "readwrite")
    if "prefix" in said.value and "key" in said.value:
        raise Wrong("it has key and prefix", "keep one of the two")
    if not {"prefix", "key"} & said.value.keys():
        raise Wrong(f"a client of kind {kind} needs a prefix", _PREFIX_OF[kind])
    if kind == "vip-manager":
        key = key if prefix is None else f"{prefix}leader"
        return None if key is None else Permission("read", "key", key)
    return None if prefix is None else Permission(access, "prefix", prefix)


def _fields(said: Said, readers: Mapping[str, Reader], findings: Findings) -> dict[str, Any] | None:
    """The fields of an entry that can be read; None when it is no mapping or has unknown ones."""
    if not isinstance(said.value, Mapping):
        cure = f"write a mapping with {_listed(readers)}"
        raise Wrong(f"it is {values.kind(said.value)}, not a mapping", cure)
    found: dict[str, Any] = {}
    known = True
    for field, value in said.value.items():
        with findings.at(f"{said.place}.{field}"):
            if field not in readers:
                known = False
                cure = hint(field, readers, f"there are {_listed(readers)}")
                raise Wrong("there is no such field", cure)
            found[field] = readers[field](values.plain(value))
    return found if known else None


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"
