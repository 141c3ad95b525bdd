"""`etcd-monitor targets`, and what VictoriaMetrics says of its targets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.agent import files
from etcd_component.agent.monitor import client
from etcd_component.agent.monitor.places import CONFIGURATION, recorded
from etcd_component.agent.output import refuse

if TYPE_CHECKING:
    from etcd_component.agent.frame import Run

URL = CONFIGURATION / "url"
_LINE = re.compile(
    r"^\tstate=(?P<state>[^,]*).*, endpoint=[a-z]*://(?P<address>[^/]*)/.*scrapes_total=(?P<tried>\d+)"
    r".*?, error=(?P<error>.*)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Target:
    """A server that is scraped."""

    address: str
    """With its port."""
    is_up: bool
    tried: int
    """How often it was scraped, or should have been."""
    error: str


def parse(text: str) -> list[Target]:
    """The targets in what VictoriaMetrics prints for `/targets`, by address."""
    found = [
        Target(one["address"], one["state"] == "up", int(one["tried"]), one["error"])
        for one in _LINE.finditer(text)
    ]
    return sorted(found, key=lambda one: one.address)


def wanted() -> list[str]:
    """The addresses in the files of targets, in order."""
    texts = [
        files.read_text(path)
        for folder in ("targets", "targets-node")
        for path in files.walk(CONFIGURATION / folder)
        if path.suffix == ".yml"
    ]
    return sorted(re.findall(r"^  - '?([^']*?)'?$", "\n".join(texts), re.MULTILINE))


def asked() -> str:
    """What VictoriaMetrics says of its targets. Raises NoAnswer."""
    return client.get(f"{recorded(URL)}/targets")


def run(_: Run) -> None:
    """Print it. Raises Refusal where there is no monitor."""
    if not recorded(URL):
        refuse("this machine is no monitor; `pulumi up` makes one")
    try:
        print(asked(), end="")
    except client.NoAnswer as silence:
        refuse(f"VictoriaMetrics does not answer: {silence}. Look at `journalctl -u etcd-monitor`")
