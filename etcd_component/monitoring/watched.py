"""A cluster as what watches it sees it: its instances, where each is scraped, and the way in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from etcd_component.model import Cluster

Role = Literal["voter", "learner"]

JOB = "etcd"
"""The label `job` of everything that is known of etcd."""


@dataclass(frozen=True, slots=True)
class WatchedMember:
    """An instance that the stack declares."""

    ins: str
    """`{cluster}-{seq}`."""
    ip: str
    """The address of its node, as the inventory has it."""
    target: str
    """Where etcd tells its metrics, as `host:port`."""
    role: Role
    exporter: str | None = None
    """Where its node tells what etcd does not know, as `host:port`."""

    def labels(self, cls: str, job: str = JOB) -> dict[str, str]:
        """What every series of it carries; `cls` is its cluster."""
        return {"cls": cls, "ins": self.ins, "ip": self.ip, "job": job}


@dataclass(frozen=True, slots=True)
class Watched:
    """A cluster, and a certificate that reads its metrics and nothing else."""

    cluster: str
    version: str
    """Release without the `v`: `3.6.14`."""
    members: tuple[WatchedMember, ...]
    """In the order of their numbers; those whose machines are lost are not among them."""
    ca: str
    """PEM of all CAs to trust."""
    cert: str
    """PEM."""
    key: str = field(repr=False)
    """PEM."""

    @classmethod
    def of(cls, cluster: Cluster, ca: str, cert: str, key: str) -> Watched:
        """What there is to watch of a cluster, with the certificate of its watcher."""
        members = tuple(
            WatchedMember(
                one.name,
                one.node.address,
                one.endpoint,
                "learner" if one.learner else "voter",
                one.exporter,
            )
            for one in cluster.instances
            if not one.lost
        )
        return cls(cluster.name, cluster.settings.version, members, ca, cert, key)

    @classmethod
    def read(cls, output: Mapping[str, Any]) -> Watched:
        """From what stands in the stack's outputs, beside other things."""
        found = {one.name: output[one.name] for one in dataclasses.fields(cls)}
        members = tuple(WatchedMember(**one) for one in output["members"])
        return cls(**found | {"members": members})

    @property
    def output(self) -> dict[str, Any]:
        """What `read` reads."""
        found = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return found | {"members": [dataclasses.asdict(one) for one in self.members]}
