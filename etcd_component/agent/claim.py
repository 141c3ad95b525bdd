"""Which instance of which stack this machine holds, and whether a run may touch it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.agent import confirmation, files
from etcd_component.agent.decide.claiming import Held, authorization
from etcd_component.agent.paths import Paths, clusters

if TYPE_CHECKING:
    from etcd_component.agent.decide.verdict import Verdict
    from etcd_component.agent.frame import Run

_NAMES_A_USER = frozenset({"drop-role", "drop-user", "declare"})
"""Commands whose --name is none of an instance."""


@dataclass(frozen=True)
class Claim:
    """What was written down when the machine was claimed."""

    owner: str
    """The stack."""
    name: str
    """The instance."""
    address: str
    client_port: int
    peer_port: int
    data: str
    real_data: str
    """Where links on the way to the data led; empty where it is not said."""

    def __str__(self) -> str:
        """The text of the file."""
        return (
            f"owner={self.owner}\nname={self.name}\naddress={self.address}\n"
            f"client-port={self.client_port}\npeer-port={self.peer_port}\n"
            f"data={self.data}\nreal-data={self.real_data}\n"
        )


def read(paths: Paths) -> Claim | None:
    """The claim of a cluster's instance; None where there is none, or an empty file."""
    text = files.read_text(paths.claim)
    if not text:
        return None
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def number(key: str) -> int:
        value = said.get(key, "")
        return int(value) if value.isdigit() else 0

    return Claim(
        said.get("owner", ""),
        said.get("name", ""),
        said.get("address", ""),
        number("client-port"),
        number("peer-port"),
        said.get("data", ""),
        said.get("real-data", ""),
    )


def held(paths: Paths) -> Held:
    """What is here of a cluster."""
    claimed = read(paths)
    name = claimed.name if claimed else ""
    if not name:
        name = files.value_in(files.read_text(paths.configuration), "name")
    return Held(paths.cluster, name, claimed.owner if claimed else "")


def authorize(run: Run) -> Verdict:
    """Whether this machine holds what a run means. Raises Refusal for a person to confirm first."""
    options, paths = run.options, Paths(run.options.cluster)
    instance = options.instance if run.word in _NAMES_A_USER else options.meant
    here = held(paths)
    if not options.owner and run.word in confirmation.COMMANDS:
        # A person who types it sees first what would go.
        confirmation.confirm_removal(run, paths, here, read(paths))
    return authorization(
        here,
        instance,
        options.owner,
        removes=run.command.removes or (run.word == "exporter" and options.remove),
        may_finish=run.word == "uninstall" and not clusters(),
    )
