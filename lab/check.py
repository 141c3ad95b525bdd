"""Whether a lab can run on this machine, and what to do where it cannot."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING

from lab import cache, cgroups, firewall
from lab.errors import LabError
from lab.naming import HOME
from lab.shell import attempt, environment, load_module, run

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "iptables": "iptables",
    "nsenter": "util-linux",
}

NOT_ROOT = "You are not root, and nodes need namespaces, mounts and a bridge: run it with sudo -E."


def findings() -> list[str]:
    """Return what keeps a lab from running here, each with its cure; empty if nothing does."""
    if sys.platform != "linux":
        return ["This is not Linux: run the lab in a Linux virtual machine, as root."]
    if os.geteuid() != 0:
        return [NOT_ROOT]
    found = [*_programs(), *_cgroups()]
    if not missing_packages():
        found += [*_namespaces(), *_iptables()]
    return found


def missing_packages() -> list[str]:
    """Return the Debian packages that must be installed first."""
    path = environment()["PATH"]
    return sorted(
        package for program, package in _PACKAGES.items() if not shutil.which(program, path=path)
    )


def install_packages(say: Callable[[str], None]) -> None:
    """Install what is missing, where that is possible: as root on Debian and its relatives.

    Raises LabError when apt-get fails.
    """
    install(missing_packages, say)


def install(missing: Callable[[], list[str]], say: Callable[[str], None]) -> None:
    """Install the packages that are `missing`, where that is possible, as install_packages does."""
    if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        # Two that would install at once are in each other's way.
        with cache.locked(cache.cache_home() / ".packages.lock"):
            _install(missing(), say)


def _install(packages: list[str], say: Callable[[str], None]) -> None:
    if not packages:
        return
    say(f"host packages: installing {' '.join(packages)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    # A machine that has just booted installs something itself, which is waited for.
    waiting = ["apt-get", "-o", "DPkg::Lock::Timeout=600"]
    install = [*waiting, "install", "--yes", "--no-install-recommends", *packages]
    if attempt(install, extra_environment=quiet).returncode != 0:
        run(["apt-get", "update"])
        run(install, extra_environment=quiet)


def _programs() -> list[str]:
    packages = missing_packages()
    if not packages:
        return []
    return [f"Programs are missing: install the packages {' '.join(packages)}."]


def _cgroups() -> list[str]:
    if cgroups.hierarchies():
        return []
    return ["Control groups are not mounted at /sys/fs/cgroup, which systemd needs: mount them."]


def _namespaces() -> list[str]:
    """Try, in namespaces that vanish again, what a node is made of."""
    load_module("overlay")
    HOME.parent.mkdir(parents=True, exist_ok=True)
    # Where nodes have their disks: an overlay may work on one file system and not on another.
    with tempfile.TemporaryDirectory(prefix=".etcd-lab-check-", dir=HOME.parent) as place:
        attempts = (
            "mkdir lower upper work root",
            "mount -t overlay check -o lowerdir=lower,upperdir=upper,workdir=work root",
            "ip link add check type bridge",
            "ip link add check0 type veth peer name check1",
        )
        tried = attempt(
            [
                *("unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork"),
                *("sh", "-c", f"cd {place} && {' && '.join(attempts)}"),
            ]
        )
    if tried.returncode == 0:
        return []
    why = tried.stderr.strip().replace("\n", " ") or "no reason given"
    what = f"Namespaces, bridges or overlays on {HOME.parent} cannot be made"
    return [f"{what} ({why}): use a machine, not a container."]


def _iptables() -> list[str]:
    try:
        firewall.backend()
    except LabError as error:
        return [str(error)]
    return []
