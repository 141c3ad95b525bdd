"""Who follows the README and the pages of operations gets what they promise."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lab import Lab
from tests.live.readme import broken_promises, pages, script, steps
from tests.live.stack import CHECKOUT, COMMITTED_SUBNET, engine_environment

SECONDS = 600
KEPT_OUT = (".git", ".venv", ".pulumi-home", "__pycache__", ".*_cache", "Pulumi.prod.yaml")


def test_every_command_of_the_way_to_ones_own_machines_does_what_the_readme_says(
    nodes: Lab, etcdctl: Path, tmp_path: Path
) -> None:
    todo = steps(pages(CHECKOUT).replace(COMMITTED_SUBNET, f"{nodes.naming.subnet}."))
    assert len(todo) > 20, "the marks are gone"
    home, checkout = tmp_path / "home", tmp_path / "checkout"
    shutil.copytree(CHECKOUT, checkout, ignore=shutil.ignore_patterns(*KEPT_OUT), symlinks=True)

    done = subprocess.run(
        ["bash", "-c", script(todo)],
        cwd=checkout,
        env=persons_environment(nodes, home, etcdctl.parent),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    failed = f"\n{todo[done.returncode - 1].command}" if done.returncode else ""
    assert not failed, f"{failed}\n{done.stdout[-6000:]}"
    assert broken_promises(todo, done.stdout) == []


def persons_environment(lab: Lab, home: Path, client: Path) -> dict[str, str]:
    """A person who has the lab's key, a mirror for etcd, and answers yes and with a passphrase."""
    ssh = home / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    shutil.copy(lab.private_key, ssh / "id_ed25519")
    site = home / "site.yaml"
    site.write_text(
        f"archiveUrl: {lab.archive_url!r}\nchecksumsFile: {str(lab.home / 'SHA256SUMS')!r}\n"
    )
    persons = Path.home()
    return {
        **engine_environment(),
        "HOME": str(home),
        "ETCD_SITE": str(site),
        "PATH": f"{os.environ['PATH']}:{client}",
        "PULUMI_CONFIG_PASSPHRASE": "correct horse battery staple",
        "PULUMI_SKIP_CONFIRMATIONS": "true",
        # What is built or fetched once for a machine is not for this test to do again.
        "PULUMI_ETCD_CACHE": os.environ.get("PULUMI_ETCD_CACHE")
        or str(persons / ".cache" / "pulumi-etcd"),
        "UV_CACHE_DIR": str(persons / ".cache" / "uv"),
    }
