"""The switch of one member to another minor version, and the way back where that does not run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import files, readiness, software, version_change
from etcd_component.agent.composition import compose
from etcd_component.agent.decide.version import minor_of, older
from etcd_component.agent.output import Refusal, complain, doing, refuse
from etcd_component.agent.paths import VERSIONS
from etcd_component.etcd_api.errors import ApiError

if TYPE_CHECKING:
    from etcd_component.agent.client import Client
    from etcd_component.agent.frame import Run
    from etcd_component.agent.instance import Instance

_MEND = "Mend what the lines above show and run `pulumi up` again"


def switch(run: Run, instance: Instance, client: Client, mine: str, version: str) -> None:
    """Restart the member with another version. Raises Refusal; then the former one runs again.

    It does not where the cluster has gone on, or where it is not on this machine any more.
    """
    paths = instance.paths
    version_change.keep_configuration(paths, mine)
    software.link_version(paths, version)
    compose(paths)
    try:
        readiness.restart_member(run, instance, client)
    except (Refusal, ApiError) as error:
        complain(f"{run.program.name}: {error}")
        _put_back(run, instance, client, mine, version)


def _put_back(run: Run, instance: Instance, client: Client, mine: str, version: str) -> None:
    doing(f"putting etcd {mine} back")
    paths = instance.paths
    begin = (
        f"{instance.name} does not become ready with etcd {version} (see above); the others were"
        " left alone"
    )
    gone_on = _gone_on(run, instance, client, mine)
    if gone_on:
        refuse(
            f"{begin}. etcd {mine} cannot be put back, because the cluster is at {gone_on} already."
            f" {_MEND}"
        )
    if software.reported_version(VERSIONS / mine / "bin" / "etcd") != mine:
        refuse(
            f"{begin}. etcd {mine} cannot be put back, because it is not on this machine any more."
            f" {_MEND}"
        )
    software.link_version(paths, mine)
    files.atomic_write(paths.configuration, version_change.kept_configuration(paths))
    try:
        readiness.restart_member(run, instance, client)
    except (Refusal, ApiError) as error:
        complain(f"{run.program.name}: {error}")
        refuse(f"{begin}. etcd {mine} was put back and does not become ready either. {_MEND}")
    files.remove(paths.former_configuration)
    refuse(
        f"{begin}. etcd {mine} was put back and runs again. Mend what the lines above show, or set"
        " etcd_version back, and run `pulumi up` again"
    )


def _gone_on(run: Run, instance: Instance, client: Client, mine: str) -> str:
    """The minor version of the cluster, where the former version of this member is too old for it.

    One of which nobody says anything does not count: its member runs nowhere either.
    """
    known = (client.versions_or_none(peer.url) for peer in instance.known_peers(run.options.peers))
    reached = [minor_of(versions.cluster) for versions in known if versions]
    later = [minor for minor in reached if minor and older(minor_of(mine), minor)]
    return later[0] if later else ""
