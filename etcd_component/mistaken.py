"""What a first run recorded that does not bind: founders of no cluster, and who never came.

Pure functions of what the last update left, and of what the inventory says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from etcd_component.model import Cluster
from etcd_component.previous import Previous


def founders(cluster: Cluster) -> list[str]:
    """Those of the inventory, each as `name=peer-url`."""
    return [f"{one.name}={one.peer_url}" for one in cluster.voters]


def founders_are(before: Previous, cluster: Cluster) -> bool:
    """Whether others than those of the inventory were to found a cluster, and nobody has."""
    recorded = before.kept(f"{cluster.name}-genesis")
    return bool(recorded) and not before.formed(cluster.name) and recorded[1:] != founders(cluster)


@dataclass(frozen=True, slots=True)
class Strays:
    """Instances that a formed cluster may list under another peer URL, though they never joined."""

    survivor: str = ""
    """The instance that has them removed: it has joined."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """Those URLs, by the names of the instances."""


def strays(before: Previous, cluster: Cluster) -> Strays:
    """The founders that did not come, and newcomers of whom another machine was tried."""
    recorded = before.kept(f"{cluster.name}-genesis")
    wanted = {one.name: one for one in cluster.instances}
    states = {one.name: one for one in before.of_cluster(cluster.name)}
    joined = [one for one in cluster.voters if one.name in states and states[one.name].joined]
    if not joined or not recorded:
        return Strays()
    expected = dict(one.split("=", 1) for one in recorded[1:])
    urls = {}
    for name, state in states.items():
        model = wanted.get(name)
        if state.joined or (model is not None and model.lost):
            continue
        url = expected.get(name)
        if url is None and model is not None and state.contacted:
            url = replace(model, node=replace(model.node, address=state.address)).peer_url
        if url is not None and (model is None or model.peer_url != url):
            urls[name] = url
    return Strays(joined[0].name, urls)
