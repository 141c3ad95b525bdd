"""Dashboards: all clusters, one cluster, one instance; for Grafana and for vmui.

`boards.py` says what is shown in which order, `panels.py` what each panel is.
"""

from etcd_component.monitoring.dashboards.grafana import grafana
from etcd_component.monitoring.dashboards.vmui import vmui

__all__ = ["grafana", "vmui"]
