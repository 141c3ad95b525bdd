"""The inventory: the cluster model's YAML fragment, or a Pigsty inventory, becomes the model.

All mistakes are found together and reported with their place and their cure, before anything
is touched.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from etcd_component import ssh
from etcd_component.inventory import monitor, yamlfile
from etcd_component.inventory.draft import Draft, Seat, draft_cluster
from etcd_component.inventory.groups import Vars, read_groups
from etcd_component.inventory.rules import (
    advise,
    check_machines,
    check_members,
    check_names,
    check_seats,
)
from etcd_component.inventory.site import GetSetting, Site, Stack, settle
from etcd_component.inventory.values import Said
from etcd_component.mistake import Findings, InvalidInventory, Mistake
from etcd_component.model import Cluster, Monitor

__all__ = ["Plan", "load", "read", "read_file"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the stack wants: clusters, a monitor, and sentences that a person should read."""

    clusters: tuple[Cluster, ...]
    warnings: tuple[str, ...]
    monitor: Monitor | None = None
    drift: bool = True
    """Whether a preview looks at nodes and members."""


def load(get: GetSetting, environ: Mapping[str, str]) -> Plan:
    """Everything the stack is configured with.

    `get` answers a configuration key without its namespace, parsed and decrypted. Raises
    InvalidInventory with all mistakes of the settings and of the inventory.
    """
    findings = Findings()
    stack = settle(get, environ, findings)
    clusters: tuple[Cluster, ...] = ()
    try:
        found, source = _written(stack)
        clusters, warnings = read(found, site=stack.site, secrets=stack.secrets, source=source)
        findings.warnings.extend(warnings)
    except InvalidInventory as invalid:
        findings.mistakes.extend(invalid.mistakes)
    watcher = None
    if stack.monitor:
        watcher = monitor.read(stack.monitor, clusters, stack.site, findings)
    if findings.mistakes:
        raise InvalidInventory(findings.mistakes)
    return Plan(clusters, tuple(findings.warnings), watcher, stack.drift)


def _written(stack: Stack) -> tuple[Mapping[Any, Any], str]:
    if stack.inventory_file:
        return read_file(stack.inventory_file), str(stack.inventory_file)
    return stack.inventory or {}, ""


def read_file(path: Path) -> dict[Any, Any]:
    """The content of an inventory file in YAML, such as Pigsty's `pigsty.yml`.

    Raises InvalidInventory for a file that cannot be read and for keys that stand twice.
    """
    return yamlfile.read_mapping(path)


def read(
    inventory: Mapping[Any, Any],
    *,
    site: Site,
    secrets: Mapping[str, str] = MappingProxyType({}),
    source: str = "",
) -> tuple[tuple[Cluster, ...], tuple[str, ...]]:
    """The clusters of an inventory, by name, and warnings.

    `secrets` are the values of `etcd_root_password`, `etcd_ca_cert` and `etcd_ca_key` for
    clusters that do not say their own. `source` is the file it comes from, named in messages;
    empty for the stack's own configuration. Raises InvalidInventory with all mistakes.
    """
    findings = Findings()
    groups = read_groups(inventory, source, findings)
    wanted = [group for group in groups if group.is_cluster]
    if not wanted:
        findings.wrong(
            source or "etcd:inventory",
            "no host has an etcd_seq, so there is no cluster",
            "paste one, such as `etcd: {hosts: {10.10.10.10: {etcd_seq: 1}},"
            " vars: {etcd_cluster: etcd}}`",
        )
    below = _below(site, secrets)
    drafts = [draft_cluster(group, below, site, findings) for group in wanted]
    _log_in(drafts, site, findings)
    clusters = [draft.cluster() for draft in drafts]
    check_names(drafts, findings)
    for draft, cluster in zip(drafts, clusters, strict=True):
        check_seats(draft, findings)
        check_members(draft, cluster, findings)
    check_machines([seat for draft in drafts for seat in draft.seats], findings)
    if findings.mistakes:
        raise InvalidInventory(findings.mistakes)
    for cluster in clusters:
        advise(cluster, findings)
    return tuple(sorted(clusters, key=lambda one: one.name)), tuple(sorted(findings.warnings))


def _below(site: Site, secrets: Mapping[str, str]) -> Vars:
    """What holds for every cluster that does not say otherwise."""
    vars_ = {name: Said(value, f"etcd:{name}") for name, value in secrets.items()}
    if site.archive_url:
        vars_["etcd_archive_url"] = site.archive_url
    return vars_


def _log_in(drafts: Iterable[Draft], site: Site, findings: Findings) -> None:
    """Look up keys and host keys of all nodes at the same time."""
    seats = [seat for draft in drafts for seat in draft.seats if not seat.instance.lost]

    def look_up(seat: Seat) -> ssh.Login | ssh.CannotLogIn:
        if seat.reach is None or not site.settled:
            return seat.instance.node.login
        try:
            return site.access.login(**seat.reach)
        except ssh.CannotLogIn as refusal:
            return refusal

    with ThreadPoolExecutor(max_workers=8) as pool:
        logins = list(pool.map(look_up, seats))
    for seat, login in zip(seats, logins, strict=True):
        if isinstance(login, ssh.CannotLogIn):
            findings.mistakes += [Mistake(seat.place, *finding) for finding in login.findings]
        else:
            node = replace(seat.instance.node, login=login)
            seat.instance = replace(seat.instance, node=node)
