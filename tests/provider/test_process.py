"""The stand-in plugins as the engine starts and ends them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .support import PLUGINS

DIRECTORIES = {"command": "resource-command-v1.2.1", "tls": "resource-tls-v5.6.2"}


def install(home: Path) -> None:
    subprocess.run([PLUGINS / "install", home, sys.executable], check=True, capture_output=True)


def start(home: Path, kind: str) -> "subprocess.Popen[str]":
    program = home / "plugins" / DIRECTORIES[kind] / f"pulumi-resource-{kind}"
    return subprocess.Popen(
        [program, "--logtostderr", "127.0.0.1:1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "/nowhere"},
    )


@pytest.mark.parametrize("kind", DIRECTORIES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_plugin_prints_its_port_and_ends_at_once_when_told(
    tmp_path: Path, kind: str, number: signal.Signals
) -> None:
    install(tmp_path / "it's a home")
    with start(tmp_path / "it's a home", kind) as process:
        assert process.stdout
        assert process.stderr
        assert 0 < int(process.stdout.readline()) < 65536
        told = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=5) == 0
        assert time.monotonic() - told < 3
        assert process.stderr.read() == ""


def test_a_plugin_without_an_engine_s_address_says_so(tmp_path: Path) -> None:
    install(tmp_path)
    program = tmp_path / "plugins" / DIRECTORIES["tls"] / "pulumi-resource-tls"
    ended = subprocess.run([program], check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "address" in ended.stderr


def test_installing_again_changes_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    install(tmp_path)
    first = {path: path.stat().st_ino for path in sorted(tmp_path.rglob("*"))}
    install(tmp_path)
    assert {path: path.stat().st_ino for path in sorted(tmp_path.rglob("*"))} == first
    assert sorted(each.name for each in (tmp_path / "plugins").iterdir()) == sorted(
        DIRECTORIES.values()
    )


def test_installing_replaces_a_program_that_is_out_of_date_and_keeps_code_in_use(
    tmp_path: Path,
) -> None:
    install(tmp_path)
    folder = tmp_path / "plugins" / DIRECTORIES["tls"]
    program = folder / "pulumi-resource-tls"
    current = program.read_text()
    program.write_text("out of date")
    in_use, abandoned = folder / "code-in-use", folder / "code-abandoned"
    in_use.mkdir()
    abandoned.mkdir()
    os.utime(abandoned, (0, 0))
    install(tmp_path)
    assert program.read_text() == current
    assert in_use.exists()
    assert not abandoned.exists()


def test_installing_twice_at_once_works(tmp_path: Path) -> None:
    command: list[str | Path] = [PLUGINS / "install", tmp_path, sys.executable]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [each.wait() for each in both] == [0, 0]
    plugins = tmp_path / "plugins"
    assert sorted(each.name for each in plugins.iterdir()) == sorted(DIRECTORIES.values())
    for name in DIRECTORIES.values():
        [code] = (plugins / name).glob("code-*")
        assert [each.name for each in code.iterdir()] == ["standin"]
