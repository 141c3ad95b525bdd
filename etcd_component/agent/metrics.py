"""What etcd does not know of itself, as metrics for Prometheus."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from etcd_component.agent import (
    certificates,
    composition,
    drift,
    files,
    lifecycle,
    process,
    software,
    start,
    systemd,
)
from etcd_component.agent.client import SHORT, Client
from etcd_component.agent.decide.lifecycle import JOINED, JOINING, LOST, NOT_JOINED, REMOVED
from etcd_component.agent.exposition import Exposition, labels
from etcd_component.agent.instance import Instance
from etcd_component.agent.paths import Paths

if TYPE_CHECKING:
    from etcd_component.agent.frame import Run

_STATES = {
    NOT_JOINED: "not-taken",
    JOINING: "being-taken",
    JOINED: "taken",
    LOST: "lost",
    REMOVED: "gone",
}
"""The values of the label `state`, which alerts and dashboards know."""
_CLOCK_SECONDS = 600
"""A service is started to answer, which the journal shows, so it is not asked each time."""


def run(run: Run) -> None:
    """Print them, or save them where a listener and node_exporter find them."""
    instance = Instance.load(Paths(run.options.cluster))
    text = collect(instance)
    if run.options.save:
        _save(instance.paths, text, run.options.textfile)
    else:
        sys.stdout.write(text)


def _save(paths: Paths, text: str, directory: str) -> None:
    paths.metrics.parent.mkdir(parents=True, exist_ok=True)
    files.atomic_write(paths.metrics, text)
    if directory:
        files.atomic_write_among_others(Path(directory) / f"etcd-{paths.cluster}.prom", text)
    # A flood of connections makes systemd give the socket up; a flood that goes on is let in for a
    # moment only, since each connection is a process.
    socket = f"{paths.exporter}.socket"
    if systemd.show(socket).active == "failed":
        systemd.systemctl("start", socket)


def collect(instance: Instance) -> str:
    """All of them, as text."""
    paths, unit = instance.paths, systemd.show(instance.paths.unit)
    # Whoever asks every half a minute does not wait long.
    client = Client(paths.pki, SHORT)
    address = urlsplit(instance.client_url).hostname or ""
    found = Exposition(labels(cls=paths.cluster, ins=instance.name, ip=address))
    found.gauge(
        "info",
        "The release of etcd that is in use on the node.",
        1,
        version=software.linked_version(paths) or "none",
    )
    found.gauge(
        "seat",
        "Of the instance in its cluster, as its node has it.",
        1,
        state=_STATES[lifecycle.stage_in_cluster(instance, client, unit)],
    )
    found.gauge("unit_active", "Whether the unit of etcd is active.", unit.is_active)
    found.gauge("unit_restarts", "How often systemd has restarted etcd by itself.", unit.restarts)
    found.gauge(
        "restart_pending",
        "Whether etcd runs with other files than those of the node.",
        unit.is_active and not start.runs_what_the_files_say(paths),
    )
    found.gauge(
        "files_changed_by_hand",
        "Whether files are not as they were put on the node; also while the version changes.",
        not composition.is_composed(paths) or bool(drift.changed_files(paths)),
    )
    members = None if client.fault() else client.members_or_none(instance.peer_url)
    if members is not None:
        found.gauge(
            "members", "How many members the cluster has, as this one lists them.", len(members)
        )
    _add_certificates(found, paths)
    _add_data_directory(found, instance.data)
    synchronized = _clock_is_synchronized(paths)
    if synchronized is not None:
        found.gauge(
            "clock_synchronized", "Whether the clock of the node is kept right.", synchronized
        )
    # The last line, from which a listener takes the labels.
    found.gauge("written_timestamp_seconds", "When this was written.", int(time.time()))
    return found.text


def _add_certificates(found: Exposition, paths: Paths) -> None:
    name = "certificate_not_after_timestamp_seconds"
    found.head(name, "When a certificate ends: that of the member, and the CAs that it trusts.")
    for _, end in certificates.ends(paths.pki / "server.crt"):
        found.sample(name, end, certificate="server")
    for number, end in certificates.ends(paths.pki / "ca.crt"):
        found.sample(name, end, certificate="ca", number=str(number))


def _add_data_directory(found: Exposition, data: Path) -> None:
    try:
        disk = os.statvfs(data)
    except OSError:
        return
    what = "Of the file system that holds the data."
    found.gauge("data_size_bytes", what, disk.f_blocks * disk.f_frsize)
    found.gauge("data_free_bytes", what, disk.f_bavail * disk.f_frsize)


def _clock_is_synchronized(paths: Paths) -> bool | None:
    """None where nobody knows."""
    note = paths.clock_seen
    try:
        is_recent = time.time() - note.stat().st_mtime < _CLOCK_SECONDS
    except OSError:
        is_recent = False
    if not is_recent:
        asked = process.run("timedatectl", "show", "-pNTPSynchronized", "--value", seconds=3)
        note.parent.mkdir(parents=True, exist_ok=True)
        files.atomic_write(note, asked.out)
    return {"yes": True, "no": False}.get(files.read_text(note).strip())
