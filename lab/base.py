"""The systems that nodes start from: a small Debian with systemd and sshd."""

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

NODES = "bookworm"
"""The release of Debian that nodes run unless another is chosen for them."""

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "iproute2",
    "ca-certificates",
    "procps",
    "python3",
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


def ensure(say: Callable[[str], None], suite: str = NODES) -> Path:
    """Return the directory of the base system of a release of Debian.

    It is built first if this user's cache lacks it. Raises LabError when Debian's keys are missing,
    or the build fails.
    """
    recipe = "\n".join((suite, platform.machine(), *_PACKAGES, _CUSTOMIZE))
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]

    def build(target: Path) -> None:
        say(f"base system ({suite}): building, once; takes about a minute")
        _build(target, suite)

    return cache.kept(f"lab-base/{suite}-{key}", build) / "root"


def _build(target: Path, suite: str) -> None:
    hook = target / "customize"
    hook.write_text(_CUSTOMIZE)
    sources = _sources(suite)
    root = target / "root"
    run(
        [
            "mmdebstrap",
            "--variant=minbase",
            "--format=directory",
            f"--include={','.join(_PACKAGES)}",
            f'--customize-hook=sh "{hook}" "$1"',
            *(f"--aptopt={option}" for option in _proxies()),
            suite,
            str(root),
            *(["-"] if sources else []),
        ],
        stdin="".join(f"{line}\n" for line in sources),
    )
    hook.unlink()


def _sources(suite: str) -> list[str]:
    """Lines of sources.list for the base, on the Debian mirrors that this host itself uses.

    Empty where it uses none; mmdebstrap then takes Debian's own.
    """
    listed = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)",
            "Created-By: Packages",
        ]
    )
    lines = {}
    for line in listed.splitlines():
        uri, release, component, origin = line.split()[:4]
        # Apt knows the origin only once it has the lists; until then the usual path must do.
        unknown = origin.startswith("$")
        if component != "main" or not (origin == "Debian" or (unknown and "/debian" in uri)):
            continue
        if release.endswith("-security"):
            lines["security"] = f"deb {uri} {suite}-security main"
        elif "-" not in release:
            lines["main"] = f"deb {uri} {suite} main"
    if "main" in lines:
        return list(lines.values())
    if not _KEYRING.exists():
        message = f"{_KEYRING} is missing: install the package debian-archive-keyring."
        raise LabError(message)
    return []


def _proxies() -> list[str]:
    """Proxy settings of this host's apt, as options of apt."""
    dumped = attempt(["apt-config", "dump"]).stdout
    return [line for line in dumped.splitlines() if re.match(r"Acquire::\w+::Proxy\b", line)]
