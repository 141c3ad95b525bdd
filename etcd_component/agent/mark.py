"""The mark in a data directory, which outlives the system's disk: whose data these are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import claim, files, privileges
from etcd_component.agent.output import warn

if TYPE_CHECKING:
    from pathlib import Path

    from etcd_component.agent.instance import Instance
    from etcd_component.agent.options import Options

NAME = ".etcd-node"


def read(real: Path) -> dict[str, str]:
    """What the mark says: cluster, name, owner, and `left` with a date; empty without a mark."""
    path = real / NAME
    text = files.read_text(path) if path.is_file() else ""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def write(instance: Instance, **more: str) -> None:
    """Have it say whose data these are, as the claim does, and what is said besides."""
    claimed = claim.read(instance.paths)
    if claimed is None:
        return
    wanted = {"cluster": instance.cluster, "name": claimed.name, "owner": claimed.owner, **more}
    # A disk that is full must not hold up the change that mends it.
    if read(instance.real) == wanted:
        return
    text = "".join(f"{key}={value}\n" for key, value in wanted.items())

    def put() -> str:
        new = instance.real / f"{NAME}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(instance.real / NAME)
        return ""

    # The data directory is the etcd user's, so that user writes there: root could be led astray by
    # a link.
    try:
        privileges.run_as(privileges.user("etcd"), put)
    except OSError:
        warn(
            f"{instance.name}: {instance.real / NAME}, which says whose data these are, cannot be"
            " written"
        )


def is_mine(instance: Instance, options: Options) -> bool:
    """Whether it names this instance, of the owner that is meant, as one that has not left."""
    claimed = claim.read(instance.paths)
    owner = options.owner or (claimed.owner if claimed else "")
    return names(read(instance.real), instance.cluster, instance.name, owner)


def names(mark: dict[str, str], cluster: str, name: str, owner: str) -> bool:
    """Whether a mark names this instance, and it has not left its cluster."""
    found = tuple(mark.get(key, "") for key in ("cluster", "name", "owner", "left"))
    return found == (cluster, name, owner, "")
