"""The inventory: the cluster model's YAML fragment, or a Pigsty inventory, becomes the model.

All mistakes are found together and reported with their place and their cure, before anything
is touched.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Final

from etcd_component import options, parameters, ssh, versions, yamlfile
from etcd_component.mistake import Findings, InvalidInventory, Mistake
from etcd_component.model import Cluster, Instance, Node, Settings, quorum
from etcd_component.parameters import PARAMETERS, Level, Parameter
from etcd_component.site import GetSetting, Site, Stack, settle
from etcd_component.values import TICKS_PER_ELECTION, Said, address, kind

__all__ = ["Plan", "load", "read", "read_file"]

Vars = Mapping[str, Said]
"""Variables by name, with their places."""

DEFAULT_CLUSTER: Final = "etcd"
PIGSTY_PASSWORD: Final = "Etcd.Root"  # noqa: S105 - published, which is the point
MANY_VOTERS: Final = 7
QUOTA_ADVISED: Final = 8 * 1024**3
"""etcd's documentation suggests no more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the stack wants: the clusters, and sentences that a person should read."""

    clusters: tuple[Cluster, ...]
    warnings: tuple[str, ...]


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
    if findings.mistakes:
        raise InvalidInventory(findings.mistakes)
    return Plan(clusters, tuple(findings.warnings))


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
    groups = _groups(inventory, source, findings)
    wanted = [group for group in groups if group.is_cluster]
    if not wanted:
        findings.wrong(
            source or "etcd:inventory",
            "no host has an etcd_seq, so there is no cluster",
            "paste one, such as `etcd: {hosts: {10.10.10.10: {etcd_seq: 1}},"
            " vars: {etcd_cluster: etcd}}`",
        )
    below = _below(site, secrets)
    drafts = [_draft(group, below, site, findings) for group in wanted]
    _log_in(drafts, site, findings)
    clusters = [draft.cluster() for draft in drafts]
    _check_names(drafts, findings)
    for draft, cluster in zip(drafts, clusters, strict=True):
        _check_seats(draft, findings)
        _check_members(draft, cluster, findings)
    _check_machines([seat for draft in drafts for seat in draft.seats], findings)
    if findings.mistakes:
        raise InvalidInventory(findings.mistakes)
    for cluster in clusters:
        _advise(cluster, findings)
    return tuple(sorted(clusters, key=lambda one: one.name)), tuple(findings.warnings)


def _below(site: Site, secrets: Mapping[str, str]) -> Vars:
    """What holds for every cluster that does not say otherwise."""
    vars_ = {name: Said(value, f"etcd:{name}") for name, value in secrets.items()}
    if site.archive_url:
        vars_["etcd_archive_url"] = site.archive_url
    return vars_


# --- groups: the shape of an inventory


@dataclass(frozen=True, slots=True)
class _Host:
    """A line below `hosts`: its key as written, its own variables, and those it has elsewhere."""

    key: Any
    place: str
    own: Vars
    elsewhere: Vars = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Group:
    """A group with the variables that hold for it, those of the groups above included."""

    place: str
    hosts: tuple[_Host, ...]
    vars: Vars

    @property
    def is_cluster(self) -> bool:
        """Whether some host has a seat number."""
        return any("etcd_seq" in host.own for host in self.hosts)


def _groups(tree: Mapping[Any, Any], source: str, findings: Findings) -> list[_Group]:
    """All groups, with what is said about a host elsewhere added to it."""
    prefix = f"{source}: " if source else ""
    rest = {key: body for key, body in tree.items() if key != "all"}
    groups: list[_Group] = []
    above: Vars = {}
    if "all" in tree:
        groups += _walk(prefix + "all", tree["all"], {}, findings)
        above = groups[0].vars if groups else {}
    for name, body in rest.items():
        groups += _walk(f"{prefix}{name}", body, above, findings)
    return _completed(groups, findings)


def _walk(place: str, body: Any, above: Vars, findings: Findings) -> Iterator[_Group]:
    """A group and the groups below it, the group first."""
    body = _checked_mapping(place, body, findings)
    for key in body:
        if key not in {"hosts", "vars", "children"}:
            cure = "a group has hosts, vars and children; move it below one of them"
            findings.wrong(f"{place}.{key}", "a group has no such key", cure)
    vars_ = {**above, **_said(f"{place}.vars", body.get("vars"), findings)}
    hosts = _checked_mapping(f"{place}.hosts", body.get("hosts"), findings)
    yield _Group(
        place,
        tuple(
            _Host(key, f"{place}.hosts.{key}", _said(f"{place}.hosts.{key}", said, findings))
            for key, said in hosts.items()
        ),
        vars_,
    )
    children = _checked_mapping(f"{place}.children", body.get("children"), findings)
    for name, child in children.items():
        yield from _walk(f"{place}.children.{name}", child, vars_, findings)


