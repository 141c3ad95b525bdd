"""The stand-in plugins as the engine starts and ends them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .support import PLUGINS

DIRECTORIES = {"command": "resource-command-v1.2.1", "tls": "resource-tls-v5.5.1"}


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
        assert time.monotonic() - told < 1
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


def test_installing_replaces_what_is_out_of_date(tmp_path: Path) -> None:
    install(tmp_path)
    source = tmp_path / "plugins" / DIRECTORIES["tls"] / "standin" / "tls.py"
    current = source.read_text()
    source.write_text("out of date")
    install(tmp_path)
    assert source.read_text() == current
    assert sorted(each.name for each in (tmp_path / "plugins").iterdir()) == sorted(
        DIRECTORIES.values()
    )
