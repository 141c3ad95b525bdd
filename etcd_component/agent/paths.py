"""Where things are on a machine, by cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from etcd_component.agent.output import refuse

CONFIGURATIONS = Path("/etc/etcd")
SOFTWARE = Path("/opt/etcd")
VERSIONS = SOFTWARE / "versions"
UNITS = Path("/etc/systemd/system")
PROGRAM = Path("/usr/local/sbin/etcd-node")
ETCDCTL = Path("/usr/local/sbin/etcdctl")
RUN = Path("/run/etcd-node")
"""Root's alone: a file that root writes must not be where etcd's user can put a link."""
SNAPSHOTS = Path("/var/lib/etcd-node")
_NAME = re.compile("[a-z0-9-][a-z0-9.-]*")


@dataclass(frozen=True)
class Paths:
    """Of one cluster's instance."""

    cluster: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.cluster):
            refuse(f"`{self.cluster}` is not a cluster name")

    @property
    def unit(self) -> str:
        """The name of etcd's unit."""
        return "etcd.service" if self.cluster == "etcd" else f"etcd-{self.cluster}.service"

    @property
    def unit_file(self) -> Path:
        """Of etcd."""
        return UNITS / self.unit

    @property
    def etc(self) -> Path:
        """The instance's configuration, and what it must not forget."""
        return CONFIGURATIONS / self.cluster

    @property
    def pki(self) -> Path:
        """A link to the directory of the certificates in use."""
        return self.etc / "pki"

    @property
    def configuration(self) -> Path:
        """What etcd reads."""
        return self.etc / "etcd.yaml"

    @property
    def settings(self) -> Path:
        """The same as it was put here, without how the member joins."""
        return self.etc / "settings.yaml"

    @property
    def membership(self) -> Path:
        """The rest of it: how the member joins or bootstraps, or that it has joined."""
        return self.etc / "seat.yaml"

    @property
    def claim(self) -> Path:
        """Which instance of which stack this machine holds."""
        return self.etc / "claim"

    @property
    def known_peers(self) -> Path:
        """The other members when this one last took part, as lines `name=peer-url`."""
        return self.etc / "peers"

    @property
    def left(self) -> Path:
        """There when the member has left, with the peers it knew."""
        return self.etc / "left"

    @property
    def rejoined(self) -> Path:
        """The number of the last rejoin that was done."""
        return self.etc / "reseat"

    @property
    def rejoin_begun(self) -> Path:
        """`NUMBER KEPT-COPY` of a rejoin that is under way."""
        return self.etc / "reseat-begun"

    @property
    def repaired(self) -> Path:
        """The number of the last repair that was done."""
        return self.etc / "repair"

    @property
    def former_peer_url(self) -> Path:
        """There while a change of the peer port is under way."""
        return self.etc / "former-peer-url"

    @property
    def former_configuration(self) -> Path:
        """What etcd read before a change of version that is under way, headed by its version."""
        return self.etc / "etcd.yaml.before"

    @property
    def identity(self) -> Path:
        """Which member of which cluster wrote the data, when it last took part."""
        return self.etc / "identity"

    @property
    def made_parent(self) -> Path:
        """The nearest directory above the data that was there before."""
        return self.etc / "found-parent"

    @property
    def desired_access(self) -> Path:
        """Users and roles that the last update wanted."""
        return self.etc / "declared"

    @property
    def of_the_member(self) -> tuple[Path, ...]:
        """What is known of the member that is here; nothing of it holds for another one."""
        return (
            self.membership,
            self.known_peers,
            self.left,
            self.rejoined,
            self.rejoin_begun,
            self.repaired,
            self.former_peer_url,
            self.desired_access,
            self.settings,
            self.configuration,
            self.former_configuration,
            self.identity,
        )

    @property
    def current(self) -> Path:
        """A link to the version of the programs in use."""
        return SOFTWARE / "clusters" / self.cluster

    @property
    def started(self) -> Path:
        """What the running process was started with."""
        return RUN / f"{self.cluster}.started"

    @property
    def bootstrapping(self) -> Path:
        """The process that may bootstrap the cluster just now."""
        return RUN / f"{self.cluster}.founding"

    @property
    def leader_seen(self) -> Path:
        """Who led when this member last looked, for the snapshot before an upgrade."""
        return RUN / f"{self.cluster}.leader"

    @property
    def metrics(self) -> Path:
        """The node's metrics, as the exporter last wrote them."""
        return RUN / f"{self.cluster}.prom"

    @property
    def clock_seen(self) -> Path:
        """Whether the clock was synchronized when somebody last looked."""
        return RUN / f"{self.cluster}.clock"

    @property
    def snapshots(self) -> Path:
        """Of the database, before upgrades."""
        return SNAPSHOTS / self.cluster

    @property
    def exporter(self) -> str:
        """The name of the exporter's units, less their kind.

        No cluster's name has an underscore, so no cluster's unit is called like another's exporter.
        """
        return self.unit[: -len(".service")] + "_exporter"

    @property
    def exporter_units(self) -> tuple[str, ...]:
        """All that there may be."""
        kinds = (".service", ".timer", ".socket", "@.service")
        return tuple(self.exporter + kind for kind in kinds)


def clusters() -> list[str]:
    """The clusters that have something of ours on this machine; other directories are not ours."""
    if not CONFIGURATIONS.is_dir():
        return []
    return sorted(
        path.name
        for path in CONFIGURATIONS.iterdir()
        if _NAME.fullmatch(path.name)
        and ((path / "claim").is_file() or (path / "etcd.yaml").is_file())
    )
