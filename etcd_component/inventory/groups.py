"""The shape of an inventory: groups, their hosts, and the variables that hold for each.

Groups are read as Ansible reads them: by name, wherever they are written, as a graph below `all`.
What deviates is stricter: two places that contradict each other are refused, where in Ansible the
later one wins; and a machine that is in several clusters has the variables of each for itself.
"""

import itertools
import math
import re
import string
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from etcd_component.inventory import parameters
from etcd_component.inventory.parameters import PARAMETERS, Level
from etcd_component.inventory.values import Said, kind
from etcd_component.mistake import Findings

Vars = Mapping[str, Said]
"""Variables by name, with their places."""

ALL: Final = "all"
UNGROUPED: Final = "ungrouped"
_PRIORITY: Final = "ansible_group_priority"


@dataclass(frozen=True, slots=True)
class Host:
    """A line below `hosts`: its key as written, its own variables, and those it has elsewhere."""

    key: Any
    place: str
    own: Vars
    elsewhere: Vars = field(default_factory=dict)
    """What other lines of this host say."""
    around: Vars = field(default_factory=dict)
    """What all groups say that it is in, less those of other clusters."""


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
    """All groups, by name, with what is said about a host elsewhere added to it."""
    graph = Graph(findings)
    for name, body in tree.items():
        graph.read(str(name), f"{source}: {name}" if source else str(name), body)
    graph.close()
    return graph.groups()


@dataclass(slots=True)
class _Node:
    """A group as it is gathered from all places where it is written."""

    name: str
    places: list[tuple[bool, str]] = field(default_factory=list)
    """Where it is written; False first: with hosts."""
    hosts: dict[str, Host] = field(default_factory=dict)
    vars: dict[str, Said] = field(default_factory=dict)
    parents: set[str] = field(default_factory=set)
    priority: int = 1
    depth: int = 0

    @property
    def place(self) -> str:
        return min(self.places)[1] if self.places else self.name

    @property
    def is_cluster(self) -> bool:
        return any("etcd_seq" in host.own for host in self.hosts.values())


