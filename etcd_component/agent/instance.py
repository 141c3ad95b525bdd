"""The instance of a cluster on this machine, as its files say."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import files
from etcd_component.agent.output import refuse

if TYPE_CHECKING:
    from etcd_component.agent.paths import Paths
    from etcd_component.etcd_api.members import Member

JOINED = "# The seat is taken"
"""How the membership file of a member begins that has been part of its cluster once."""


@dataclass(frozen=True)
class Peer:
    """Another member, as somebody wrote it down."""

    name: str
    url: str


def parse_peers(text: str) -> list[Peer]:
    """`name=peer-url`, by line or comma."""
    pairs = (part.split("=", 1) for part in text.replace(",", "\n").split("\n") if "=" in part)
    return [Peer(name.strip(), url.strip()) for name, url in pairs]


@dataclass(frozen=True)
class Instance:
    """Who it is, and where. Load it again after the configuration was written."""

    paths: Paths
    name: str
    data: Path
    """As the configuration has it."""
    real: Path
    """Where links on the way to it lead."""
    peer_url: str
    """By which the cluster knows it."""
    new_peer_url: str
    """The same, unless a change of the peer port is under way."""
    client_url: str

    @classmethod
    def load(cls, paths: Paths) -> Instance:
        """Raises Refusal where this machine has none."""
        text = files.read_text(paths.configuration)
        if not text:
            refuse(
                f"this machine has no instance of cluster {paths.cluster} ({paths.configuration} is"
                " missing); `pulumi up` makes one"
            )
        data = files.value_in(text, "data-dir")
        new = files.value_in(text, "initial-advertise-peer-urls")
        return cls(
            paths,
            files.value_in(text, "name"),
            Path(data),
            Path(os.path.realpath(data)),
            files.read_text(paths.former_peer_url).strip() or new,
            new,
            files.value_in(text, "advertise-client-urls"),
        )

    @classmethod
    def find(cls, paths: Paths) -> Instance | None:
        """The same; None where this machine has none."""
        return cls.load(paths) if files.has_content(paths.configuration) else None

    @property
    def peer_urls(self) -> tuple[str, ...]:
        """By which the cluster may know it."""
        return (self.peer_url, self.new_peer_url)

    @property
    def cluster(self) -> str:
        """The name of its cluster."""
        return self.paths.cluster

    @property
    def holds_member(self) -> bool:
        """Whether its data directory holds the log of a member."""
        return holds_member(self.data)

    @property
    def has_joined(self) -> bool:
        """Whether it has been part of its cluster once."""
        return has_joined(self.paths)

    def known_peers(self, named: str = "") -> list[Peer]:
        """All others: those that are named, and those it knew when it last took part."""
        listed = [*parse_peers(named), *parse_peers(files.read_text(self.paths.known_peers))]
        by_url = {peer.url: peer for peer in reversed(listed)}
        return [
            by_url[url]
            for url in dict.fromkeys(peer.url for peer in listed)
            if url not in self.peer_urls
        ]

    def own_among(self, members: tuple[Member, ...]) -> Member | None:
        """Itself in a member list, also while its peer URL is being changed."""
        return next((one for one in members if set(one.peer_urls) & set(self.peer_urls)), None)


def holds_member(data: Path) -> bool:
    """Whether a data directory holds the log of a member."""
    try:
        return any((data / "member" / "wal").iterdir())
    except OSError:
        return False


def has_joined(paths: Paths) -> bool:
    """Whether the instance has been part of its cluster once; what joins is none yet."""
    return files.read_text(paths.membership).startswith(JOINED)