def _checked_mapping(place: str, body: Any, findings: Findings) -> Mapping[Any, Any]:
    if body is None:
        return {}
    if isinstance(body, Mapping):
        return body
    cure = "write it as a mapping, one `key: value` a line"
    findings.wrong(place, f"it is {kind(body)}, not a mapping", cure)
    return {}


def _said(place: str, body: Any, findings: Findings) -> dict[str, Said]:
    """Variables with their places. Misspelt names are found here; foreign ones are kept."""
    said = {}
    for key, value in _checked_mapping(place, body, findings).items():
        name = parameters.ANSIBLE_ALIASES.get(str(key), str(key))
        wrong = parameters.wrong_name(name)
        if wrong:
            findings.mistakes.append(wrong.at(f"{place}.{key}"))
        said[name] = Said(value, f"{place}.{key}")
    return said


def _completed(groups: Iterable[_Group], findings: Findings) -> list[_Group]:
    """The groups, each host with how it is reached where another group says so.

    In Ansible a variable of a host holds in all its groups. What makes an instance (`etcd_*`)
    does not: its own group says it.
    """
    groups = list(groups)
    lines: dict[str, list[_Host]] = defaultdict(list)
    for host in (host for group in groups for host in group.hosts):
        lines[str(host.key)].append(host)
    return [
        replace(
            group,
            hosts=tuple(
                replace(host, elsewhere=_elsewhere(host, lines[str(host.key)], findings))
                for host in group.hosts
            ),
        )
        if group.is_cluster
        else group
        for group in groups
    ]


def _elsewhere(host: _Host, lines: Iterable[_Host], findings: Findings) -> Vars:
    found: dict[str, Said] = {}
    for line in lines:
        for name, said in line.own.items():
            if not name.startswith("ansible_") or name in host.own or name not in PARAMETERS:
                continue
            if name in found and found[name].value != said.value:
                places = sorted([found[name].place, said.place])
                findings.wrong(
                    f"{host.place}.{name}",
                    f"{places[0]} and {places[1]} say different things",
                    "say it on this host, or the same in both places",
                )
            found[name] = said
    return found


# --- drafts: a cluster as far as it could be read


@dataclass(slots=True)
class _Seat:
    """An instance in the making, and where it was written."""

    place: str
    instance: Instance
    reach: Mapping[str, Any]
    """Arguments of `Access.login`."""


@dataclass(slots=True)
class _Draft:
    """A cluster in the making."""

    group: _Group
    name: str
    settings: Settings
    seats: list[_Seat]

    def cluster(self) -> Cluster:
        """The cluster of what is known so far."""
        instances = sorted((seat.instance for seat in self.seats), key=lambda one: one.seq)
        return Cluster(self.name, tuple(instances), self.settings)


def _draft(group: _Group, below: Vars, site: Site, findings: Findings) -> _Draft:
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
    seats = [_seat(name, host, vars_, site, findings) for host in group.hosts]
    return _Draft(group, name, settings, [seat for seat in seats if seat])


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


def _check_levels(group: _Group, findings: Findings) -> None:
    for name, said in group.vars.items():
        if name in PARAMETERS and PARAMETERS[name].level is Level.INSTANCE:
            cure = "put it on the host's own line"
            findings.wrong(said.place, f"{name} belongs to one host, not to all", cure)
    for host in group.hosts:
        for name, said in host.own.items():
            if name not in PARAMETERS or PARAMETERS[name].level is not Level.CLUSTER:
                continue
            if name not in group.vars or group.vars[name].value != said.value:
                findings.wrong(
                    said.place,
                    f"{name} belongs to the cluster, not to one host",
                    f"put it in {group.place}.vars",
                )


# --- settings


def _settings(place: str, vars_: Vars, site: Site, findings: Findings) -> Settings:
    rows = [row for row in PARAMETERS.values() if row.level is Level.CLUSTER]
    values = _values(rows, vars_, findings)
    values.setdefault("version", versions.newest(versions.DEFAULT_MINOR, site.checksums))
    values.setdefault("archive_url", versions.OFFICIAL_ARCHIVE)
    values["options"] = _options(values, vars_, findings)
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
    _check_archive_file(settings, vars_, findings)
    if (settings.ca_cert is None) != (settings.ca_key is None):
        given = "etcd_ca_cert" if settings.ca_cert else "etcd_ca_key"
        if "etcd_ca_cert" not in vars_ or "etcd_ca_key" not in vars_:
            findings.wrong(vars_[given].place, "it has no partner", "give both CA PEMs, or none")
    return settings


