"""What a stack says of its clusters: read from its state, which is what the last update put there.

The state and not the inventory: an edit that was not applied yet is no drift, and the preview
shows it. Expected files are the texts that were sent to the nodes, so nothing is worked out twice.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from etcd_component import backend, desired
from etcd_component.agent.files import sections
from etcd_component.contact import without_sudo
from etcd_component.recorded import login_of, revealed
from etcd_component.ssh import Login
from etcd_component.status import access
from etcd_component.status.access import Access

_INSTANCE, _CLUSTER = "etcd:index:Instance", "etcd:index:Cluster"
_OF_INSTANCE = f"{_INSTANCE}$command:remote:Command"


class CannotRead(Exception):  # noqa: N818 - the domain's word
    """The stack does not say what a cluster should be; a sentence with the cure."""


@dataclass(frozen=True, slots=True)
class Files:
    """What was put on a node, and how to look there."""

    login: Login
    program: str
    """SHA-256 of the node program."""
    owner: str
    """The stack."""
    data_dir: str
    settings: str
    """etcd's configuration, less how the seat was taken."""
    unit: str
    ca: str
    certificate: str
    revoked: str
    """The list of revoked certificates, DER in base64; empty where there was none yet."""
    rolled_out: bool
    """Whether the last update got so far that the member runs with them."""
    repair: int
    """The number by which changes made by hand were last put back."""
    exporter: tuple[str, ...] = ()
    """The units that have the node tell what etcd does not know, in the order of their making."""
    rejoin: int = 0
    """The number by which the member was last to be removed and joined again."""


@dataclass(frozen=True, slots=True)
class Member:
    """An instance as the stack has it."""

    name: str
    client_url: str
    peer_url: str
    version: str
    learner: bool
    files: Files | None
    """None when an update has not got so far yet."""

    @property
    def address(self) -> str:
        """What the inventory calls its host."""
        return urlsplit(self.client_url).hostname or ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as the stack has it, and what lets a client in."""

    name: str
    members: tuple[Member, ...]
    ca: str
    client_certificate: str
    client_key: str = field(repr=False)
    root_passwords: tuple[str, ...] = field(repr=False)
    """The wanted one, and the one before, which is root's until an update has got so far."""
    access: Access | None = None
    """None while no update has got so far."""


def export(stack: str) -> Mapping[str, Any]:
    """The state of a stack, secrets in the clear: for `read` alone. Raises CannotRead."""
    try:
        exported = json.loads(backend.ask(stack, "state", "export"))
        state: Mapping[str, Any] = exported["deployment"] or {}
    except backend.NoAnswer as reason:
        raise CannotRead(str(reason)) from None
    except (ValueError, KeyError):
        raise CannotRead(f"what Pulumi gives is no state of the stack {stack}") from None
    return state


def read(state: Mapping[str, Any], stack: str) -> tuple[Cluster, ...]:
    """The clusters of an exported state. Raises CannotRead when there is none to look at yet.

    Outputs of the stack are not used: Pulumi drops them when an update fails, which is when people
    ask. Those of components stay.
    """
    found = clusters(state)
    if not found:
        raise CannotRead(
            f"the stack {stack} has no cluster that can be looked at: no `pulumi up` of it has got"
            " so far; run it"
        )
    return found


def clusters(state: Mapping[str, Any]) -> tuple[Cluster, ...]:
    """The same; none where no update has got so far. Raises CannotRead for one that is unclear."""
    return tuple(_clusters(_Kept(state.get("resources") or [])))


