"""`etcd-monitor uninstall`: take off the machine what etcd-monitor put there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import data_directory, files, host, locking, process, systemd, user
from etcd_component.agent.monitor.places import (
    ALERTS,
    CONFIGURATION,
    DATA,
    OWNER,
    PROGRAM,
    REAL_DATA,
    RUN,
    STORE,
    USER,
    Places,
    recorded,
    unit_file,
)
from etcd_component.agent.output import doing, say, warn

if TYPE_CHECKING:
    from etcd_component.agent.frame import Run


def run(run: Run) -> None:
    """Each step may find its work done by a run that was cut off."""
    _remove_units()
    doing("removing files")
    kept = _remove_data(remove=run.options.remove_data)
    _remove_configuration()
    # What stays belongs to it.
    if not kept and user.exists(USER) and not process.run("userdel", USER).ok:
        warn(f"the user {USER} cannot be removed")
    files.remove(PROGRAM, *RUN.glob("*.started"))
    locking.forget(RUN, "software", "monitor")
    say(f"the monitor is off this machine.{kept}")


def _remove_units() -> None:
    for unit in (ALERTS, STORE):
        if files.is_ours(unit_file(unit)):
            doing(f"stopping {unit}")
            systemd.require("disable", "-q", "--now", unit)
            files.remove(unit_file(unit))
    systemd.require("daemon-reload")
    systemd.systemctl("reset-failed", ALERTS, STORE)


def _remove_data(*, remove: bool) -> str:
    """What is to be said of data that stay; empty where none do."""
    data, real = recorded(DATA), Path(recorded(REAL_DATA) or "/nonexistent")
    if not real.is_dir():
        return ""
    if not remove:
        return f" What it collected stays in {data}."
    leads_to, below = os.path.realpath(data), host.mounts_below(real)
    if leads_to != str(real):
        return (
            f" {data} leads to {leads_to}, and not to {real}, where it had its data: none were"
            " removed."
        )
    if below:
        return (
            f" What it collected stays in {real}, because {below} is mounted there: unmount it and"
            " remove it."
        )
    data_directory.remove(real, Places())
    return ""


def _remove_configuration() -> None:
    """The claim goes last, so that one that is cut off here can be run again."""
    if not CONFIGURATION.is_dir():
        return
    for path in CONFIGURATION.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != OWNER:
            path.unlink()
    files.remove(OWNER)
    CONFIGURATION.rmdir()