def _check_archive_file(settings: Settings, vars_: Vars, findings: Findings) -> None:
    if settings.install != "upload" or settings.archive_file is None:
        return
    paths = {settings.archive_file_for(arch) or "" for arch in versions.ARCHITECTURES}
    if not any(Path(path).is_file() for path in paths):
        findings.wrong(
            vars_["etcd_archive_file"].place,
            f"there is no file {' nor '.join(sorted(paths))}",
            "correct the path, or fetch the archive",
        )


def _options(values: Mapping[str, Any], vars_: Vars, findings: Findings) -> Mapping[str, Any]:
    minor = versions.minor_of(values["version"])
    found = {}
    for key, value in sorted(values.get("options", {}).items()):
        with findings.at(f"{vars_['etcd_options'].place}.{key}"):
            found[key] = options.read(key, value, minor)
        later = options.successor(key)
        if key in found and later and minor == "3.6":
            findings.warn(f"etcd_options: {key} is gone in etcd 3.7; write {later}")
    return MappingProxyType(found)


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


# --- seats


def _seat(cluster: str, host: _Host, vars_: Vars, site: Site, findings: Findings) -> _Seat | None:
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
        values.setdefault("seq", _NO_SEQ)
        reach.setdefault("host", canonical)
        node = Node(canonical, _unknown_login(reach, site))
        return _Seat(host.place, Instance(cluster=cluster, node=node, **values), reach)
    return None


_NO_SEQ: Final = 0
"""Stands in for a number that is missing or cannot stand, so that the rest is still checked."""

_OF_ONE_HOST: Final = frozenset(
    name for name, row in PARAMETERS.items() if row.level is Level.INSTANCE
)

_REACH: Final[tuple[str, ...]] = ("host", "port", "user", "sudo", "private_key_file")


def _unknown_login(reach: Mapping[str, Any], site: Site) -> ssh.Login:
    """Stands in until logins are looked up, all at once; and for good if the machine is lost."""
    return ssh.Login(
        host=reach["host"],
        port=reach.get("port", site.access.port),
        user=reach.get("user", site.access.user),
        sudo=False,
        private_key=None,
        private_key_passphrase=None,
        agent=False,
        host_key=None,
    )


def _log_in(drafts: Iterable[_Draft], site: Site, findings: Findings) -> None:
    """Look up keys and host keys of all nodes at the same time."""
    seats = [seat for draft in drafts for seat in draft.seats if not seat.instance.lost]

    def look_up(seat: _Seat) -> ssh.Login | ssh.CannotLogIn:
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


# --- what only shows when instances are seen together


def _check_names(drafts: Iterable[_Draft], findings: Findings) -> None:
    by_name: dict[str, list[_Draft]] = defaultdict(list)
    for draft in sorted(drafts, key=lambda one: one.group.place):
        by_name[draft.name].append(draft)
    instances = {
        seat.instance.name: seat
        for same in by_name.values()
        for draft in same
        for seat in draft.seats
    }
    for name, (first, *others) in by_name.items():
        for draft in others:
            findings.wrong(
                f"{draft.group.place}.vars.etcd_cluster",
                f"{first.group.place} is a cluster named {name} too",
                "give each cluster a name of its own",
            )
        if name in instances:
            findings.wrong(
                f"{first.group.place}.vars.etcd_cluster",
                f"{name} is the name of the instance at {instances[name].place} too",
                "choose a name that does not end in a number",
            )


def _check_seats(draft: _Draft, findings: Findings) -> None:
    """Numbers and addresses are unique in a cluster."""
    seqs: dict[int, _Seat] = {}
    addresses: dict[str, _Seat] = {}
    for seat in sorted(draft.seats, key=lambda one: one.place):
        instance = seat.instance
        if instance.seq != _NO_SEQ and (first := seqs.get(instance.seq)):
            free = next(
                n for n in itertools.count(1) if n not in {one.instance.seq for one in draft.seats}
            )
            findings.wrong(
                f"{seat.place}.etcd_seq",
                f"{instance.seq} is the number of {first.instance.node.address} too",
                f"give each host its own, such as {free}",
            )
        if first := addresses.get(instance.node.address):
            findings.wrong(
                seat.place, f"this is the address of {first.place} too", "keep one of them"
            )
        if instance.client_port == instance.peer_port:
            findings.wrong(
                f"{seat.place}.etcd_peer_port",
                f"clients and peers cannot share port {instance.peer_port}",
                "use two ports, such as 2379 and 2380",
            )
        seqs.setdefault(instance.seq, seat)
        addresses.setdefault(instance.node.address, seat)


