"""etcd's own configuration keys: which a line of releases knows, which are left to people."""

import functools
import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from etcd_component.inventory.values import (
    Reader,
    boolean,
    integer,
    mapping,
    nanoseconds,
    plain,
    shown,
    whole,
)
from etcd_component.mistake import Wrong
from etcd_component.suggestion import closest, hint

_PARAMETER_OF: Final = MappingProxyType(
    {
        "data-dir": "etcd_data",
        "election-timeout": "etcd_election_timeout",
        "heartbeat-interval": "etcd_heartbeat_interval",
        "quota-backend-bytes": "etcd_quota",
        "auto-compaction-retention": "etcd_compaction_retention",
        "snapshot-count": "etcd_snapshot_count",
        "metrics": "etcd_metrics",
        "log-level": "etcd_log_level",
        "auth-token": "etcd_auth_token",
    }
)
_DECIDED: Final = MappingProxyType(
    {
        "name": "it is the instance's name",
        "listen-peer-urls": "it follows from the address and etcd_peer_port",
        "listen-client-urls": "it follows from the address and etcd_port",
        "listen-client-http-urls": "Patroni expects HTTP and gRPC at one port",
        "initial-advertise-peer-urls": "it follows from the address and etcd_peer_port",
        "advertise-client-urls": "it follows from the address and etcd_port",
        "initial-cluster": "it follows from the members",
        "initial-cluster-state": "it follows from what the members say",
        "initial-cluster-token": "it is made once, when the cluster is founded",
        "client-transport-security": "certificates are made and renewed here",
        "peer-transport-security": "certificates are made and renewed here",
        "strict-reconfig-check": "it keeps the quorum safe and stays on",
        "force-new-cluster": "it would throw all other members out at every start",
        "enable-grpc-gateway": "Patroni needs it, so it stays on",
        "auto-compaction-mode": "it is periodic; see etcd_compaction_retention",
        "wal-dir": "everything an instance stores is below etcd_data",
        "discovery": "the members are known from the inventory",
        "discovery-config": "the members are known from the inventory",
        "discovery-proxy": "the members are known from the inventory",
        "discovery-srv": "the members are known from the inventory",
        "discovery-srv-name": "the members are known from the inventory",
    }
)


_RENAMED: Final = MappingProxyType(
    {"experimental-snapshot-catch-up-entries": "snapshot-catchup-entries"}
)
"""Names that differ between 3.5 and later by more than the prefix `experimental-`."""

GATES: Final = "feature-gates"


def read(key: str, value: Any, minor: str) -> dict[str, Any]:
    """One of etcd's configuration keys with its value, as etcd's file of that line wants it.

    A key that another supported line calls otherwise is written as this line calls it, so that
    a change of version alone is one edit; what was an experimental switch may be a feature gate.
    Durations become nanoseconds. Raises Wrong for what that line does not know or take, and for
    what this program decides.
    """
    if key in _PARAMETER_OF:
        raise Wrong("it has a parameter of its own", f"set {_PARAMETER_OF[key]} instead")
    if key in _DECIDED:
        raise Wrong(f"this program writes it: {_DECIDED[key]}", "take it out")
    gate = _table()["gate_of"].get(key)
    if gate in feature_gates(minor):
        return {GATES: gates_text({gate: boolean(plain(value))})}
    if key == GATES:
        return _read_gates(_text(plain(value)), minor)
    name = _own_name(key, minor)
    return {name: _READERS[kind_of(minor, name)](plain(value))}


def _own_name(key: str, minor: str) -> str:
    """What a line calls a key that may be another line's; the key itself if it is nobody's."""
    keys = _table()["keys"]
    bare = _RENAMED.get(key, key.removeprefix("experimental-"))
    older = {later: earlier for earlier, later in _RENAMED.items()}.get(
        bare, f"experimental-{bare}"
    )
    # The newest name first: 3.6 knows both.
    candidates = [bare, older] if any(key in known for known in keys.values()) else []
    return next((name for name in candidates if name in keys[minor]), key)


def _read_gates(gates: str, minor: str) -> dict[str, Any]:
    states = gate_states(gates)
    if feature_gates(minor):
        _check_gates(gates, minor)
        return {GATES: gates}
    _check_gates(gates, "3.6")
    switch_of = {gate: key for key, gate in _table()["gate_of"].items()}
    for gate in states:
        if switch_of.get(gate) not in _table()["keys"][minor]:
            raise Wrong(f"etcd {minor} has nothing like the feature gate {gate}", "take it out")
    return {switch_of[gate]: state for gate, state in states.items()}


def gate_states(gates: str) -> dict[str, bool]:
    """`A=true,B=false` as a mapping."""
    pairs = (one.partition("=") for one in gates.split(",") if one.strip())
    return {name.strip(): state.strip() == "true" for name, _, state in pairs}


def gates_text(states: Mapping[str, bool]) -> str:
    """The mapping as `A=true,B=false`, in the order of the names."""
    return ",".join(f"{gate}={str(state).lower()}" for gate, state in sorted(states.items()))


def merged(options: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both together. Raises Wrong when they say one thing twice, but for gates."""
    states = {}
    for one in (options, more):
        for gate, state in gate_states(one.get(GATES, "")).items():
            if gate in states:
                raise Wrong(f"it sets the feature gate {gate} again", "keep one of the two")
            states[gate] = state
    for key in set(options) & set(more) - {GATES}:
        raise Wrong(f"it is the same as {key}, which is set too", "keep one of the two")
    return {**options, **more, **({GATES: gates_text(states)} if states else {})}


def _duration(value: Any) -> int:
    found = nanoseconds(value.strip()) if isinstance(value, str) else whole(value)
    if found is None:
        raise Wrong(f"{shown(value)} is not a duration", 'write one such as "5m" or "500ms"')
    return found


def _list(value: Any) -> list[str]:
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return list(value)
    raise Wrong(f"{shown(value)} is not a list of text", 'write one such as ["a", "b"]')


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise Wrong(f"{shown(value)} is not text", "write it in quotes")


_READERS: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "text": _text,
        "integer": integer(-(2**63), 2**63 - 1),
        "boolean": boolean,
        "duration": _duration,
        "list": _list,
        "object": mapping,
    }
)


def _check_gates(gates: str, minor: str) -> None:
    known = feature_gates(minor)
    for gate in gates.split(","):
        name, _, state = gate.partition("=")
        if name.strip() not in known or state.strip() not in {"true", "false"}:
            example = closest(name, known) or known[0]
            cure = f'write "{example}=true"; the gates are {", ".join(known)}'
            raise Wrong(f"etcd {minor} has no feature gate {shown(gate)}", cure)


def kind_of(minor: str, key: str) -> str:
    """Of what kind a configuration key of etcd is, in one line of releases.

    `text`, `integer`, `boolean`, `duration` (etcd's file wants nanoseconds), `list` (of text)
    or `object`. Raises Wrong when that line does not know the key: etcd would pass over it
    without a word.
    """
    keys: dict[str, str] = _table()["keys"][minor]
    if key in keys:
        return keys[key]
    raise Wrong(f"etcd {minor} does not know it", _other_name(key, keys))


def _other_name(key: str, keys: Mapping[str, str]) -> str:
    return hint(key, keys, "take it out")


def feature_gates(minor: str) -> tuple[str, ...]:
    """The feature gates that a line of releases knows."""
    return tuple(_table()["feature_gates"][minor])


@functools.cache
def _table() -> Any:
    return json.loads(
        resources.files("etcd_component").joinpath("data", "options.json").read_text()
    )
