"""What must not be made anew with `--replace`, `--target-replace` or `pulumi state taint`.

Pulumi tells a program nothing of such a demand and carries it out with one Command alone: it would
uninstall a member that the cluster counts on. So the program reads it where the person wrote it: in
the command line of the `pulumi` that runs the program, and in the state.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from etcd_component.changes.recorded import AUTHORITY, KEY
from etcd_component.mistake import Mistake
from etcd_component.previous import STASH, Previous, Resource
from etcd_component.recorded import COMMAND

_OPTIONS: Final = ("replace", "target-replace")
# Users have names of their own, and one may be called `node`.
_OF_INSTANCE: Final = "etcd:index:Instance$"
_OF_MONITOR: Final = "etcd:index:Monitor$"


def demanded(words: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The URNs or patterns of URNs that are to be replaced, by the words of `pulumi`."""
    found = []
    for name in _OPTIONS:
        flag = f"--{name}"
        found += [value for word, value in pairwise(words) if word == flag]
        found += [word.removeprefix(f"{flag}=") for word in words if word.startswith(f"{flag}=")]
        in_environment = environment.get(f"PULUMI_OPTION_{name.upper().replace('-', '_')}", "")
        found += in_environment.split(",")
    return tuple(dict.fromkeys(filter(None, found)))


def refusals(previous: Previous, patterns: Iterable[str]) -> tuple[Mistake, ...]:
    """Why these must not be replaced; empty where they may."""
    wanted = [re.compile(_as_expression(pattern)) for pattern in patterns]
    if wanted and not previous.known:
        problem = f"the state cannot be read, so what is replaced is not known: {previous.reason}"
        return (Mistake("--replace", problem, "run it again, or leave it out"),)
    replaced = [
        one
        for one in previous.resources
        if one.tainted or any(each.fullmatch(one.urn) for each in wanted)
    ]
    found = [(one, _objection(one, previous)) for one in replaced]
    return (
        *(Mistake(_place(one), *why) for one, why in found if why),
        *_members_at_once(replaced),
    )


def _as_expression(pattern: str) -> str:
    """A pattern of URNs as the engine reads it: `*` ends at a colon, `**` nowhere."""
    parts = (re.escape(part).replace(r"\*", "[^:]*") for part in pattern.split("**"))
    return ".*".join(parts)


def _place(resource: Resource) -> str:
    return f"`taint` of {resource.name}" if resource.tainted else f"--replace {resource.name}"


def _objection(resource: Resource, previous: Previous) -> tuple[str, str] | None:
    """What would happen, and what to do instead."""
    name, kind = resource.name, resource.kind
    if kind == COMMAND and name.endswith("-node"):
        if _OF_INSTANCE in resource.urn:
            return _machine(name.removesuffix("-node"))
        if _OF_MONITOR in resource.urn:
            return (
                "the monitor would be taken off its machine, and nothing put there again",
                "delete etcd_monitor, run `pulumi up`, and add it again",
            )
    command = previous.command(name) if kind == COMMAND else None
    if kind == STASH or (command and not command.text("create") and not command.text("delete")):
        problem = (
            "it is a value that is remembered for ever, and the nodes know this stack or its"
            " cluster by it"
        )
        return problem, _leave_out(resource)
    signs = any(one.kind == AUTHORITY and one.name == name for one in previous.resources)
    if kind in {AUTHORITY, KEY} and signs and _OF_MONITOR not in resource.urn:
        problem = "with another CA at once, members and clients would refuse each other"
        cure = "a CA takes over from another in steps: docs/operations/certificates.md"
        return problem, f"{_leave_out(resource)}; {cure}"
    return None


def _machine(instance: str) -> tuple[str, str]:
    problem = (
        f"{instance} would be taken off its machine, data included, while the cluster counts on it"
    )
    cure = (
        "raise etcd_repair on its host to have all of its files put there again, or etcd_reseat to"
        " have it join with new data"
    )
    return problem, cure


def _leave_out(resource: Resource) -> str:
    if resource.tainted:
        return f"type `pulumi state untaint '{resource.urn}'`"
    return "leave it out"


def _members_at_once(replaced: Iterable[Resource]) -> Iterator[Mistake]:
    """A member that is replaced leaves and joins again, and several would do so at once."""
    clusters: dict[str, list[str]] = {}
    for one in replaced:
        if _OF_INSTANCE in one.urn and one.kind == COMMAND and one.name.endswith("-member"):
            instance = one.name.removesuffix("-member")
            clusters.setdefault(instance.rpartition("-")[0], []).append(instance)
    for cluster, members in clusters.items():
        if len(members) > 1:
            yield Mistake(
                f"--replace of {', '.join(sorted(members))}",
                f"these members of cluster {cluster} would leave it at the same time",
                "replace one, and the next one in another update",
            )