def _check_members(draft: _Draft, cluster: Cluster, findings: Findings) -> None:
    if len(draft.seats) > 1:
        for seat in draft.seats:
            if seat.instance.node.address in _LOOPBACK or seat.instance.node.address.startswith(
                "127."
            ):
                findings.wrong(
                    seat.place,
                    "other members cannot reach a loopback address",
                    "write the address that the other members dial",
                )
    if draft.seats and not cluster.voters:
        findings.wrong(
            draft.group.place,
            "no instance votes: all are learners or lost",
            "take etcd_learner off at least one",
        )
    learners = [one for one in cluster.instances if one.learner and not one.lost]
    allowed = int(cluster.settings.options.get("max-learners", 1))
    if len(learners) > allowed:
        cure = "make one after the other a voter"
        if cluster.settings.minor != "3.5":
            cure += f", or set etcd_options: {{max-learners: {len(learners)}}}"
        problem = f"{len(learners)} learners, where etcd {cluster.settings.minor} takes {allowed}"
        findings.wrong(draft.group.place, problem, cure)


_LOOPBACK: Final = frozenset({"::1", "localhost"})


def _check_machines(seats: Iterable[_Seat], findings: Findings) -> None:
    """Instances that share a machine share neither cluster, port nor directory."""
    ordered = sorted((seat for seat in seats if not seat.instance.lost), key=lambda one: one.place)
    for first, second in itertools.combinations(ordered, 2):
        if not _one_machine(first.instance.node, second.instance.node):
            continue
        here, there = second.instance, first.instance
        machine = f"{there.name} at {first.place}"
        if here.cluster == there.cluster:
            if here.node.address != there.node.address:
                findings.wrong(
                    second.place,
                    f"it is reached at {here.node.login.host} port {here.node.login.port},"
                    f" as is {machine}: one machine cannot hold two members of a cluster",
                    "correct ansible_host or ansible_port",
                )
            continue
        shared = sorted({here.client_port, here.peer_port} & {there.client_port, there.peer_port})
        for port in shared:
            name = "etcd_port" if port == here.client_port else "etcd_peer_port"
            findings.wrong(
                f"{second.place}.{name}",
                f"port {port} is used by {machine} on the same machine",
                "give one cluster other ports",
            )
        if _nested(here.data_dir, there.data_dir):
            findings.wrong(
                f"{second.place}.etcd_data",
                f"{here.data_dir} and the {there.data_dir} of {machine} are on the same machine",
                "give each cluster a directory outside the other's",
            )


def _one_machine(one: Node, other: Node) -> bool:
    return one.address == other.address or (
        (one.login.host, one.login.port) == (other.login.host, other.login.port)
    )


def _nested(one: str, other: str) -> bool:
    here, there = PurePosixPath(one), PurePosixPath(other)
    return here.is_relative_to(there) or there.is_relative_to(here)


# --- warnings


def _advise(cluster: Cluster, findings: Findings) -> None:
    voters = len(cluster.voters)
    lost = "1 lost" if cluster.fault_tolerance == 1 else f"{cluster.fault_tolerance} lost"
    arithmetic = (
        f"cluster {cluster.name}: {voters} voters have a quorum of {cluster.quorum}"
        f" and tolerate {lost}"
    )
    if voters % 2 == 0:
        findings.warn(
            f"{arithmetic}, as {voters - 1} with a quorum of {quorum(voters - 1)} do:"
            f" use {voters - 1} or {voters + 1}"
        )
    if voters > MANY_VOTERS:
        findings.warn(
            f"{arithmetic}, but every write waits for {cluster.quorum} of them:"
            f" 5 tolerate 2 lost, {MANY_VOTERS} tolerate 3"
        )
    settings = cluster.settings
    if advice := versions.advice(settings.version):
        findings.warn(f"cluster {cluster.name}: {advice}")
    if settings.root_password == PIGSTY_PASSWORD:
        findings.warn(
            f"cluster {cluster.name}: etcd_root_password is Pigsty's published default;"
            " anyone who knows Pigsty knows it"
        )
    if settings.quota_bytes > QUOTA_ADVISED:
        findings.warn(
            f"cluster {cluster.name}: a quota of {settings.quota_bytes / 1024**3:g} GiB is more"
            " than the 8 GiB that etcd's documentation suggests"
        )
