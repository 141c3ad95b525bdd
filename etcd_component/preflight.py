"""`preflight`: can the machines of a stack be its members? All are asked, and nothing is changed.

The inventory says which machines, so no `pulumi up` need have been made. Each runs this checkout's
`etcd-node preflight`, which is sent along and not kept.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from etcd_component import backend, contact
from etcd_component.inventory import Plan, load
from etcd_component.inventory.site import NAMESPACE, parsed
from etcd_component.inventory.stackfile import as_written
from etcd_component.model import Cluster, Instance
from etcd_component.status import CannotRead, machines
from etcd_component.status.facts import NotLookedAt

SECONDS = 90
"""How long a node may take: a slow disk is written to for 20 of them."""
_AT_ONCE = 16
_NO_STACK_YET = "none"
"""An owner that no machine has been claimed by."""
_OWNER = "-owner"
_OF_CLUSTER = "etcd:index:Cluster$pulumi:index:Stash::"


@dataclass(frozen=True, slots=True)
class Result:
    """What a machine says of an instance that is to be there."""

    name: str
    host: str
    is_fit: bool
    words: str
    """A sentence, or several lines."""

    def __str__(self) -> str:
        return f"{self.name} ({self.host}): {self.words}"


def preflight(stack: str, environ: Mapping[str, str]) -> list[Result]:
    """Ask all machines of a stack. Raises CannotRead, InvalidInventory.

    `pulumi` must be on PATH, and the current directory the project's.
    """
    clusters = configured(stack, environ).clusters
    wanted = [(cluster, one) for cluster in clusters for one in cluster.instances if not one.lost]
    owners = _owners(stack)
    with (
        # Only its owner can look into it; private keys are in it for a moment.
        tempfile.TemporaryDirectory(prefix="etcd-preflight-") as place,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        asking = [
            pool.submit(_ask, cluster, one, owners.get(cluster.name, _NO_STACK_YET), Path(place))
            for cluster, one in wanted
        ]
        return [one.result() for one in asking]


def configured(stack: str, environ: Mapping[str, str]) -> Plan:
    """What a stack wants, without an engine. Raises CannotRead, InvalidInventory."""
    try:
        values = backend.configuration(stack)
    except backend.NoAnswer as reason:
        raise CannotRead(str(reason)) from None
    get = as_written(lambda key: parsed(key, values.get(f"{NAMESPACE}:{key}")), stack, Path.cwd())
    return load(get, environ)


def _owners(stack: str) -> dict[str, str]:
    """By cluster, as its machines know the stack; nothing before the first update.

    Raises CannotRead: a stack that is not known would be another one to its own machines.
    """
    try:
        exported = backend.ask(stack, "state", "export", secrets=False)
        resources = (json.loads(exported)["deployment"] or {}).get("resources") or ()
        return {
            name.removesuffix(_OWNER): str(one["outputs"]["output"])
            for one in resources
            for name in [one["urn"].rpartition("::")[2]]
            if _OF_CLUSTER in one["urn"] and name.endswith(_OWNER)
        }
    except backend.NoAnswer as reason:
        raise CannotRead(str(reason)) from None
    except (ValueError, KeyError, TypeError, IndexError):
        raise CannotRead(f"what Pulumi gives is no state of the stack {stack}") from None


def _ask(cluster: Cluster, instance: Instance, owner: str, place: Path) -> Result:
    login = instance.node.login
    words = ["preflight", *_options(cluster, instance, owner)]
    command, stdin = contact.loaded(words, sudo=login.sudo)

    def result(text: str, *, is_fit: bool = False) -> Result:
        return Result(instance.name, instance.node.address, is_fit, text)

    try:
        way = machines.prepare(login, place / instance.name)
        status, printed, complaint = machines.ask(way, command, stdin, SECONDS)
    except NotLookedAt as reason:
        return result(f"could not be looked at: {reason}")
    said = "".join(f"\n  {line}" for line in printed.splitlines() if line.startswith("warning: "))
    if status == 0 and contact.proves(printed):
        last = printed.rstrip().splitlines()[-2]
        return result(last.removeprefix(f"{instance.name}: ") + said, is_fit=True)
    _, found, findings = complaint.partition("nothing was changed:\n")
    if found:
        return result(f"not fit:\n{findings.rstrip()}{said}")
    why = machines.why(status, complaint)
    if status == 0:
        first = printed.strip().partition("\n")[0][:100]
        why = f"its answer is not that of etcd-node, but `{first}`"
    return result(f"could not be looked at: {why}")


def _options(cluster: Cluster, instance: Instance, owner: str) -> Iterator[str]:
    settings = cluster.settings
    for option, value in {
        "cluster": cluster.name,
        "owner": owner,
        "name": instance.name,
        "address": instance.node.address,
        "client-port": instance.client_port,
        "peer-port": instance.peer_port,
        "data": instance.data_dir,
        "method": settings.install,
        "version": settings.version,
        "quota": settings.quota_bytes,
        "clock": int(time.time()),
        "peers": cluster.peers_of(instance),
    }.items():
        if value != "":
            yield from (f"--{option}", str(value))