class Graph:
    """Groups by name, and which is above which."""

    def __init__(self, findings: Findings) -> None:
        """An inventory without a group."""
        self._findings = findings
        self._nodes: dict[str, _Node] = {
            ALL: _Node(ALL),
            UNGROUPED: _Node(UNGROUPED, parents={ALL}),
        }
        self._above: dict[str, frozenset[str]] = {}

    # --- reading

    def read(self, name: str, place: str, body: Any) -> None:
        """Take in a group from one place, and the groups below it."""
        findings = self._findings
        node = self._nodes.setdefault(name, _Node(name))
        body = _checked_mapping(place, body, findings)
        for key in body:
            if key not in {"hosts", "vars", "children"}:
                cure = "a group has hosts, vars and children; move it below one of them"
                findings.wrong(f"{place}.{key}", "a group has no such key", cure)
        hosts = _checked_mapping(f"{place}.hosts", body.get("hosts"), findings)
        node.places.append((not hosts, place))
        for key, said in hosts.items():
            own = _said(f"{place}.hosts.{key}", said, findings)
            # An instance has a number of its own, so a range of them is an address that cannot be.
            for one in [key] if "etcd_seq" in own else expanded(key):
                self._add_host(node, Host(one, f"{place}.hosts.{key}", own))
        for variable, value in _said(f"{place}.vars", body.get("vars"), findings).items():
            self._merge(node.vars, variable, value)
        children = _checked_mapping(f"{place}.children", body.get("children"), findings)
        for key, child in children.items():
            below = str(key)
            loop = self._loop(name, below)
            if loop:
                findings.wrong(
                    f"{place}.children.{key}",
                    f"groups are below each other: {' > '.join(loop)}",
                    "take one of these lines out",
                )
                continue
            self._nodes.setdefault(below, _Node(below)).parents.add(name)
            self.read(below, f"{place}.children.{key}", child)

    def _loop(self, above: str, below: str) -> list[str]:
        """The way from a group up to itself, if one became the parent of the other."""
        if below == ALL:
            return [ALL, above, ALL]
        ways = [[above]]
        while ways:
            way = ways.pop()
            if way[-1] == below:
                return [*reversed(way), below]
            node = self._nodes.get(way[-1])
            ways += [[*way, parent] for parent in sorted(node.parents)] if node else []
        return []

    def _add_host(self, node: _Node, host: Host) -> None:
        name = str(host.key)
        before = node.hosts.get(name)
        own = dict(before.own) if before else {}
        for variable, value in host.own.items():
            self._merge(own, variable, value)
        # The line that gives it its number is its place.
        first = host if before is None or "etcd_seq" in host.own else before
        node.hosts[name] = Host(first.key, first.place, own)

    def _merge(self, found: dict[str, Said], name: str, said: Said) -> None:
        if name in found and found[name].value != said.value:
            first, second = sorted([found[name].place, said.place])
            self._findings.wrong(
                second, f"{first} says something else", "say it in one place, or the same in both"
            )
            return
        found.setdefault(name, said)

    def close(self) -> None:
        """Work out what follows once every place is read: ancestors, depths, priorities."""
        self._move_identities()
        for node in self._nodes.values():
            if node.name != ALL and not node.parents:
                node.parents.add(ALL)
            said = node.vars.pop(_PRIORITY, None)
            if said is not None:
                node.priority = self._priority(said)
        for name in self._nodes:
            self._climb(name)

    def _move_identities(self) -> None:
        """Give instances to their cluster's group where another group's lines say what they are.

        Such a line has etcd_seq and etcd_cluster, and the group of that name lists the host. In
        Ansible a host's variables hold in all its groups, so Pigsty deploys the same.
        """
        for node in self._nodes.values():
            for name, host in node.hosts.items():
                said = host.own.get("etcd_cluster")
                group = self._nodes.get(str(said.value)) if said else None
                if "etcd_seq" not in host.own or not group or group is node:
                    continue
                if name not in group.hosts:
                    continue
                moved = {one: host.own[one] for one in host.own if one.startswith("etcd_")}
                self._merge(group.vars, "etcd_cluster", moved.pop("etcd_cluster"))
                self._add_host(group, Host(group.hosts[name].key, host.place, moved))
                rest = {one: value for one, value in host.own.items() if one not in moved}
                rest.pop("etcd_cluster")
                node.hosts[name] = Host(host.key, host.place, rest)

    def _priority(self, said: Said) -> int:
        try:
            return int(said.value)
        except (TypeError, ValueError):
            self._findings.wrong(said.place, "it is no whole number", "write one, such as 10")
            return 1

    def _climb(self, name: str) -> None:
        if name in self._above:
            return
        node = self._nodes[name]
        found: set[str] = set()
        for parent in node.parents:
            self._climb(parent)
            found |= {parent, *self._above[parent]}
            node.depth = max(node.depth, self._nodes[parent].depth + 1)
        self._above[name] = frozenset(found)

    # --- asking

    def names_of(self, host: str, cluster: str | None = None) -> frozenset[str]:
        """The groups that a host is in. For one cluster those of other clusters are not there."""
        direct = {
            node.name
            for node in self._nodes.values()
            if host in node.hosts and (node.name == cluster or not (cluster and node.is_cluster))
        }
        if not direct - {ALL, UNGROUPED}:
            direct.add(UNGROUPED)
        elif UNGROUPED in direct:
            direct.remove(UNGROUPED)
        return frozenset(direct.union({ALL}, *(self._above[name] for name in direct)))

    def vars_of(self, groups: Iterable[str]) -> dict[str, Said]:
        """The variables of groups, in Ansible's order: who is nearer to the host wins."""

        def rank(node: _Node) -> tuple[int, int, str]:
            return node.depth, node.priority, node.name

        found: dict[str, Said] = {}
        for node in sorted((self._nodes[name] for name in groups), key=rank):
            found.update(node.vars)
        return found

    def lines_of(self, host: str) -> Iterator[tuple[_Node, Host]]:
        """Every group in which a host is written, with its line there."""
        for node in self._nodes.values():
            if host in node.hosts:
                yield node, node.hosts[host]

    def groups(self) -> list[Group]:
        """The groups that are clusters as their members see them; the others as they are."""
        clusters = [node for node in self._nodes.values() if node.is_cluster]
        reached: set[str] = set()
        found = []
        for node in clusters:
            hosts = []
            for name, host in node.hosts.items():
                names = self.names_of(name, node.name)
                reached |= names
                elsewhere = self._elsewhere(node, name, host)
                hosts.append(Host(host.key, host.place, host.own, elsewhere, self.vars_of(names)))
            own = self.vars_of({node.name, ALL, *self._above[node.name]})
            found.append(Group(node.place, tuple(hosts), self._agreed(node, own, hosts)))
        if clusters:
            self._find_unreached(reached)
        return found + [
            Group(node.place, tuple(node.hosts.values()), self.vars_of(self._above[node.name]))
            for node in self._nodes.values()
            if not node.is_cluster
        ]

    def _agreed(self, node: _Node, own: Vars, hosts: Iterable[Host]) -> Vars:
        """The variables of a cluster, with those of other groups that all its hosts are in."""
        hosts = list(hosts)
        vars_ = dict(own)
        for name in sorted({name for host in hosts for name in host.around}):
            level = PARAMETERS[name].level if name in PARAMETERS else None
            if level is Level.EITHER:
                continue
            said = [host.around[name] for host in hosts if name in host.around]
            first = said[0]
            if level is not Level.CLUSTER or (
                len(said) == len(hosts) and all(one.value == first.value for one in said)
            ):
                vars_.setdefault(name, first)
                if level is Level.CLUSTER:
                    vars_[name] = first
                continue
            for place in sorted(
                {one.place for one in said} - {own[name].place}
                if name in own
                else {one.place for one in said}
            ):
                self._findings.wrong(
                    place,
                    f"{name} belongs to a cluster, and reaches only some hosts of {node.place}",
                    f"put it in {node.place}.vars",
                )
        return vars_

    def _elsewhere(self, node: _Node, name: str, host: Host) -> Vars:
        """What other lines of a host say. In Ansible a variable of a host holds in all its groups.

        What another cluster's line says of an instance is that cluster's.
        """
        found: dict[str, Said] = {}
        lines = list(self.lines_of(name))
        shared = sum(group.is_cluster for group, _ in lines) > 1
        for group, line in lines:
            if group is node:
                continue
            for variable, said in line.own.items():
                if variable in host.own or variable not in PARAMETERS:
                    continue
                if not variable.startswith("ansible_") and (shared or group.is_cluster):
                    continue
                if variable in found and found[variable].value != said.value:
                    places = sorted([found[variable].place, said.place])
                    self._findings.wrong(
                        f"{host.place}.{variable}",
                        f"{places[0]} and {places[1]} say different things",
                        "say it on this host, or the same in both places",
                    )
                found[variable] = said
        return found

    def _find_unreached(self, reached: set[str]) -> None:
        """Whatever is said of etcd and would be passed over without a word."""
        seats: dict[str, list[str]] = defaultdict(list)
        for node in self._nodes.values():
            for name in node.hosts if node.is_cluster else ():
                seats[name].append(node.place)
        for node in self._nodes.values():
            for variable, said in node.vars.items():
                if variable.startswith("etcd_") and node.name not in reached:
                    self._findings.wrong(
                        said.place,
                        f"{variable} reaches no instance: no host with an etcd_seq is in the group"
                        f" {node.name} or in one below it",
                        "put it in the vars of the cluster's group or of one above it, or take it"
                        " out",
                    )
            for name, host in node.hosts.items() if not node.is_cluster else ():
                for variable, said in host.own.items():
                    if not variable.startswith("etcd_") or len(seats[name]) == 1:
                        continue
                    self._findings.wrong(
                        said.place,
                        f"{variable} reaches no instance: {name} has an etcd_seq nowhere"
                        if not seats[name]
                        else f"{name} is in {' and in '.join(sorted(seats[name]))}: it is not clear"
                        f" for which of its instances {variable} holds",
                        "put it on the line that has the etcd_seq",
                    )


