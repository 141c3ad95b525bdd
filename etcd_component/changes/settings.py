"""Which options of etcd's configuration change, by their names."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml

from etcd_component.changes.words import shown
from etcd_component.model import Instance

# Ports are said by the names that the inventory has for them.
_ADDRESSES = frozenset(
    {
        "listen-peer-urls",
        "listen-client-urls",
        "initial-advertise-peer-urls",
        "advertise-client-urls",
    }
)
_EXPERIMENTAL = "experimental-"


def differences(before: str, after: str, *, same_minor: bool) -> tuple[str, ...]:
    """Options that differ between two configuration files, as `snapshot-count 10000 -> 20000`.

    Unless both are of the `same_minor` version, an option is no difference that one of them calls
    otherwise. Addresses are left out, see `ports`.
    """
    if before == after:
        return ()
    old, new = _options(before), _options(after)
    names = [
        one for one in {**old, **new} if one not in _ADDRESSES and old.get(one) != new.get(one)
    ]
    if not same_minor:
        names = [one for one in names if not _only_renamed(one, old, new)]
    return tuple(_difference(one, old, new) for one in names)


def ports(before: str, instance: Instance) -> tuple[str, ...]:
    """The ports that an instance leaves, as `etcd_port 2379 -> 3379`."""
    old = _options(before)
    pairs = (
        ("etcd_port", "advertise-client-urls", instance.client_port),
        ("etcd_peer_port", "initial-advertise-peer-urls", instance.peer_port),
    )
    return tuple(
        f"{name} {former} -> {port}"
        for name, key, port in pairs
        if (former := urlsplit(str(old.get(key, ""))).port) not in (None, port)
    )


def _options(text: str) -> Mapping[str, Any]:
    found = yaml.safe_load(text)
    return found if isinstance(found, dict) else {}


def _only_renamed(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if name in old and name in new:
        return False
    return (
        name == "feature-gates" or name.startswith(_EXPERIMENTAL) or f"{_EXPERIMENTAL}{name}" in old
    )


def _difference(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if name not in new:
        return f"{name} no longer set"
    value = shown(new[name])
    if name not in old or not value:
        return f"{name} {value}" if value and name not in old else name
    former = shown(old[name])
    return f"{name} {former} -> {value}" if former else f"{name} -> {value}"
