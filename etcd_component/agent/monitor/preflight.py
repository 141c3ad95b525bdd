"""Is this machine fit to be the monitor?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import data_directory, files, host, process
from etcd_component.agent.finding import Finding, listed
from etcd_component.agent.monitor import package
from etcd_component.agent.monitor.places import (
    ALERTS,
    CONFIGURATION,
    DATA,
    MARK,
    OWNER,
    STORE,
    recorded,
    unit_file,
)
from etcd_component.agent.output import refuse, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etcd_component.agent.frame import Run
    from etcd_component.agent.options import Options

UNFIT = "this machine cannot be the monitor yet; nothing was changed:"
_ANYWHERE = {"::1", "0.0.0.0", "::"}  # noqa: S104 - what is asked for, not what is done
_NEEDED = ("systemctl", "journalctl", "useradd", "userdel")
_PACKAGES = ("apt-get", "dpkg-query")
_FREE_MIB = 1024


@dataclass(frozen=True)
class Found:
    """What a look at the machine gave."""

    findings: tuple[Finding, ...]
    version: str
    """Of VictoriaMetrics, here or to be had; looked for where all else is well."""
    free_mib: int

    def say_fit(self) -> None:
        """Say so."""
        say(f"the machine is fit (VictoriaMetrics {self.version}, {self.free_mib} MiB free)")


def run(run: Run) -> None:
    """Raises Refusal with all that is wrong."""
    found = look(run.options)
    if found.findings:
        refuse(UNFIT + listed(found.findings))
    found.say_fit()


def look(options: Options) -> Found:
    """Look at the machine; nothing is changed."""
    real = Path(os.path.realpath(options.data))
    ours = bool(options.owner) and recorded(OWNER) == options.owner
    findings = [
        *_programs(),
        *_owner(options),
        *_address(options),
        *_port(options.port, STORE, ours=ours),
        *_port(options.alerts_port, ALERTS, ours=ours),
        *_data(options, real, ours=ours),
        *_units(),
        *_disk(options, real, ours=ours),
    ]
    version = ""
    if not findings:
        version, findings = package.find()
    return Found(tuple(findings), version, host.free_mib(host.existing_parent(real)))


def _programs() -> Iterator[Finding]:
    if not Path("/run/systemd/system").is_dir():
        yield Finding("systemd is not the init system", "use a machine that runs systemd")
    if not all(map(process.exists, _PACKAGES)):
        yield Finding(
            "VictoriaMetrics comes from a package of Debian, and apt-get is not here",
            "use a machine with Debian 13 or newer as the monitor; others can use the files of"
            " `make monitoring` with their own",
        )
    missing = [name for name in _NEEDED if not process.exists(name)]
    if missing:
        yield Finding(
            f"these programs are missing: {' '.join(missing)}",
            "install the packages that hold them (systemd, passwd)",
        )


def _owner(options: Options) -> Iterator[Finding]:
    owner = recorded(OWNER)
    if options.owner and owner and owner != options.owner:
        yield Finding(
            "another stack's monitor is here (or this stack's state was lost)",
            "use another machine; to end that monitor for good, run `etcd-monitor uninstall --yes`"
            " here",
        )


def _address(options: Options) -> Iterator[Finding]:
    own = host.own_addresses()
    address = options.listen
    if address.startswith("127.") or address in _ANYWHERE or address in own:
        return
    others = " ".join(one for one in own if not one.startswith("fe80"))
    yield Finding(
        f"the address {address}, on which it is to listen, is not on this machine (it has:"
        f" {others})",
        "correct listen in etcd_monitor",
    )


def _port(port: int, unit: str, *, ours: bool) -> Iterator[Finding]:
    holder = host.holder_of_port(port, unit)
    if holder is None or (not holder and ours):
        return
    whose = holder or f"the unit {unit}, which is not this stack's"
    yield Finding(
        f"port {port} is held by {whose}",
        "stop it, or have the monitor elsewhere: what is there is not taken over",
    )


def _data(options: Options, real: Path, *, ours: bool) -> Iterator[Finding]:
    last = recorded(DATA)
    if last and ours and last != options.data:
        yield Finding(
            f"the monitor has its data in {last} and cannot be moved to {options.data}",
            "put data back; or take etcd_monitor out, run `pulumi up`, move the directory and put"
            " etcd_monitor in again",
        )
    choose = "another data in etcd_monitor"
    unusable = data_directory.system_directory(Path(options.data), real, choose)
    if unusable:
        yield unusable
    if real.exists() and not real.is_dir():
        yield Finding(f"{real} is not a directory", f"choose {choose}")
    elif real.is_dir() and not _may_hold(real):
        yield Finding(
            f"{real} is not empty and was not made by etcd-monitor",
            f"look at what it holds; move it away, or choose {choose}",
        )


def _may_hold(real: Path) -> bool:
    """Whether it is empty, or what a monitor that was taken away had collected."""
    return (real / MARK).exists() or {one.name for one in real.iterdir()} <= {"lost+found"}


def _units() -> Iterator[Finding]:
    for unit in (STORE, ALERTS):
        path = unit_file(unit)
        if path.exists() and not files.is_ours(path):
            yield Finding(f"{path} is somebody else's", "remove it first")


def _disk(options: Options, real: Path, *, ours: bool) -> Iterator[Finding]:
    free = host.free_mib(host.existing_parent(real))
    # One that ran full is mended by a change, such as less retention.
    if not (ours and CONFIGURATION.is_dir()) and free < _FREE_MIB:
        yield Finding(
            f"only {free} MiB are free for {options.data}", f"free at least {_FREE_MIB} MiB"
        )
