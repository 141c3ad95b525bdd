"""The shape of an inventory: groups, their hosts, and the variables that hold for each."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from etcd_component.inventory import parameters
from etcd_component.inventory.parameters import PARAMETERS
from etcd_component.inventory.values import Said, kind
from etcd_component.mistake import Findings

Vars = Mapping[str, Said]
"""Variables by name, with their places."""


@dataclass(frozen=True, slots=True)
class Host:
    """A line below `hosts`: its key as written, its own variables, and those it has elsewhere."""

    key: Any
    place: str
    own: Vars
    elsewhere: Vars = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """A group with the variables that hold for it, those of the groups above included."""

    place: str
    hosts: tuple[Host, ...]
    vars: Vars

    @property
    def is_cluster(self) -> bool:
        """Whether some host has a seat number."""
        return any("etcd_seq" in host.own for host in self.hosts)


def read_groups(tree: Mapping[Any, Any], source: str, findings: Findings) -> list[Group]:
    """All groups, with what is said about a host elsewhere added to it."""
    prefix = f"{source}: " if source else ""
    rest = {key: body for key, body in tree.items() if key != "all"}
    groups: list[Group] = []
    above: Vars = {}
    if "all" in tree:
        groups += _walk(prefix + "all", tree["all"], {}, findings)
        above = groups[0].vars if groups else {}
    for name, body in rest.items():
        groups += _walk(f"{prefix}{name}", body, above, findings)
    return _completed(groups, findings)


def _walk(place: str, body: Any, above: Vars, findings: Findings) -> Iterator[Group]:
    """A group and the groups below it, the group first."""
    body = _checked_mapping(place, body, findings)
    for key in body:
        if key not in {"hosts", "vars", "children"}:
            cure = "a group has hosts, vars and children; move it below one of them"
            findings.wrong(f"{place}.{key}", "a group has no such key", cure)
    vars_ = {**above, **_said(f"{place}.vars", body.get("vars"), findings)}
    hosts = _checked_mapping(f"{place}.hosts", body.get("hosts"), findings)
    yield Group(
        place,
        tuple(
            Host(key, f"{place}.hosts.{key}", _said(f"{place}.hosts.{key}", said, findings))
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


def _completed(groups: Iterable[Group], findings: Findings) -> list[Group]:
    """The groups, each host with how it is reached where another group says so.

    In Ansible a variable of a host holds in all its groups. What makes an instance (`etcd_*`)
    does not: its own group says it.
    """
    groups = list(groups)
    lines: dict[str, list[Host]] = defaultdict(list)
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


def _elsewhere(host: Host, lines: Iterable[Host], findings: Findings) -> Vars:
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
