"""Whose machine it is, and whose data are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import claim, data_directory, files, mark
from etcd_component.agent.decide.claiming import (
    Neighbour,
    Occupied,
    Ours,
    conflicts,
    foreign_data,
)
from etcd_component.agent.finding import Finding
from etcd_component.agent.paths import Paths, clusters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etcd_component.agent.preflight.subject import Subject


def holder(subject: Subject) -> Iterator[Finding]:
    """Another instance has this machine, or this one has its data elsewhere."""
    if isinstance(subject.holding, Occupied):
        yield subject.holding.finding
    if isinstance(subject.holding, Ours):
        yield from _moved(subject)


def _moved(subject: Subject) -> Iterator[Finding]:
    claimed, name = subject.claimed, subject.options.name
    if subject.is_corrected:
        return
    if not files.has_content(subject.paths.membership) or claimed is None or not claimed.data:
        return
    if claimed.data != subject.options.data:
        yield Finding(
            f"{name} has its data in {claimed.data}",
            f"put etcd_data back; it cannot move them to {subject.data}",
        )
    elif claimed.real_data != str(subject.real):
        yield Finding(
            f"{subject.data} leads to {subject.real} now, but {name} has its data in"
            f" {claimed.real_data}",
            "put the link or the mount back",
        )


def neighbours(subject: Subject) -> Iterator[Finding]:
    """The claims of other clusters on this machine."""
    ports = (subject.options.client_port, subject.options.peer_port)
    for cluster in clusters():
        claimed = claim.read(Paths(cluster)) if cluster != subject.options.cluster else None
        if claimed is None:
            continue
        other = Neighbour(
            cluster,
            claimed.name,
            (claimed.client_port, claimed.peer_port),
            claimed.real_data,
        )
        yield from conflicts(other, ports, subject.options.data, str(subject.real))


def data(subject: Subject) -> Iterator[Finding]:
    """The data directory: may it be one, and are the data in it this instance's."""
    wrong = data_directory.system_directory(subject.data, subject.real)
    if wrong:
        yield wrong
        return
    if subject.real.exists() and not subject.real.is_dir():
        yield Finding(f"{subject.real} is not a directory", "choose another etcd_data")
    elif data_directory.foreign_content(subject.real) and not subject.is_ours:
        yield from _data_of_another(subject)


def _data_of_another(subject: Subject) -> Iterator[Finding]:
    """The system's disk may be new, and the data those that this very instance left on theirs."""
    options, said = subject.options, mark.read(subject.real)
    has_member = (subject.real / "member").is_dir()
    owner = options.owner or subject.held.owner
    if not has_member or not mark.names(said, options.cluster, options.name, owner):
        yield foreign_data(said, has_member=has_member, real=str(subject.real), owner=options.owner)


def unit_file(subject: Subject) -> Iterator[Finding]:
    """A unit of the same name that somebody else has put there. A link is an alias, or masks it."""
    path = subject.paths.unit_file
    if path.exists() and not path.is_symlink() and not files.is_ours(path):
        yield Finding(
            f"{path} is somebody else's",
            "remove that etcd first, or give this cluster another name",
        )
