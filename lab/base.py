"""The system that every node starts from: a small Debian with systemd and sshd."""

from __future__ import annotations

import hashlib
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from lab import cache
from lab.errors import LabError
from lab.shell import attempt, run

if TYPE_CHECKING:
    from collections.abc import Callable

_SUITE = "bookworm"
_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "iproute2",
    "ca-certificates",
    "procps",
    "sudo",
    "curl",
)

# Inside nspawn logind and the consoles only cost; daily package jobs would wake all nodes at once.
_MASKED = (
    "systemd-firstboot.service",
    "systemd-logind.service",
    "console-getty.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
)

_CUSTOMIZE = f"""set -eu
cd "$1"
for unit in {" ".join(_MASKED)}; do ln -sf /dev/null "etc/systemd/system/$unit"; done
: >etc/machine-id
rm -f var/lib/dbus/machine-id etc/ssh/ssh_host_* etc/hostname etc/resolv.conf
mkdir -p etc/systemd/journald.conf.d
printf '[Journal]\\nStorage=volatile\\nRuntimeMaxUse=16M\\n' >etc/systemd/journald.conf.d/small.conf
chroot . useradd --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL) NOPASSWD: ALL' >etc/sudoers.d/admin
chmod 0440 etc/sudoers.d/admin
"""


def ensure(say: Callable[[str], None]) -> Path:
    """Return the directory of the base system, which is built first if this user's cache lacks it.

    Raises LabError when no Debian mirror is known to this host's apt, or the build fails.
    """
    recipe = "\n".join((_SUITE, platform.machine(), *_PACKAGES, _CUSTOMIZE))
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]

    def build(target: Path) -> None:
        say("base system: building, once; takes about a minute")
        _build(target)

    return cache.kept(f"lab-base/{_SUITE}-{key}", build) / "root"


def _build(target: Path) -> None:
    hook = target / "customize"
    hook.write_text(_CUSTOMIZE)
    sources = "\n".join(_sources())
    root = target / "root"
    run(
        [
            "mmdebstrap",
            "--variant=minbase",
            "--format=directory",
            f"--include={','.join(_PACKAGES)}",
            f'--customize-hook=sh "{hook}" "$1"',
            *(f"--aptopt={option}" for option in _proxies()),
            _SUITE,
            str(root),
            "-",
        ],
        stdin=sources + "\n",
    )
    hook.unlink()


def _sources() -> list[str]:
    """Lines of sources.list for the base, on the Debian mirrors that this host itself uses."""
    listed = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN) $(SIGNED_BY)",
            "Created-By: Packages",
        ]
    )
    lines = {}
    for line in listed.splitlines():
        uri, release, component, origin = line.split()[:4]
        # The origin is known only once apt has lists; before that, the keyring or the path tells.
        if component != "main" or not (origin == "Debian" or re.search(r"debian", line)):
            continue
        if release.endswith("-security"):
            lines["security"] = f"deb {uri} {_SUITE}-security main"
        elif re.fullmatch(r"[a-z]+", release):
            lines["main"] = f"deb {uri} {_SUITE} main"
    if "main" not in lines:
        message = (
            "apt on this host knows no Debian mirror, so the nodes' system cannot be built: "
            "add one to /etc/apt/sources.list and run `apt-get update`."
        )
        raise LabError(message)
    return list(lines.values())


def _proxies() -> list[str]:
    """Proxy settings of this host's apt, as options of apt."""
    dumped = attempt(["apt-config", "dump"]).stdout
    return [line for line in dumped.splitlines() if re.match(r"Acquire::\w+::Proxy\b", line)]