_NUMBER: Final = "[0-9]{1,18}"
_RANGE: Final = re.compile(rf"\[({_NUMBER}|[a-zA-Z])?:({_NUMBER}|[a-zA-Z])(?::({_NUMBER}))?\]")
_MOST_OF_A_RANGE: Final = 1000


def expanded(key: Any) -> list[Any]:
    """The hosts that a line stands for: Ansible reads `10.10.10.[10:12]` as three."""
    if not isinstance(key, str):
        return [key]
    ranges = [_members(found) for found in _RANGE.finditer(key)]
    # No host, or a number of them that nobody meant: the line then fails as an address.
    if not 0 < math.prod(map(len, ranges)) <= _MOST_OF_A_RANGE:
        return [key]
    return [_filled(key, chosen) for chosen in itertools.product(*ranges)]


def _members(found: re.Match[str]) -> Sequence[str]:
    """What a range in brackets stands for; empty if it is none, or one that nobody meant."""
    first, last, step = found[1] or "0", found[2], int(found[3] or 1)
    if first.isdigit() != last.isdigit() or step < 1:
        return ()
    if not first.isdigit():
        letters = string.ascii_letters
        return letters[letters.index(first) : letters.index(last) + 1 : step]
    width = len(first) if first.startswith("0") and len(first) > 1 else 0
    numbers = range(int(first), int(last) + 1, step)
    if (width and len(last) != width) or len(numbers) > _MOST_OF_A_RANGE:
        return ()
    return [str(number).zfill(width) for number in numbers]


def _filled(key: str, chosen: Iterable[str]) -> str:
    rest = iter(chosen)
    return _RANGE.sub(lambda _: next(rest), key)


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
    said: dict[str, Said] = {}
    for key, value in _checked_mapping(place, body, findings).items():
        name = parameters.ANSIBLE_ALIASES.get(str(key), str(key))
        if name in parameters.RETIRED:
            findings.warn(f"{name} is passed over: {parameters.RETIRED[name]}")
            continue
        wrong = parameters.wrong_name(name)
        if wrong:
            findings.mistakes.append(wrong.at(f"{place}.{key}"))
        if name in said and said[name].value != value:
            # Ansible's two names of one variable.
            problem = f"{said[name].place} says something else"
            findings.wrong(f"{place}.{key}", problem, "keep one")
            continue
        said[name] = Said(value, f"{place}.{key}")
    return said
