"""A stack's state as `pulumi stack export` prints it, made of what the program registers.

So what is read from a state in these tests cannot drift from what the program puts there. That
the real export reads the same is for the live tests.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from etcd_component import previous
from etcd_component.previous import Previous
from tests.unit.recording import Recording, Registered

_MARK = "4dabf18193072939515e22adb298388d"
ENCRYPTED = {
    _MARK: "1b47061264138c4ac30d75fd1eb44270",
    "ciphertext": "v1:bm90OmE6c2VjcmV0",
}

PROOF = "it ran [etcd-node test done]"


def export(
    recording: Recording,
    *,
    without: Callable[[Registered], bool] = lambda _: False,
    stdout: Mapping[str, str] | None = None,
    revealed: bool = False,
) -> str:
    """The export of a stack that these resources are in, less some; `revealed`, with secrets."""
    resources = [
        _resource(one, (stdout or {}).get(one.name, PROOF), revealed=revealed)
        for one in recording.resources.values()
        if not without(one)
    ]
    return json.dumps({"version": 3, "deployment": {"resources": resources}})


def left(
    recording: Recording,
    *,
    without: Callable[[Registered], bool] | str = "",
    stdout: Mapping[str, str] | None = None,
) -> Previous:
    """What is read from that export; `without` may be the end of names that are not there yet."""
    if isinstance(without, str):
        end = without
        return left(
            recording, without=lambda one: bool(end) and one.name.endswith(end), stdout=stdout
        )
    return previous.parse(export(recording, without=without, stdout=stdout))


def _resource(one: Registered, stdout: str, *, revealed: bool) -> dict[str, Any]:
    kept = _shown if revealed else _kept
    found: dict[str, Any] = {
        "urn": f"urn:pulumi:test::etcd::{one.type}::{one.name}",
        "type": one.type,
        "custom": not one.type.startswith("etcd:"),
        "parent": f"urn:pulumi:test::etcd::parent::{one.parent}",
        "inputs": {name: kept(name, value) for name, value in one.inputs.items()},
    }
    if one.protect:
        found["protect"] = True
    if one.retain_on_delete:
        found["retainOnDelete"] = True
    if not found["custom"]:
        found["outputs"] = one.outputs
    elif one.type.startswith("tls:"):
        # As the recording's provider makes them.
        kinds = ("privateKeyPem", "publicKeyPem", "certPem")
        made = {name: f"{name} of {one.name}\n" for name in kinds}
        found["outputs"] = {**found["inputs"], **made, "privateKeyPem": ENCRYPTED}
    if one.type == "command:remote:Command":
        found["outputs"] = {**found["inputs"], "stdout": stdout, "stderr": ""}
    if one.type == "pulumi:index:Stash":
        found["outputs"] = {**found["inputs"], "output": found["inputs"]["input"]}
    return found


def _kept(name: str, value: Any) -> Any:
    secret = isinstance(value, dict) and _MARK in value
    return ENCRYPTED if secret or name == "connection" else value


def _shown(name: str, value: Any) -> Any:
    """A value as the engine exports it with `--show-secrets`, and an asset with its hash."""
    if not isinstance(value, dict):
        return value
    if value.get(_MARK) == ENCRYPTED[_MARK]:
        return {_MARK: value[_MARK], "plaintext": json.dumps(_shown(name, value["value"]))}
    if _MARK in value:
        content = Path(value["path"]).read_bytes()
        return {**value, "hash": hashlib.sha256(content).hexdigest()}
    return {key: _shown(name, each) for key, each in value.items()}
