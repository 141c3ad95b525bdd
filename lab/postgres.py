"""PostgreSQL on top of the base system: with Patroni and vip-manager, as users of etcd run them."""

from __future__ import annotations

import hashlib
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab import base, cache, disk, mounts
from lab.shell import run

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "postgres"

_CHECKOUT = Path(__file__).parents[1]
_PYTHON = "3.11"
"""Debian bookworm's, for which Patroni and what it needs are fetched."""

# Patroni makes its own database clusters. Only vip-manager is of the next Debian: the package of
# bookworm speaks API v2, which etcd has no more.
_CUSTOMIZE = """set -eu
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
sed -n 's,^\\(deb .*\\) bookworm main$,\\1 trixie main,p' /etc/apt/sources.list \\
  >/etc/apt/sources.list.d/trixie.list
printf 'Package: *\\nPin: release n=trixie\\nPin-Priority: 1\\n' >/etc/apt/preferences.d/trixie
apt-get -qq update
apt-get -qq install -y --no-install-recommends postgresql-15 python3 vip-manager2
systemctl -q disable postgresql.service vip-manager.service
for program in patroni patronictl; do
  # What is written there names the Python of the machine that built it.
  printf '#!/bin/sh\\nPYTHONPATH=/opt/patroni exec python3 /opt/patroni/bin/%s "$@"\\n' \\
    "$program" >"/usr/local/bin/$program"
  chmod 755 "/usr/local/bin/$program"
done
cat >/etc/systemd/system/patroni.service <<'UNIT'
[Unit]
After=network.target
[Service]
User=postgres
ExecStart=/usr/local/bin/patroni /etc/patroni
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process
Restart=no
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p /etc/systemd/system/vip-manager.service.d
cat >/etc/systemd/system/vip-manager.service.d/config.conf <<'UNIT'
[Service]
ExecStart=
ExecStart=/usr/bin/vip-manager --config /etc/default/vip-manager.yml
UNIT
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /etc/resolv.conf
"""


def layers(say: Callable[[str], None]) -> tuple[Path, ...]:
    """Return the directories of the system, the upper one first; what lacks is built.

    Raises LabError when a package cannot be fetched.
    """
    below = base.ensure(say)
    locked = _locked()
    recipe = f"{below.parent.name}\n{_CUSTOMIZE}\n{locked}"
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]

    def build(target: Path) -> None:
        say("PostgreSQL: adding it to the base system, once; takes half a minute")
        _build(target, below, locked)

    return cache.kept(f"lab-base/postgres-{key}", build) / "upper", below


def _locked() -> str:
    """Patroni and what it needs, as the lock file has it: versions and checksums."""
    return run(
        ["uv", "export", "--quiet", "--frozen", "--only-group=patroni", "--no-emit-project"],
        cwd=_CHECKOUT,
    )


def _build(target: Path, below: Path, locked: str) -> None:
    root = target / "root"
    mounts.overlay("etcd-lab-postgres", target, (below,))
    try:
        (root / "etc/resolv.conf").write_text(disk.resolvers())
        run(["chroot", str(root), "sh"], stdin=_CUSTOMIZE)
        _install_patroni(root / "opt/patroni", locked)
    finally:
        mounts.unmount_below(root)


def _install_patroni(place: Path, locked: str) -> None:
    run(
        [
            *("uv", "pip", "install", "--quiet", "--require-hashes"),
            *("--python", sys.executable, "--python-version", _PYTHON),
            *("--python-platform", f"{platform.machine()}-manylinux_2_28"),
            *("--target", str(place), "--requirement", "-"),
        ],
        stdin=locked,
        # A mirror may have a certificate that only this machine trusts.
        extra_environment={"UV_SYSTEM_CERTS": "true"},
    )
