"""The units that write the node's metrics down and give them to whoever connects."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import files, host, systemd
from etcd_component.agent.instance import Instance
from etcd_component.agent.output import doing, refuse, say
from etcd_component.agent.paths import UNITS, Paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etcd_component.agent.frame import Run


def run(run: Run) -> None:
    """Install the units on standard input and start them, or with --remove remove them."""
    paths = Paths(run.options.cluster)
    if run.options.remove:
        take_away(paths)
        say(f"{paths.cluster}: tells nothing of its node any more")
        return
    instance = Instance.load(paths)
    wanted = files.sections(run.stdin)
    if not wanted.get(f"{paths.exporter}.service"):
        refuse(f"standard input has no section `--- {paths.exporter}.service`")
    _refuse_missing_directory(instance, wanted)
    _refuse_port_of_another(instance, wanted)
    _stop_writing(paths)
    for name in paths.exporter_units:
        if wanted.get(name):
            files.atomic_write(UNITS / name, wanted[name])
        else:
            _remove_unit(name)
    _start(instance)


def _start(instance: Instance) -> None:
    name, exporter = instance.name, instance.paths.exporter
    systemd.require("daemon-reload")
    doing("writing metrics for the first time")
    if not systemd.systemctl("start", f"{exporter}.service"):
        refuse(f"{name}: nothing could be written; see `journalctl -u {exporter}.service`")
    started, listens = [f"{exporter}.timer"], ""
    socket = UNITS / f"{exporter}.socket"
    if socket.exists():
        started.append(socket.name)
        address = _found(r"^ListenStream=(.*)$", files.read_text(socket))
        listens = f", and is given to whoever asks at {address}"
    if not (systemd.systemctl("enable", "-q", *started) and systemd.systemctl("restart", *started)):
        refuse(
            f"{name}: {' '.join(started)} cannot be started; see `journalctl -u {exporter}.socket`."
            " Does another program hold the port (etcd_exporter_port)?"
        )
    say(f"{name}: what etcd does not know is written down every half a minute{listens}")


def _refuse_missing_directory(instance: Instance, wanted: Mapping[str, str]) -> None:
    directory = _textfile_directory(wanted[f"{instance.paths.exporter}.service"])
    if directory and not Path(directory).is_dir():
        refuse(
            f"{instance.name}: there is no directory {directory} for node_exporter's textfiles"
            " (etcd_textfile_dir). Make it, or correct the path"
        )


def _refuse_port_of_another(instance: Instance, wanted: Mapping[str, str]) -> None:
    """That a port is taken holds up nothing but this: a member is not refused for it."""
    paths = instance.paths
    socket = f"{paths.exporter}.socket"
    port = _port(wanted.get(socket, ""))
    if not port:
        return
    # systemd itself has the port of a socket.
    if port == _port(files.read_text(UNITS / socket)) and systemd.is_active(socket):
        return
    holder = host.holder_of_port(int(port), f"{paths.exporter}.service")
    if holder is not None:
        refuse(
            f"{instance.name}: the port {port}, on which it would tell of its node"
            f" (etcd_exporter_port), is held by {holder or 'the kernel'}. Stop that, or choose"
            " another port; nothing was changed"
        )


def _port(socket: str) -> str:
    return _found(r"^ListenStream=.*:(\d+)$", socket)


def _textfile_directory(service: str) -> str:
    return _found(r"^ExecStart=.* --textfile (.*)$", service)


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return str(found[1]) if found else ""


# ---- taking them away


def take_away(paths: Paths) -> None:
    """Leave no units and no metrics here, if there are some."""
    _stop_writing(paths)
    removed = [name for name in paths.exporter_units if _remove_unit(name)]
    if removed:
        systemd.require("daemon-reload")
    files.remove(paths.metrics, *paths.metrics.parent.glob(f"{paths.metrics.name}.*"))


def _stop_writing(paths: Paths) -> None:
    """And take back what was left for others, who may get it elsewhere from now on."""
    for kind in (".timer", ".service"):
        if (UNITS / f"{paths.exporter}{kind}").exists():
            systemd.require("stop", f"{paths.exporter}{kind}")
    former = _textfile_directory(files.read_text(UNITS / f"{paths.exporter}.service"))
    if not former:
        return
    name = f"etcd-{paths.cluster}.prom"
    # One that was killed while it wrote has left a part.
    for path in (Path(former) / name, *Path(former).glob(f"{name}.*")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            files.remove(path)


def _remove_unit(name: str) -> bool:
    """Whether it was there."""
    if not (UNITS / name).exists():
        return False
    # One that is there for each connection has no name of its own.
    if name.endswith("@.service"):
        systemd.require("stop", f"{name[: -len('.service')]}*.service")
    else:
        systemd.require("disable", "-q", "--now", name)
    files.remove(UNITS / name)
    systemd.systemctl("reset-failed", name)
    return True


def units_in_use(paths: Paths) -> str:
    """A checksum of the units as they are, `stopped` if they are not at work, empty without any."""
    here = [path for name in paths.exporter_units if (path := UNITS / name).exists()]
    if not here:
        return ""
    at_work = [path.name for path in here if path.suffix in {".timer", ".socket"}]
    if not at_work or not all(map(systemd.is_active, at_work)):
        return "stopped"
    return hashlib.sha256(b"".join(path.read_bytes() for path in here)).hexdigest()
