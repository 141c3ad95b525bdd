"""A cluster as far as it could be read: parameters become settings, hosts become seats."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from etcd_component import paths, ssh, versions
from etcd_component.inventory import access, authorities, options, parameters
from etcd_component.inventory.groups import Group, Host, Vars
from etcd_component.inventory.parameters import PARAMETERS, Level, Parameter
from etcd_component.inventory.site import Site
from etcd_component.inventory.values import MAX_PORT, TICKS_PER_ELECTION, Said, address
from etcd_component.mistake import Findings
from etcd_component.model import Cluster, Instance, Node, Settings

DEFAULT_CLUSTER: Final = "etcd"

NO_SEQ: Final = 0
"""Stands in for a number that is missing or cannot stand, so that the rest is still checked."""

_OF_ONE_HOST: Final = frozenset(
    name for name, row in PARAMETERS.items() if row.level is Level.INSTANCE
)

_REACH: Final[tuple[str, ...]] = ("host", "port", "user", "sudo", "private_key_file")


@dataclass(slots=True)
class Seat:
    """An instance in the making, and where it was written."""

    place: str
    instance: Instance
    reach: Mapping[str, Any] | None
    """Arguments of `Access.login`; None when what is said about them cannot stand."""


@dataclass(slots=True)
class Draft:
    """A cluster in the making."""

    group: Group
    name: str
    settings: Settings
    seats: list[Seat]

    def cluster(self) -> Cluster:
        """The cluster of what is known so far."""
        instances = sorted((seat.instance for seat in self.seats), key=lambda one: one.seq)
        return Cluster(self.name, tuple(instances), self.settings)


def draft_cluster(group: Group, below: Vars, site: Site, findings: Findings) -> Draft:
    """What a group says, as far as it can stand; `below` holds where the group says nothing."""
    vars_ = {**below, **group.vars}
    _check_levels(group, findings)
    name = _value("etcd_cluster", vars_, findings)
    if "etcd_init" in vars_:
        _value("etcd_init", vars_, findings)
        findings.warn(
            "etcd_init is not needed: whether a member founds or joins follows from what the"
            " other members say"
        )
    for unread in vars_.keys() & parameters.UNREAD.keys():
        findings.warn(f"{unread} is passed over: {parameters.UNREAD[unread]}")
    settings = _settings(group.place, vars_, site, findings)
    name = name or DEFAULT_CLUSTER
    seats = [_seat(name, host, {**below, **host.around}, site, findings) for host in group.hosts]
    draft = Draft(group, name, settings, [seat for seat in seats if seat])
    _check_archive_files(draft, vars_, findings)
    draft.settings = authorities.examined(
        draft.settings, [seat.instance for seat in draft.seats], vars_, findings
    )
    return draft


def _value(name: str, vars_: Vars, findings: Findings) -> Any | None:
    """A parameter's value; None when it is not said or cannot stand."""
    said = vars_.get(name)
    if said is not None:
        with findings.at(said.place):
            return parameters.read(PARAMETERS[name], said.value)
    return None


def _values(rows: Iterable[Parameter], vars_: Vars, findings: Findings) -> dict[str, Any]:
    found = {row.field: _value(row.name, vars_, findings) for row in rows if row.field}
    return {name: value for name, value in found.items() if value is not None}


def _check_levels(group: Group, findings: Findings) -> None:
    for name, said in group.vars.items():
        if name in PARAMETERS and PARAMETERS[name].level is Level.INSTANCE:
            cure = "put it on the host's own line"
            findings.wrong(said.place, f"{name} belongs to one host, not to all", cure)
    for host in group.hosts:
        for name, said in {**host.elsewhere, **host.own}.items():
            if name not in PARAMETERS or PARAMETERS[name].level is not Level.CLUSTER:
                continue
            if name not in group.vars or group.vars[name].value != said.value:
                findings.wrong(
                    said.place,
                    f"{name} belongs to the cluster, not to one host",
                    f"put it in {group.place}.vars",
                )


def _settings(place: str, vars_: Vars, site: Site, findings: Findings) -> Settings:
    rows = [row for row in PARAMETERS.values() if row.level is Level.CLUSTER]
    values = _values(rows, vars_, findings)
    values.setdefault("version", versions.newest(versions.DEFAULT_MINOR, site.checksums))
    values.setdefault("archive_url", versions.OFFICIAL_ARCHIVE)
    values["options"] = _options(values, vars_, findings)
    _read_access(values, vars_, findings)
    if "archive_file" in values:
        values["archive_file"] = str(site.located(values["archive_file"]))
    settings = Settings(**values)
    settings = replace(settings, archive_sha256=_sums(place, settings, vars_, site, findings))
    _check_times(place, settings, vars_, findings)
    if settings.install in {"package", "preinstalled"} and "etcd_version" not in vars_:
        findings.wrong(
            f"{place}.vars.etcd_version",
            f"with etcd_install: {settings.install} it must be said",
            f'write the release that is installed, such as "{settings.version}"',
        )
    if settings.install == "upload" and "etcd_archive_file" not in vars_:
        findings.wrong(
            f"{place}.vars.etcd_archive_file",
            "with etcd_install: upload it must be said",
            'write the archive\'s path here, such as "etcd-v{version}-linux-{arch}.tar.gz"',
        )
    authorities.check(place, settings, vars_, findings)
    return settings


