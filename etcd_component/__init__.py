"""etcd clusters on plain Linux machines, as Pulumi resources."""

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
