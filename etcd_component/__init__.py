"""etcd clusters on plain Linux machines, as Pulumi resources."""

from etcd_component.cluster import EtcdCluster
from etcd_component.inventory import load
from etcd_component.model import Cluster, Instance, InvalidInventory, Mistake, Node, Settings

__all__ = [
    "Cluster",
    "EtcdCluster",
    "Instance",
    "InvalidInventory",
    "Mistake",
    "Node",
    "Settings",
    "load",
]
