"""Where things are on the monitor's machine."""

from __future__ import annotations

from pathlib import Path

from etcd_component.agent import files
from etcd_component.agent.paths import UNITS

PROGRAM = Path("/usr/local/sbin/etcd-monitor")
RUN = Path("/run/etcd-monitor")
"""Root's alone: a file that root writes must not be where another user can put a link."""
CONFIGURATION = Path("/etc/etcd-monitor")
OWNER = CONFIGURATION / "owner"
"""Which stack has claimed the machine."""
DATA = CONFIGURATION / "data"
"""The data directory, as the inventory has it."""
REAL_DATA = CONFIGURATION / "real-data"
"""Where links on the way to it led at the beginning."""
INSTALLING = CONFIGURATION / "installing"
"""There while the package is being installed."""
USER = "etcd-monitor"
STORE, ALERTS = "etcd-monitor.service", "etcd-monitor-alerts.service"
MARK = ".etcd-monitor"
"""The file in a data directory by which it is known as ours."""


class Places:
    """What is asked of the paths of a program that has a data directory."""

    made_parent = CONFIGURATION / "found-parent"


def unit_file(unit: str) -> Path:
    """Of one of the two units."""
    return UNITS / unit


def recorded(path: Path) -> str:
    """What a file of one line has; empty where it is missing."""
    return files.read_text(path).strip()
