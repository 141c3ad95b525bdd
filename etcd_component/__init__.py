"""etcd clusters on plain Linux machines, as Pulumi resources."""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from etcd_component.cluster import EtcdCluster, by_cluster
    from etcd_component.inventory import load
    from etcd_component.model import Cluster, Instance, InvalidInventory, Mistake, Node, Settings
    from etcd_component.monitor import Monitor

__all__ = [
    "Cluster",
    "EtcdCluster",
    "Instance",
    "InvalidInventory",
    "Mistake",
    "Monitor",
    "Node",
    "Settings",
    "by_cluster",
    "load",
]

_WHERE: Final = {
    "EtcdCluster": "cluster",
    "Monitor": "monitor",
    "by_cluster": "cluster",
    "load": "inventory",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is used: what the program begins with must not wait for all of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_WHERE.get(name, 'model')}")
    return getattr(module, name)
