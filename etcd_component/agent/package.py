"""etcd from the distribution's package, and what packages of Debian must not do on their way."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import archive, process, software, systemd
from etcd_component.agent.output import complain, doing, refuse, say, warn
from etcd_component.agent.paths import UNITS
from etcd_component.agent.process import Done

if TYPE_CHECKING:
    from collections.abc import Iterable

_ETCD = Path("/usr/bin/etcd")
_PACKAGES = ("etcd-server", "etcd-client")
_UNITS = ("etcd", "etcd.*", "etcd-*", "etcd@*")
_HELD_BACK = ("deb-systemd-invoke", "invoke-rc.d", "deb-systemd-helper")
_LINES = 20

_HOLD = """\
#!{interpreter} -IS
import os, sys
from fnmatch import fnmatchcase

own, words = sys.argv[0], sys.argv[1:]
name, here = os.path.basename(own), os.path.dirname(own)
others = [part for part in os.environ["PATH"].split(":") if part != here]
os.environ["PATH"] = ":".join(others)
held = any(fnmatchcase(word, pattern) for word in words for pattern in {patterns!r})
if name == "deb-systemd-helper" and "enable" not in words:
    held = False
if not held:
    os.execvp(name, [name, *words])
"""


def install(version: str) -> None:
    """Have that version of the distribution's package. Raises Refusal where it has another."""
    if software.reported_version(_ETCD) == version and _is_whole():
        say(f"etcd {version} is here already")
    elif process.exists("apt-get"):
        _install_deb(version)
    elif process.exists("dnf"):
        doing("installing the package etcd")
        _require(
            process.run("dnf", "-y", "-q", "install", "etcd"),
            "dnf could not install the package etcd",
        )
    else:
        refuse("etcd_install is package, but this machine has neither apt-get nor dnf; use archive")


def _is_whole() -> bool:
    """An installation that was killed may have left it unconfigured, or not held."""
    asked = ("dpkg-query", "-W", "-f", "${db:Status-Want} ${db:Status-Status}", "etcd-server")
    return process.run(*asked).out in {"hold installed", ""}


def _install_deb(version: str) -> None:
    doing("asking apt-get for etcd-server")
    _require(
        process.run("apt-get", "-q", "update"),
        "apt-get update fails; mend the machine's package sources, or set etcd_install to archive",
    )
    candidate = _candidate()
    if not has_version(candidate, version):
        refuse(
            f"the distribution offers etcd-server {candidate or 'nowhere'}, but etcd_version is"
            f" {version}; nothing was installed. Set etcd_version to what it offers, if that is not"
            " refused, or etcd_install to archive"
        )
    with archive.working_directory() as work:
        # Debian's package starts a lone etcd of its own as soon as it is installed, and restarts it
        # on each package upgrade without asking the cluster.
        hold_units_back(work, _UNITS)
        say("installing etcd-server and etcd-client with apt-get")
        doing("installing etcd-server with apt-get")
        # An installation that was killed has to be ended first.
        if not install_quietly(work, "dpkg", "--configure", "-a").ok:
            warn("dpkg --configure -a fails")
        _require(
            install_quietly(
                *(work, "apt-get", "-q", "-y", "-o", f"DPkg::Path={work}:{process.PATH}"),
                *("--allow-change-held-packages", "install", *_PACKAGES),
            ),
            "apt-get could not install etcd-server and etcd-client",
        )
    # Debian's next upgrade would restart etcd without asking the cluster.
    _require(
        process.run("apt-mark", "hold", *_PACKAGES),
        f"apt-mark could not hold {' and '.join(_PACKAGES)} at their version",
    )
    # Enabled, it would start at the next boot. Our own unit of that name comes before it.
    if not (UNITS / "etcd.service").exists():
        systemd.systemctl("disable", "--now", "-q", "etcd.service")


def _candidate() -> str:
    policy = process.run("apt-cache", "policy", "etcd-server").out
    found = re.search(r"^ *Candidate: (.*)$", policy, re.MULTILINE)
    return found[1] if found else ""


def has_version(candidate: str, version: str) -> bool:
    """Whether a package of this version of Debian's has that version of etcd."""
    return re.fullmatch(rf"{re.escape(version)}([-+~].*)?", candidate) is not None


def _require(done: Done, otherwise: str) -> None:
    """Raises Refusal where it failed, after the end of what it said."""
    if not done.ok:
        complain("\n".join(f"{done.out}\n{done.err}".strip().splitlines()[-_LINES:]))
        refuse(otherwise)


def hold_units_back(directory: Path, patterns: Iterable[str]) -> None:
    """Fill a directory with programs that come before those by which Debian's packages start units.

    They leave out units whose name matches one of the shell patterns, and hand on all others. So
    nothing is changed outside of this process, and nothing is left behind when it is killed.
    """
    text = _HOLD.format(interpreter=sys.executable, patterns=tuple(patterns))
    for name in _HELD_BACK:
        if process.exists(name):
            (directory / name).write_text(text, encoding="utf-8")
            (directory / name).chmod(0o755)


def install_quietly(directory: Path, *argv: str) -> Done:
    """Run what installs packages, without questions, with what `directory` holds back."""
    return process.run(
        *argv,
        env={
            "DEBIAN_FRONTEND": "noninteractive",
            # It would restart what runs with files that were replaced.
            "NEEDRESTART_SUSPEND": "1",
            "PATH": f"{directory}:{process.PATH}",
        },
    )
