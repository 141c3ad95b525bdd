"""Which users, roles and clients come, change and go, and whose password changes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etcd_component import desired
from etcd_component.changes.recorded import is_remembered, options
from etcd_component.changes.words import listed
from etcd_component.model import Cluster
from etcd_component.previous import Previous

_Document = Mapping[str, Any]


def changes(previous: Previous, cluster: Cluster) -> Iterator[str]:
    """A sentence for each kind of change to users, roles and clients of a cluster that is there."""
    recorded = previous.outputs.get(("etcd:index:Cluster", cluster.name), {}).get("desired")
    before = recorded if isinstance(recorded, Mapping) else {}
    after = desired.access_document(cluster)
    clients = {one.name for one in cluster.settings.clients}
    for verb, names in (
        ("come", _apart(after, before, clients)),
        ("change", _differing(before, after, clients)),
        ("go", _apart(before, after, _clients_of(before))),
    ):
        if names:
            verbs = {"come": "is made", "change": "gets other rights", "go": "is removed"}
            many = {"come": "are made", "change": "get other rights", "go": "are removed"}
            yield f"{listed(names)} {many[verb] if names[1:] else verbs[verb]}"
    yield from _passwords(previous, cluster, set(before.get("users", ())))
    yield from _undeclared(previous, cluster)


def _undeclared(previous: Previous, cluster: Cluster) -> Iterator[str]:
    """What becomes of users and roles that nobody declared, where that is another fate."""
    removed = "--remove" in options(previous.command(f"{cluster.name}-declared"))
    removes = cluster.settings.undeclared_access == "remove"
    if removed != removes:
        fate = "removed" if removes else "only reported from now on"
        yield f"users and roles that nobody declared are {fate} (etcd_undeclared_access)"


def _clients_of(document: _Document) -> set[str]:
    """A client is a user and a role of its name."""
    roles = document.get("roles", {})
    return {
        name for name, has in document.get("users", {}).items() if has == [name] and name in roles
    }


def _apart(these: _Document, others: _Document, clients: set[str]) -> list[str]:
    """What is in the one and not in the other document."""
    users, roles = (
        [name for name in these.get(kind, {}) if name not in others.get(kind, {})]
        for kind in ("users", "roles")
    )
    return _named(users, roles, clients)


def _differing(before: _Document, after: _Document, clients: set[str]) -> list[str]:
    users, roles = (
        [
            name
            for name, value in after.get(kind, {}).items()
            if name in before.get(kind, {}) and before[kind][name] != value
        ]
        for kind in ("users", "roles")
    )
    return _named(users, roles, clients)


def _named(users: Sequence[str], roles: Sequence[str], clients: set[str]) -> list[str]:
    both = dict.fromkeys([*users, *roles])
    return [
        *(f"client {name}" for name in both if name in clients),
        *(f"role {name}" for name in roles if name not in clients),
        *(f"user {name}" for name in users if name not in clients),
    ]


def _passwords(previous: Previous, cluster: Cluster, users: set[str]) -> Iterator[str]:
    changed = [
        f"{one.name}'s"
        for one in cluster.all_users
        if one.password is None
        and one.name in users
        and not is_remembered(
            previous, f"{cluster.name}-password-{one.name}-{one.password_generation}"
        )
    ]
    root = cluster.settings.root_password_generation
    if root > 1 and not is_remembered(previous, f"{cluster.name}-root-password-{root}"):
        changed.insert(0, "root's")
    if changed:
        passwords = "passwords change" if changed[1:] else "password changes"
        yield f"{listed(changed)} {passwords}"
