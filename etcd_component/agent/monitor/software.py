"""`etcd-monitor software`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from etcd_component.agent.monitor import package
from etcd_component.agent.monitor.places import CONFIGURATION

if TYPE_CHECKING:
    from etcd_component.agent.frame import Run


def run(_: Run) -> None:
    """Have VictoriaMetrics and vmalert. Raises Refusal."""
    # What runs that were killed have left.
    for old in CONFIGURATION.glob(".apt-*"):
        shutil.rmtree(old, ignore_errors=True)
    package.install()
