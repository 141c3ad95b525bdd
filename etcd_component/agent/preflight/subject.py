"""What is to be on a machine, and what is there already: what all checks look at."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import claim, files, instance
from etcd_component.agent.decide.claiming import Free, Held, Holding, Ours, holding
from etcd_component.agent.paths import Paths
from etcd_component.agent.preflight import occupant

if TYPE_CHECKING:
    from etcd_component.agent.options import Options


@dataclass(frozen=True)
class Subject:
    """An instance that is to be on this machine."""

    options: Options
    """Its name, address, ports and data."""
    paths: Paths
    real: Path
    """Where links on the way to the data directory lead."""
    claimed: claim.Claim | None
    held: Held
    holding: Holding
    is_corrected: bool = False
    """The very instance was tried here in another way, and belongs to no cluster."""

    @classmethod
    def of(cls, options: Options) -> Subject:
        """Look who is here. Asks peers only where the machine holds another number."""
        paths = Paths(options.cluster)
        held, claimed = claim.held(paths), claim.read(paths)
        other = held.name not in {"", options.name} and not held.is_of_another(options.owner)
        found = holding(
            held,
            options.name,
            options.owner,
            occupant.look(paths, options.peers) if other else occupant.UNKNOWN,
        )
        return cls(
            options,
            paths,
            Path(os.path.realpath(options.data)),
            claimed,
            held,
            found,
            isinstance(found, Ours)
            and claimed is not None
            and _is_other(claimed, options)
            and occupant.was_only_tried(paths),
        )

    @property
    def data(self) -> Path:
        """As it is wanted."""
        return Path(self.options.data)

    @property
    def is_ours(self) -> bool:
        """Whether data directory and unit are: the claim, or our own configuration, names them."""
        if self.claimed is None:
            configured = files.value_in(files.read_text(self.paths.configuration), "data-dir")
            return bool(configured) and configured == self.options.data
        replaces = isinstance(self.holding, Free) and bool(self.holding.former)
        return (
            self.claimed.data == self.options.data
            and (self.held.name == self.options.name or replaces)
            and (self.options.owner or self.held.owner) == self.held.owner
        )

    @property
    def has_joined(self) -> bool:
        """Whether the very instance is here and has a place in its cluster.

        Such a one is mended by changes, and what is no reason to keep it from running does not
        hold them up.
        """
        return (
            self.is_ours
            and isinstance(self.holding, (Ours, Free))
            and files.has_content(self.paths.membership)
            and instance.holds_member(self.data)
        )


def _is_other(claimed: claim.Claim, options: Options) -> bool:
    """Whether the machine is wanted in another way than it was claimed."""
    before = (claimed.address, claimed.client_port, claimed.peer_port, claimed.data)
    wanted = (options.address, options.client_port, options.peer_port, options.data)
    return bool(claimed.data and options.owner) and before != wanted