def _check_archive_files(draft: Draft, vars_: Vars, findings: Findings) -> None:
    if draft.settings.install != "upload" or draft.settings.archive_file is None:
        return
    for arch in sorted({seat.instance.arch for seat in draft.seats}):
        path = draft.settings.archive_file_for(arch) or ""
        if not paths.is_file(Path(path)):
            findings.wrong(
                vars_["etcd_archive_file"].place,
                f"there is no file {path}",
                "correct the path, or fetch the archive",
            )


def _options(values: Mapping[str, Any], vars_: Vars, findings: Findings) -> Mapping[str, Any]:
    minor = versions.minor_of(values["version"])
    found: dict[str, Any] = {}
    for key, value in sorted(values.get("options", {}).items()):
        with findings.at(f"{vars_['etcd_options'].place}.{key}"):
            own = options.read(key, value, minor)
            found = options.merged(found, own)
            if key not in own:
                said = ", ".join(f"{name}: {one}" for name, one in own.items())
                findings.warn(
                    f"etcd_options: etcd {minor} calls {key} otherwise; written is {said}"
                )
    return MappingProxyType(found)


def _read_access(values: dict[str, Any], vars_: Vars, findings: Findings) -> None:
    """Turn what is declared into roles, users and clients."""
    for name, read in (
        ("etcd_roles", access.read_roles),
        ("etcd_users", access.read_users),
        ("etcd_clients", access.read_clients),
    ):
        field = PARAMETERS[name].field or ""
        if field in values:
            values[field] = read(Said(values[field], vars_[name].place), findings)
    access.check(vars_, findings)


def _sums(
    place: str, settings: Settings, vars_: Vars, site: Site, findings: Findings
) -> Mapping[str, str]:
    if settings.install not in {"archive", "upload"}:
        return MappingProxyType({})
    if "etcd_archive_sha256" in vars_:
        return settings.archive_sha256
    known = site.checksums.get(settings.version)
    if known:
        return MappingProxyType(dict(known))
    said = vars_.get("etcd_version")
    newest = versions.newest(settings.minor, site.checksums)
    findings.wrong(
        said.place if said else f"{place}.vars.etcd_version",
        f"no checksum of etcd {settings.version} is known",
        "set etcd_archive_sha256, or etcd:checksumsFile to the SHA256SUMS of that release"
        + (f', or use "{newest}"' if newest else ""),
    )
    return MappingProxyType({})


def _check_times(place: str, settings: Settings, vars_: Vars, findings: Findings) -> None:
    def at(*names: str) -> str:
        said = [vars_[name].place for name in names if name in vars_]
        return said[0] if said else f"{place}.vars.{names[0]}"

    ticks = TICKS_PER_ELECTION
    if settings.election_timeout < ticks * settings.heartbeat_interval:
        findings.wrong(
            at("etcd_election_timeout", "etcd_heartbeat_interval"),
            f"an election timeout of {settings.election_timeout} ms is less than {ticks} heartbeats"
            f" of {settings.heartbeat_interval} ms, which etcd refuses",
            f"use {ticks * settings.heartbeat_interval} ms at least,"
            f" better {10 * settings.heartbeat_interval}",
        )
    if settings.cert_renew_days >= settings.cert_days:
        findings.wrong(
            at("etcd_cert_renew_days", "etcd_cert_days"),
            f"certificates valid for {settings.cert_days} days would be renewed"
            f" {settings.cert_renew_days} days before their end, so at every update",
            "renew later than they are made",
        )
    if settings.ca_days < settings.cert_days:
        findings.wrong(
            at("etcd_ca_days", "etcd_cert_days"),
            f"a CA valid for {settings.ca_days} days cannot vouch for {settings.cert_days} days",
            f"use {settings.cert_days} days at least",
        )


def _seat(cluster: str, host: Host, vars_: Vars, site: Site, findings: Findings) -> Seat | None:
    if "etcd_seq" not in host.own:
        findings.wrong(
            f"{host.place}.etcd_seq",
            "it is missing, though other hosts of the group have one",
            "give this host a number of its own, or move it to another group",
        )
    shared = {name: said for name, said in vars_.items() if name not in _OF_ONE_HOST}
    said = {**shared, **host.elsewhere, **host.own}
    for unread in host.own.keys() & parameters.UNREAD.keys():
        findings.warn(f"{unread} is passed over: {parameters.UNREAD[unread]}")
    rows = [row for row in PARAMETERS.values() if row.level is not Level.CLUSTER]
    values = _values(rows, said, findings)
    reach = {name: values.pop(name) for name in _REACH if name in values}
    if "private_key_file" in reach:
        reach["private_key_file"] = site.located(reach["private_key_file"])
    with findings.at(host.place):
        canonical = address(host.key)
        values.setdefault("seq", NO_SEQ)
        complete = all(
            row.field in reach for row in rows if row.field in _REACH and row.name in said
        )
        reach.setdefault("host", canonical)
        node = Node(canonical, _unknown_login(reach, site))
        instance = Instance(cluster=cluster, node=node, **values)
        if site.monitored and "exporter_port" not in values:
            # Two clusters on one machine have different ports already.
            instance = replace(instance, exporter_port=min(instance.peer_port + 1, MAX_PORT))
        return Seat(host.place, instance, reach if complete else None)
    return None


def _unknown_login(reach: Mapping[str, Any], site: Site) -> ssh.Login:
    """Stands in until logins are looked up, all at once; and for good if the machine is lost."""
    return ssh.Login(
        host=reach["host"],
        port=reach.get("port", site.access.port) or ssh.DEFAULT_PORT,
        user=reach.get("user", site.access.user) or ssh.DEFAULT_USER,
        sudo=False,
        private_key=None,
        private_key_passphrase=None,
        agent=False,
        host_key=None,
    )
