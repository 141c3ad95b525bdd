"""What a stack says of its clusters: read from its state, which is what the last update put there.

The state and not the inventory: an edit that was not applied yet is no drift, and the preview
shows it. Expected files are the texts that were sent to the nodes, so nothing is worked out twice.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from etcd_component.render import NODE_PROGRAM, fingerprint
from etcd_component.ssh import DEFAULT_PORT, Login

_SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the engine's mark of any secret
_SECONDS = 120
"""For Pulumi to give the state: a backend may be far away."""


class CannotRead(Exception):  # noqa: N818 - the domain's word
    """The stack does not say what a cluster should be; a sentence with the cure."""


@dataclass(frozen=True, slots=True)
class Files:
    """What was put on a node, and how to look there."""

    login: Login
    program: str = field(repr=False)
    """The text of the node program."""
    owner: str
    settings: str
    """etcd's configuration, less how the seat was taken."""
    unit: str
    ca: str
    certificate: str
    rolled_out: bool
    """Whether the last update got so far that the member runs with them."""
    repair: int
    """The number by which changes made by hand were last put back."""


@dataclass(frozen=True, slots=True)
class Member:
    """An instance as the stack has it."""

    name: str
    address: str
    client_url: str
    peer_url: str
    version: str
    learner: bool
    files: Files | None
    """None when an update has not got so far yet."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as the stack has it, and what lets a client in."""

    name: str
    members: tuple[Member, ...]
    ca: str
    client_certificate: str
    client_key: str = field(repr=False)
    root_password: str = field(repr=False)


def export(stack: str) -> Mapping[str, Any]:
    """The state of a stack, secrets in the clear: for `read` alone. Raises CannotRead."""
    command = ["pulumi", "stack", "export", "--show-secrets", "--stack", stack]
    try:
        done = subprocess.run(
            [*command, "--non-interactive"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except FileNotFoundError:
        raise CannotRead('there is no `pulumi` on PATH; type: eval "$(make -s env)"') from None
    except subprocess.TimeoutExpired:
        raise CannotRead(f"the stack's backend gives no state within {_SECONDS} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("error: ") or "it gives no reason"
        raise CannotRead(f"Pulumi does not give the state of the stack {stack}: {said}")
    try:
        state: Mapping[str, Any] = json.loads(done.stdout)["deployment"]
    except (ValueError, KeyError):
        raise CannotRead(f"what Pulumi gives is no state of the stack {stack}") from None
    return state


def read(state: Mapping[str, Any], stack: str) -> tuple[Cluster, ...]:
    """The clusters of an exported state. Raises CannotRead when there are none yet."""
    resources = state.get("resources") or []
    outputs = _revealed(resources[0].get("outputs", {})) if resources else {}
    if not outputs.get("members"):
        raise CannotRead(
            f"the stack {stack} has no outputs: no `pulumi up` of it has been finished; run it"
        )
    commands = {
        one["urn"].rpartition("::")[2]: one.get("inputs", {})
        for one in resources
        if one["type"] == "command:remote:Command" and not one.get("delete")
    }
    return tuple(_clusters(outputs, commands))


def _clusters(
    outputs: Mapping[str, Any], commands: Mapping[str, Mapping[str, Any]]
) -> Iterator[Cluster]:
    several = isinstance(outputs["members"], dict)
    if several:
        names = list(outputs["members"])
    else:
        names = [outputs["members"][0]["instance"].rpartition("-")[0]]
    for name in names:
        own = {key: value[name] if several else value for key, value in outputs.items()}
        owner = commands.get(f"{name}-owner", {}).get("triggers") or [""]
        yield Cluster(
            name,
            tuple(_member(one, owner[0], commands) for one in own["members"]),
            own["ca_cert"],
            own["client_cert"],
            own["client_key"],
            own["root_password"],
        )


def _member(
    said: Mapping[str, Any], owner: str, commands: Mapping[str, Mapping[str, Any]]
) -> Member:
    name = said["instance"]
    steps = {
        step: commands.get(f"{name}-{step}", {}) for step in ("node", "tls", "config", "rollout")
    }
    return Member(
        name,
        said["ip"],
        said["client_url"],
        said["peer_url"],
        # An older update of the project left these two out.
        said.get("version") or _option("version", steps["rollout"]),
        bool(said.get("learner")),
        _files(owner, steps) if all(one.get("create") for one in steps.values()) else None,
    )


def _files(owner: str, steps: Mapping[str, Mapping[str, Any]]) -> Files:
    config = _sections(_revealed(steps["config"]["stdin"]))
    pki = _sections(_revealed(steps["tls"]["stdin"]))
    (unit,) = (text for name, text in config.items() if name.endswith(".service"))
    create = steps["config"]["create"]
    sudo = bool(create.partition(NODE_PROGRAM)[0].strip())
    return Files(
        _login(_revealed(steps["config"]["connection"]), sudo=sudo),
        _revealed(steps["node"]["stdin"]),
        owner,
        config["etcd.yaml"],
        unit,
        pki["ca.crt"],
        pki["server.crt"],
        _option("to", steps["rollout"]) == fingerprint(config["etcd.yaml"], unit, pki["ca.crt"]),
        int(_option("repair", steps["config"]) or 0),
    )


def _option(name: str, step: Mapping[str, Any]) -> str:
    found = re.search(rf"--{name} (\S+)", step.get("create", ""))
    return found[1] if found else ""


def _sections(text: str) -> dict[str, str]:
    """The files of a text in which each begins with a line `--- NAME`, as a node keeps them."""
    parts = re.split(r"^--- (\S+)\n", text, flags=re.MULTILINE)[1:]
    return {
        name: body.rstrip("\n") + "\n" for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


def _login(connection: Mapping[str, Any], *, sudo: bool) -> Login:
    proxy = connection.get("proxy")
    key = connection.get("privateKey")
    return Login(
        host=connection["host"],
        port=int(connection.get("port") or DEFAULT_PORT),
        user=connection.get("user") or "root",
        sudo=sudo,
        private_key=key,
        private_key_passphrase=connection.get("privateKeyPassword"),
        agent=not key,
        host_key=connection.get("hostKey"),
        bastion=_login(proxy, sudo=False) if proxy else None,
    )


def _revealed(value: Any) -> Any:
    """A value of the state with what is secret in it in the clear."""
    if isinstance(value, dict):
        if _SECRET in value:
            return _revealed(json.loads(value["plaintext"]))
        return {key: _revealed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_revealed(each) for each in value]
    return value
