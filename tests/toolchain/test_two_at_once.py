"""Two runs in two checkouts that share a cache and a lab do not break each other's set-up."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from lab.releases import VERSIONS
from tests.toolchain.conftest import ROOT

RUNS = 4


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """What of a lab that has just come up counts here: its site file, and its archive."""
    lab = tmp_path / "lab"
    releases = lab / "archive" / f"v{VERSIONS[0]}"
    releases.mkdir(parents=True)
    (lab / "site.yaml").touch()
    with tarfile.open(releases / "etcd.tar.gz", "w:gz") as packed:
        for name in ("etcdctl", "etcdutl"):
            program = tmp_path / name
            # As large as the real one, roughly: it takes a moment to unpack.
            program.write_bytes(os.urandom(5 << 20))
            program.chmod(0o755)
            packed.add(program, f"etcd/{name}")
    return lab


@pytest.fixture
def checkouts(tmp_path: Path) -> list[Path]:
    """Checkouts that each have their Python environment, and an installed Pulumi."""
    made = []
    for number in range(RUNS):
        checkout = tmp_path / f"checkout {number}"
        checkout.mkdir()
        for name in ("toolchain", "lab"):
            shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("*.pyc"))
        for name in ("uv.lock", "pyproject.toml", ".venv"):
            (checkout / name).symlink_to(ROOT / name)
        made.append(checkout)
    return made


@pytest.fixture
def pulumi(tmp_path: Path) -> Path:
    """The directory of a Pulumi that makes a stack once, and refuses to make it twice."""
    directory = tmp_path / "official"
    directory.mkdir()
    for name in ("pulumi", "pulumi-language-python"):
        (directory / name).write_text(f"""\
#!/bin/sh
case "$*" in
version) echo v3.300.0 ;;
"stack init three")
	sleep 0.2
	mkdir -p "{tmp_path}/lab/pulumi/.pulumi/stacks/etcd"
	set -C
	: >"{tmp_path}/lab/pulumi/.pulumi/stacks/etcd/three.json" ;;
*) echo '{{}}' ;;
esac
""")
        (directory / name).chmod(0o755)
    return directory


def at_once(commands: list[list[str | Path]], **environment: str) -> list[str]:
    """Standard output of each, all begun together."""
    running = [
        subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    ended = [(*process.communicate(timeout=120), process.returncode) for process in running]
    assert not any(status for *_, status in ended), "\n".join(said for _, said, _ in ended)
    return [printed for printed, *_ in ended]


def test_the_first_environments_of_a_lab(
    lab: Path, checkouts: list[Path], pulumi: Path, tmp_path: Path
) -> None:
    at_once(
        [[one / "toolchain/env", "three"] for one in checkouts],
        PATH=f"{pulumi}:{os.environ['PATH']}",
        PULUMI_ETCD_LAB=str(lab),
        PULUMI_ETCD_CACHE=str(tmp_path / "cache"),
    )
    for name in ("etcdctl", "etcdutl"):
        assert (lab / "client" / name).read_bytes() == (tmp_path / name).read_bytes()
    assert not list(lab.glob("**/*.new"))
    assert len((lab / "passphrase").read_text().split()) == 1
    assert (lab / "pulumi").stat().st_mode & 0o777 == 0o700


def test_the_first_use_of_a_lab_stack(
    lab: Path, checkouts: list[Path], pulumi: Path, tmp_path: Path
) -> None:
    for one in checkouts:
        (one / "stacks").mkdir()
        (one / "stacks/Pulumi.three.yaml").write_text("encryptionsalt: known\n")
    at_once(
        [[one / "toolchain/stack", "outputs", "three"] for one in checkouts],
        PATH=f"{pulumi}:{os.environ['PATH']}",
        PULUMI_ETCD_LAB=str(lab),
        PULUMI_ETCD_CACHE=str(tmp_path / "cache"),
    )
