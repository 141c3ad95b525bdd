"""What etcd reads: its settings, and how the member joins, which etcd reads only once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import files
from etcd_component.agent.instance import JOINED
from etcd_component.agent.output import refuse

if TYPE_CHECKING:
    from etcd_component.agent.instance import Instance
    from etcd_component.agent.paths import Paths


def composition(paths: Paths) -> str:
    """The configuration as it follows from the instance's files."""
    settings = files.read_text(paths.settings)
    membership = files.read_text(paths.membership)
    if membership:
        return settings + membership
    # Without one etcd has nobody to begin with: with nobody else in the list it refuses to.
    name = files.value_in(settings, "name")
    url = files.value_in(settings, "initial-advertise-peer-urls")
    return (
        f"{settings}# No seat is taken. Without data etcd refuses to start with this.\n"
        f"initial-cluster-state: existing\ninitial-cluster: {name}={url}\n"
    )


def compose(paths: Paths) -> None:
    """Write it for etcd. Raises Refusal."""
    if not files.has_content(paths.settings):
        refuse(
            f"{paths.settings} is missing or empty, so {paths.configuration} stays as it is; a"
            " raised etcd_repair puts it back"
        )
    files.atomic_write(paths.configuration, composition(paths))


def is_composed(paths: Paths) -> bool:
    """Whether etcd reads just that.

    Not so while a change of version is under way, nor where somebody has edited it.
    """
    return files.read_text(paths.configuration).rstrip("\n") == composition(paths).rstrip("\n")


def write_joining(paths: Paths, state: str, initial_cluster: str, token: str) -> None:
    """Have etcd bootstrap (`new`) or join (`existing`) when it starts without data."""
    files.atomic_write(
        paths.membership,
        "# Read by etcd only when its data directory is empty.\n"
        f"initial-cluster-state: {state}\n"
        f"initial-cluster: {initial_cluster}\n"
        f"initial-cluster-token: {token or paths.cluster}\n",
    )
    compose(paths)


def write_joined(instance: Instance) -> None:
    """From now on the configuration no longer says how to begin; quick where it is so already.

    A machine that boots without its data disk would bootstrap its cluster again, or come back as a
    member that has forgotten its votes: both can cost the cluster data. With nobody else in the
    list etcd does neither.
    """
    text = (
        f"{JOINED}. Without the member's data etcd refuses to start with this.\n"
        "initial-cluster-state: existing\n"
        f"initial-cluster: {instance.name}={instance.new_peer_url}\n"
    )
    if files.read_text(instance.paths.membership) != text:
        files.atomic_write(instance.paths.membership, text)
        compose(instance.paths)
