"""What is on this machine, as one JSON document on one line, for `make status`.

What the stack wants is not known here, so files are given as they are. None of them is secret. The
other side is `etcd_component/status/machines.py`.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etcd_component.agent import (
    claim,
    composition,
    crash,
    data_directory,
    exporter,
    files,
    host,
    install_program,
    lifecycle,
    software,
    start,
    systemd,
)
from etcd_component.agent.client import SHORT, Client
from etcd_component.agent.instance import Instance
from etcd_component.agent.paths import Paths

if TYPE_CHECKING:
    from etcd_component.agent.frame import Run
    from etcd_component.agent.systemd import UnitState

SCHEMA = 1
"""Of the document; raise it when a name or a meaning changes."""


def run(run: Run) -> None:
    """Print the document."""
    document = collect(Paths(run.options.cluster), run.options.data)
    # The line is longer than those that `say` prints.
    sys.stdout.write(f"{json.dumps(document)}\n")


def collect(paths: Paths, data: str) -> dict[str, Any]:
    """The document. `data` is the data directory of a machine that has no configuration."""
    claimed = claim.read(paths)
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "owner": claimed.owner if claimed else "",
        "program": install_program.installed_sha256(),
    }
    if not files.has_content(paths.configuration):
        return {**found, "stage": "none", **(_data(Path(data)) if data else {})}
    instance, unit = Instance.load(paths), systemd.show(paths.unit)
    return {
        **found,
        **_data(instance.data),
        **_unit(paths, unit),
        **_files(paths),
        "version": software.linked_version(paths) or "none",
        "reported": software.reported_version(paths.current / "bin" / "etcd"),
        "exporter": exporter.units_in_use(paths),
        "stage": lifecycle.stage(instance),
        "rejoin": _number(paths.rejoined),
        "members": _members(instance),
    }


def _data(data: Path) -> dict[str, Any]:
    return {
        "data": data_directory.state(data),
        "missing_mount": host.missing_mount(data),
        "file_system": host.file_system_type(data),
    }


def _unit(paths: Paths, unit: UnitState) -> dict[str, Any]:
    last = crash.look(paths.unit, unit)
    return {
        "unit": unit.active,
        "is_enabled": unit.enabled,
        "is_loaded": not unit.needs_reload,
        "drop_ins": list(unit.drop_ins),
        "runs_the_files": start.runs_what_the_files_say(paths),
        "crash": last.text,
        "crash_kind": last.kind,
    }


def _files(paths: Paths) -> dict[str, Any]:
    return {
        "configuration": without_membership(files.read_text(paths.configuration)),
        "settings": files.read_text(paths.settings),
        "is_composed": composition.is_composed(paths),
        "unit_file": files.read_text(paths.unit_file),
        "ca": files.sha256_of(paths.pki / "ca.crt"),
        "certificate": files.sha256_of(paths.pki / "server.crt"),
        "revoked": _base64(paths.pki / "revoked.crl"),
    }


def without_membership(configuration: str) -> str:
    """What etcd reads, less how the member joins."""
    return re.sub(
        r"^(?:# |initial-cluster(?:-state|-token)?: ).*\n?", "", configuration, flags=re.MULTILINE
    )


def _members(instance: Instance) -> list[dict[str, Any]]:
    """As its own peer port lists them, in etcd's words; empty where it does not answer."""
    client = Client(instance.paths.pki, SHORT)
    members = None if client.fault() else client.members_or_none(instance.peer_url)
    return [
        {
            "ID": str(member.id),
            "name": member.name,
            "peerURLs": member.peer_urls,
            "clientURLs": member.client_urls,
            "isLearner": member.is_learner,
        }
        for member in members or ()
    ]


def _base64(path: Path) -> str:
    try:
        return base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = files.read_text(path).strip()
    return int(text) if text.isdigit() else 0