class _Kept:
    """The resources of a state by type and name, less those that are on their way out."""

    def __init__(self, resources: Iterable[Mapping[str, Any]]) -> None:
        # A cluster may be called as the monitor is.
        here = [
            one
            for one in resources
            if not one.get("delete") and "etcd:index:Monitor$" not in one["urn"]
        ]
        self._by_name = {(one["type"], _name(one["urn"])): one for one in here}
        # A role may be called as a Command of an instance is.
        self._of_instances = {_name(one["urn"]) for one in here if _OF_INSTANCE in one["urn"]}

    def command(self, name: str) -> Mapping[str, Any]:
        """Inputs of a Command; empty when there is none."""
        return self.part("command:remote:Command", name, "inputs")

    def part(self, kind: str, name: str, part: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._by_name.get((kind, name), {}).get(part) or {}
        return found

    def desired(self, kind: str, name: str) -> Mapping[str, Any]:
        """What a component says that should be; empty when it says nothing. Raises CannotRead."""
        found: Mapping[str, Any] = revealed(self.part(kind, name, "outputs").get("desired") or {})
        if found and found.get("schema") != desired.SCHEMA:
            raise CannotRead(
                f"what {name} should be was written by another version of this program; run"
                " `pulumi up`"
            )
        return found

    def instances(self) -> list[str]:
        """Names of all whose files were put on a node once, and that were not given up."""
        names = {
            name.removesuffix("-config") for name in self._of_instances if name.endswith("-config")
        }
        here = [one for one in names if not self.command(f"{one}-lost")]
        return sorted(here, key=lambda one: int(one.rpartition("-")[2]))


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _clusters(kept: _Kept) -> Iterator[Cluster]:
    wanted = [_desired_member(kept, name) for name in kept.instances()]
    for name in sorted({one["cluster"] for one in wanted}):
        own = [one for one in wanted if one["cluster"] == name]
        members = tuple(_member(one, kept) for one in own)
        logins = next((found for one in own if (found := _passwords(kept, one["name"]))), ())
        request = kept.part("tls:index/certRequest:CertRequest", f"{name}-client", "inputs")
        signed = kept.part(
            "tls:index/locallySignedCert:LocallySignedCert", f"{name}-client", "outputs"
        )
        bundles = dict.fromkeys(one.files.ca for one in members if one.files)
        if logins and request and signed and bundles:
            yield Cluster(
                name,
                members,
                # In the middle of a rotation not all have the same.
                "".join(bundles),
                revealed(signed["certPem"]),
                revealed(request["privateKeyPem"]),
                logins,
                access.desired(kept.desired(_CLUSTER, name)),
            )


def _desired_member(kept: _Kept, name: str) -> Mapping[str, Any]:
    found = kept.desired(_INSTANCE, name)
    if not found:
        raise CannotRead(
            f"the state does not say what {name} should be: another version of this program has"
            " written it, or an update was cut off; run `pulumi up`"
        )
    return found


def _passwords(kept: _Kept, name: str) -> tuple[str, ...]:
    """Root's passwords, as the seat of an instance was given them."""
    stdin = kept.command(f"{name}-member").get("stdin")
    lines = revealed(stdin).splitlines() if stdin else []
    return tuple(str(json.loads(line)["password"]) for line in lines)


def _member(wanted: Mapping[str, Any], kept: _Kept) -> Member:
    name = wanted["name"]
    steps = {
        step: kept.command(f"{name}-{step}")
        for step in ("node", "tls", "config", "rollout", "exporter")
    }
    return Member(
        name,
        wanted["client_url"],
        wanted["peer_url"],
        wanted["version"],
        wanted["learner"],
        _files(wanted, steps) if steps["node"] and steps["tls"] else None,
    )


def _files(wanted: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> Files:
    config = sections(revealed(steps["config"]["stdin"]))
    pki = sections(revealed(steps["tls"]["stdin"]))
    (unit,) = (text for name, text in config.items() if name.endswith(".service"))
    return Files(
        login_of(steps["config"]),
        wanted["program"],
        wanted["owner"],
        wanted["data_dir"],
        config["etcd.yaml"],
        unit,
        pki["ca.crt"],
        pki["server.crt"],
        pki.get("revoked.crl", "").strip(),
        # Both as they were last done, and as they are wanted.
        wanted["program"] in revealed(steps["node"].get("update") or "")
        and wanted["rollout"] == without_sudo(revealed(steps["rollout"].get("create") or "")),
        int(wanted["repair"]),
        tuple(sections(revealed(steps["exporter"].get("stdin", ""))).values()),
        int(wanted["rejoin"]),
    )
