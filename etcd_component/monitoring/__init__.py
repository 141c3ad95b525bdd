"""What watches a cluster is told by it: targets, a scrape job, rules, and a certificate.

Texts that Prometheus and VictoriaMetrics read alike. `python -m etcd_component monitoring` writes
them into a directory.
"""

from etcd_component.monitoring.bundle import files
from etcd_component.monitoring.directory import CannotWrite, write
from etcd_component.monitoring.watched import Watched, WatchedMember

__all__ = ["CannotWrite", "Watched", "WatchedMember", "files", "write"]
