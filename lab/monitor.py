"""The system of the monitor's node: the next Debian, whose VictoriaMetrics is new enough."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lab import base, cache, disk, mounts
from lab.shell import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.naming import Naming

NAME = "monitor"
NUMBER = 20

_SUITE = "trixie"
_PORT = 8428

# The package is fetched and not installed: to install it is what the monitor does. With apt's lists
# and the package here, that needs no network.
_CUSTOMIZE = """set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends --download-only victoria-metrics
rm -f /etc/resolv.conf
"""


def layers(say: Callable[[str], None]) -> tuple[Path, ...]:
    """Return the directories of the system, the upper one first; what lacks is built.

    Raises LabError when a package cannot be fetched.
    """
    below = base.ensure(say, _SUITE)
    recipe = f"{below.parent.name}\n{_CUSTOMIZE}"
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]

    def build(target: Path) -> None:
        say("VictoriaMetrics: fetching its package, once")
        mounts.overlay("etcd-lab-monitor", target, (below,))
        root = target / "root"
        try:
            (root / "etc/resolv.conf").write_text(disk.resolvers())
            run(["chroot", str(root), "sh"], stdin=_CUSTOMIZE)
        finally:
            mounts.unmount_below(root)

    return cache.kept(f"lab-base/monitor-{key}", build) / "upper", below


def chosen(naming: Naming) -> bool:
    """Whether the lab has a node for a monitor."""
    return disk.chosen(naming, NUMBER) == NAME


def setting(naming: Naming) -> dict[str, str]:
    """Return `etcd_monitor` of the site file.

    It listens where this machine reaches it, so that a browser needs one tunnel at most, to here.
    """
    address = naming.address(NUMBER)
    return {"host": address, "listen": f"{address}:{_PORT}"}
