"""What becomes of the monitor."""

from collections.abc import Iterator, Mapping, Sequence

from etcd_component.changes.recorded import files
from etcd_component.model import Cluster, Monitor
from etcd_component.monitoring import Watched, configuration
from etcd_component.previous import Command, Previous
from etcd_component.remote import in_name

_PREFIX, _STEP = "monitor-", "-node"
_MARK = "/etc/etcd-monitor/owner"
"""Only what takes a monitor off its machine looks at this file; a cluster may be called monitor."""


def changes(
    previous: Previous, monitor: Monitor | None, clusters: Sequence[Cluster]
) -> Iterator[str]:
    """Whether it comes, goes, moves or watches something else."""
    former = _former(previous)
    here = in_name(monitor.node.address) if monitor else ""
    if monitor and not monitor.lost:
        if here not in former:
            yield f"a monitor is set up on {monitor.node.address}"
        elif _files(previous, here) != _wanted(monitor, clusters):
            yield "the monitor gets other targets, rules or settings"
    for address, command in former.items():
        if address == here:
            continue
        if command.retained:
            yield (
                f"the monitor on {address}, marked lost, is forgotten; nothing is done on its"
                " machine"
            )
        else:
            fate = "deleted" if "--remove-data" in command.text("delete") else "kept there"
            yield f"the monitor on {address} is removed; what it has collected is {fate}"


def _former(previous: Previous) -> dict[str, Command]:
    """The Commands that hold the machine of a monitor, by its address."""
    return {
        name.removeprefix(_PREFIX).removesuffix(_STEP): one
        for name, one in previous.commands.items()
        if name.startswith(_PREFIX) and name.endswith(_STEP) and _MARK in one.text("delete")
    }


def _files(previous: Previous, address: str) -> Mapping[str, str]:
    found = dict(files(previous.command(f"{_PREFIX}{address}-config")))
    found.pop("end", None)
    return found


def _wanted(monitor: Monitor, clusters: Sequence[Cluster]) -> Mapping[str, str]:
    watched = [Watched.of(one, "", "", "") for one in clusters]
    return {
        name: f"{body}\n" if (body := text.rstrip("\n")) else ""
        for name, text in configuration.files(monitor, watched).items()
    }
