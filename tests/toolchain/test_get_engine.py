"""An installed Pulumi is used when it can be; otherwise one is built, and which and why is said."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Machine:
    """A machine as far as get-engine sees it: a PATH and a cache."""

    def __init__(self, directory: Path) -> None:
        self.programs = directory / "programs"
        self.programs.mkdir()
        self.cache = directory / "cache"
        for name in ("sh", "cat", "sha256sum", "cut", "sort", "head", "dirname", "mkdir", "rm"):
            self.put_link(name)

    def put_link(self, name: str) -> None:
        for directory in ("/usr/bin", "/bin"):
            if Path(directory, name).exists():
                (self.programs / name).symlink_to(f"{directory}/{name}")
                return

    def put_program(self, name: str, text: str = "exit 0") -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def get_engine(self, **environment: str) -> subprocess.CompletedProcess[str]:
        plain = {"PATH": str(self.programs), "PULUMI_ETCD_CACHE": str(self.cache)}
        return subprocess.run(
            [ROOT / "toolchain/get-engine"],
            env={**plain, **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def built(machine: Machine) -> Path:
    """An engine that is in the cache already."""
    key = subprocess.run(
        ["sh", "-c", ". toolchain/common.sh; hash_of toolchain/engine/* toolchain/language-host/*"],
        cwd=ROOT,
        env={**os.environ, "root": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    directory = machine.cache / f"engine-v3.274.1-{key}" / "bin"
    directory.mkdir(parents=True)
    return directory


def test_an_installed_pulumi_that_is_new_enough_is_used(machine: Machine) -> None:
    machine.put_program("pulumi", "echo v3.219.0")
    machine.put_program("pulumi-language-python")
    done = machine.get_engine()
    assert done.stdout == f"official {machine.programs}\n"
    assert "official provider plugins" in done.stderr


@pytest.mark.usefixtures("built")
def test_an_installed_pulumi_that_is_too_old_is_said_and_passed_over(machine: Machine) -> None:
    machine.put_program("pulumi", "echo v3.99.0")
    machine.put_program("pulumi-language-python")
    done = machine.get_engine()
    assert done.stdout.startswith("built ")
    assert "v3.99.0, older than v3.219.0" in done.stderr


@pytest.mark.usefixtures("built")
def test_an_installed_pulumi_without_its_language_host_is_passed_over(machine: Machine) -> None:
    machine.put_program("pulumi", "echo v3.300.0")
    done = machine.get_engine()
    assert done.stdout.startswith("built ")
    assert "no pulumi-language-python" in done.stderr


@pytest.mark.usefixtures("built")
def test_the_language_host_of_an_engine_built_here_does_not_serve_another(
    machine: Machine, tmp_path: Path
) -> None:
    machine.put_program("pulumi", "echo v3.300.0")
    directory = tmp_path / "engine/bin"
    directory.mkdir(parents=True)
    (tmp_path / "engine/built-here").touch()
    (directory / "pulumi-language-python").touch(mode=0o755)
    done = machine.get_engine(PATH=f"{directory}:{machine.programs}")
    assert done.stdout.startswith("built ")
    assert "no pulumi-language-python" in done.stderr


def test_an_engine_that_is_built_can_be_forced(machine: Machine, built: Path) -> None:
    machine.put_program("pulumi", "echo v3.300.0")
    machine.put_program("pulumi-language-python")
    done = machine.get_engine(PULUMI_ETCD_ENGINE="built")
    assert done.stdout == f"built {built}\n"
    assert "because PULUMI_ETCD_ENGINE says so" in done.stderr


def test_another_word_for_the_engine_is_refused(machine: Machine) -> None:
    machine.put_program("pulumi", "echo v3.300.0")
    machine.put_program("pulumi-language-python")
    done = machine.get_engine(PULUMI_ETCD_ENGINE="offical")
    assert (done.returncode, done.stdout) == (1, "")
    assert "PULUMI_ETCD_ENGINE is 'offical'. Set it to 'built', or unset it" in done.stderr


def test_an_engine_in_the_cache_is_not_built_again(machine: Machine, built: Path) -> None:
    done = machine.get_engine()
    assert done.stdout == f"built {built}\n"
    assert "none is installed" in done.stderr


def test_without_any_way_to_get_an_engine_the_cure_is_said(machine: Machine) -> None:
    machine.put_program("python3", "exit 1")
    done = machine.get_engine()
    assert done.returncode != 0
    assert "Install Go" in done.stderr
    assert "pulumi.com/docs/install" in done.stderr
