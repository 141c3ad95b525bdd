"""What a node says of an instance: the document that `etcd-node facts` prints, typed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from etcd_component.etcd_api.errors import UnexpectedAnswer
from etcd_component.etcd_api.members import Member, parse_members
from etcd_component.ssh.client import NotLookedAt

__all__ = ["NO_CONFIGURATION", "SCHEMA", "Facts", "NotLookedAt", "parse"]

SCHEMA = 1
NO_CONFIGURATION = "none"
"""The stage of an instance of which the machine has no configuration."""


@dataclass(frozen=True, slots=True)
class Facts:
    """See `agent/facts.py`. What follows `stage` is empty where that is `none`."""

    owner: str
    """The stack that claimed the machine; empty if none did."""
    program: str
    """SHA-256 of the installed program as it was sent; empty where it is missing."""
    stage: str
    """none, not-joined, joining, joined or lost."""
    data: str = ""
    """whole, part or none; empty where nobody knows where the data should be."""
    missing_mount: str = ""
    file_system: str = ""
    unit: str = ""
    """Its ActiveState."""
    is_enabled: bool = True
    is_loaded: bool = True
    drop_ins: tuple[str, ...] = ()
    runs_the_files: bool = True
    crash: str = ""
    crash_kind: str = ""
    """data, machine or unknown; empty without a crash."""
    configuration: str = ""
    """etcd.yaml, less how the member joins."""
    settings: str = ""
    is_composed: bool = True
    unit_file: str = ""
    ca: str = ""
    """SHA-256, like `certificate`."""
    certificate: str = ""
    revoked: str = ""
    """DER in base64."""
    version: str = ""
    reported: str = ""
    """What the linked program says of itself; empty where it does not run."""
    exporter: str = ""
    """SHA-256 of its units; `stopped`, or empty where there are none."""
    rejoin: int = 0
    """The number by which the member last joined again."""
    members: tuple[Member, ...] = ()
    """As this member's own peer port has them; empty where it does not answer."""


_KINDS = {one.name: one.type for one in fields(Facts)}
_TEXTS = tuple[str, ...]


def parse(printed: str) -> Facts:
    """The facts that a node printed, perhaps behind a greeting. Raises NotLookedAt for others."""
    for line in reversed(printed.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and "schema" in found:
            return _facts(found)
    raise NotLookedAt("what the node answers is not understood")


def _facts(found: Mapping[str, Any]) -> Facts:
    try:
        if found["schema"] != SCHEMA:
            raise ValueError
        values = {name: _value(name, found[name]) for name in _KINDS if name in found}
        facts = Facts(**values)
        if facts.stage != NO_CONFIGURATION and not values.keys() >= _KINDS.keys():
            raise ValueError
    except (KeyError, TypeError, ValueError, UnexpectedAnswer):
        raise NotLookedAt("the node's program is of another version; run `pulumi up`") from None
    return facts


def _value(name: str, value: Any) -> Any:
    """A value of the document, if it is of the kind that it should be. Raises ValueError."""
    kind = _KINDS[name]
    if name == "members":
        return parse_members(value) if value else ()
    if kind == _TEXTS and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    if type(value) is not kind:
        raise ValueError(name)
    return value
