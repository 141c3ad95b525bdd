"""`eval "$(make -s env)"` makes every `pulumi` command work as it is typed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _set_up() -> None:
    if shutil.which("pulumi") is None:
        pytest.skip(
            'needs the engine: run by `make test-toolchain`, or after eval "$(make -s env)"'
        )


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """What of a running lab counts here: its site file, and a client in its place."""
    lab = tmp_path / "lab"
    (lab / "client").mkdir(parents=True)
    (lab / "client/etcdctl").touch(mode=0o755)
    (lab / "site.yaml").touch()
    return lab


def env(stack: str, **environment: str) -> str:
    done = subprocess.run(
        [ROOT / "toolchain/env", stack],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def shell(lines: str, command: str, **environment: str) -> str:
    done = subprocess.run(
        ["sh", "-euc", f"{lines}\n{command}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_only_shell_lines_are_printed(lab: Path) -> None:
    lines = env("three", PULUMI_ETCD_LAB=str(lab))
    assert all(line.startswith(("export ", "unset ")) for line in lines.splitlines())
    assert shell(lines, "echo done") == "done"


def test_the_programs_are_on_the_path_and_the_projects_python_is_first(lab: Path) -> None:
    lines = env("three", PULUMI_ETCD_LAB=str(lab))
    assert shell(lines, "command -v python") == f"{ROOT}/.venv/bin/python"
    assert shell(lines, "command -v pulumi") == f"{ROOT}/toolchain/bin/pulumi"
    assert shell(lines, "command -v etcdctl").endswith("/etcdctl")


def test_a_lab_stack_gets_the_labs_state_and_a_passphrase_of_its_own(lab: Path) -> None:
    lines = env("three", PULUMI_ETCD_LAB=str(lab))
    assert shell(lines, "echo $PULUMI_BACKEND_URL") == f"file://{lab}/pulumi"
    assert shell(lines, "echo $ETCD_SITE") == f"{lab}/site.yaml"
    passphrase = lab / "passphrase"
    assert passphrase.stat().st_mode & 0o777 == 0o600
    assert (lab / "pulumi").stat().st_mode & 0o777 == 0o700
    words = passphrase.read_text()
    assert len(words) > 20
    env("three", PULUMI_ETCD_LAB=str(lab))
    assert passphrase.read_text() == words, "the passphrase changed under its state"


def test_somebodys_own_stack_gets_nothing_of_the_lab(lab: Path) -> None:
    assert str(lab) not in env("prod", PULUMI_ETCD_LAB=str(lab))


def test_a_shell_of_the_lab_is_freed_for_somebodys_own_stack(lab: Path) -> None:
    inside = {"PULUMI_ETCD_LAB": str(lab), "PULUMI_BACKEND_URL": f"file://{lab}/pulumi"}
    lines = env("prod", **inside)
    assert shell(lines, "echo ${PULUMI_BACKEND_URL-none}", **inside) == "none"


def test_an_agent_that_is_gone_is_not_asked(tmp_path: Path) -> None:
    gone = {"SSH_AUTH_SOCK": str(tmp_path / "gone")}
    assert shell(env("prod", **gone), "echo ${SSH_AUTH_SOCK-none}", **gone) == "none"


def test_an_official_pulumi_fetches_its_own_plugins(tmp_path: Path) -> None:
    for name in ("pulumi", "pulumi-language-python"):
        (tmp_path / name).write_text("#!/bin/sh\necho v3.300.0\n")
        (tmp_path / name).chmod(0o755)
    lines = env("prod", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert "PULUMI_HOME" not in lines
    assert "PLUGIN" not in lines
    assert shell(lines, "command -v pulumi") == str(tmp_path / "pulumi")
