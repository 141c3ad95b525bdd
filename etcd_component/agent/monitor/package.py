"""VictoriaMetrics and vmalert, from the package of the distribution."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from etcd_component.agent import process, systemd
from etcd_component.agent.finding import Finding
from etcd_component.agent.monitor.places import CONFIGURATION, INSTALLING
from etcd_component.agent.output import doing, refuse, say
from etcd_component.agent.package import hold_units_back, install_quietly

OLDEST = "1.112"
"""The first version that was tried. Those of Debian 12 take passwords in command lines only, and
have no dashboards of one's own."""
PROGRAMS = (Path("/usr/bin/victoria-metrics"), Path("/usr/bin/vmalert"))
_PACKAGE = "victoria-metrics"
_UNITS = ("victoria-metrics", "victoria-metrics.*", "victoria-metrics-*", "vmalert*")
_LINES = 5


def find() -> tuple[str, list[Finding]]:
    """The version that is here, or could be installed; and why it will not do."""
    version = version_here() or _version_offered()
    if not version:
        doing("asking apt-get for victoria-metrics")
        # Lists only: a machine that was never asked for a package has none.
        process.run("apt-get", "-qq", "update")
        version = _version_offered()
    if not version:
        return "", [
            Finding(
                "the package sources of this machine have no victoria-metrics",
                "use a machine with Debian 13 or newer as the monitor, or give this one a source"
                f" that has {OLDEST} or newer",
            )
        ]
    if not process.run("dpkg", "--compare-versions", version, "ge", OLDEST).ok:
        return version, [
            Finding(
                f"this machine has VictoriaMetrics {version}, which is older than {OLDEST}: it"
                " takes passwords in command lines only, and shows no dashboards",
                "use a machine with Debian 13 or newer as the monitor; others can use the files of"
                " `make monitoring` with their own",
            )
        ]
    return version, []


def version_here() -> str:
    """Of the package that is installed; empty where none is."""
    return _version_in(
        r"^installed ([^+~\s-]*)",
        process.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}\n", _PACKAGE).out,
    )


def _version_offered() -> str:
    return _version_in(
        r"^ *Candidate: *(\d[^+~\s-]*)", process.run("apt-cache", "policy", _PACKAGE).out
    )


def _version_in(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""


def install() -> None:
    """Have the package. Raises Refusal.

    It starts a service of its own, which serves everybody without a password. What is begun here
    is written down: one that was killed may have left that to start at the next boot.
    """
    here = version_here()
    whole = all(os.access(program, os.X_OK) for program in PROGRAMS)
    if here and whole and not INSTALLING.exists():
        say(f"VictoriaMetrics {here} is here already")
        return
    INSTALLING.touch()
    with tempfile.TemporaryDirectory(prefix=".apt-", dir=CONFIGURATION) as work:
        _install(Path(work))
    systemd.systemctl("disable", "--now", "-q", "victoria-metrics.service")
    INSTALLING.unlink()
    say(f"VictoriaMetrics {version_here()} is installed")


def _install(work: Path) -> None:
    hold_units_back(work, _UNITS)
    doing("installing victoria-metrics with apt-get")
    # A run that was killed may have left this half done.
    install_quietly(work, "dpkg", "--configure", "-a")
    words = [
        *("apt-get", "-qq", "-y", "-o", f"DPkg::Path={work}:{process.PATH}"),
        *("--no-install-recommends", "install", _PACKAGE),
    ]
    done = install_quietly(work, *words)
    if not done.ok and process.run("apt-get", "-qq", "update").ok:
        done = install_quietly(work, *words)
    if not done.ok:
        last = "\n".join(f"{done.out}\n{done.err}".strip().splitlines()[-_LINES:])
        refuse(
            f"apt-get could not install victoria-metrics: {last}. Mend that and run `pulumi up`"
            " again"
        )
