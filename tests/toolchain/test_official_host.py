"""The program runs as the language host of an official Pulumi runs it, and ends as it expects."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.toolchain.host import ROOT, STACK, OfficialHost

REFUSED = 32
"""The exit status after which the language host adds nothing."""


@pytest.fixture
def host(tmp_path: Path) -> OfficialHost:
    if shutil.which("pulumi-language-python") is None:
        pytest.skip(
            'needs the engine: run by `make test-toolchain`, or after eval "$(make -s env)"'
        )
    return OfficialHost.make(tmp_path)


def inventory(port: int, **variables: Any) -> dict[str, Any]:
    """A stack's configuration: one instance, its SSH at a port of this machine."""
    hosts = {"10.10.10.10": {"etcd_seq": 1, "ansible_host": "127.0.0.1", "ansible_port": port}}
    group = {"hosts": hosts, "vars": {"etcd_cluster": "etcd", **variables}}
    key = subprocess.run(
        ["sh", "-euc", 'd=$(mktemp -d); ssh-keygen -q -t ed25519 -N "" -f "$d/k"; cat "$d/k"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {"inventory": {"etcd": group}, "sshPrivateKey": key, "sshHostKeyChecking": "false"}


@contextmanager
def listener() -> Iterator[socket.socket]:
    """A port that accepts connections, as the kernel of a machine that hangs does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def free_port() -> int:
    with listener() as server:
        port: int = server.getsockname()[1]
    return port


def contents(directory: Path) -> dict[str, float]:
    """Files and when they were changed."""
    return {str(path): path.lstat().st_mtime for path in directory.rglob("*.dist-info/*")}


def test_the_requirements_are_listed_and_neither_lock_nor_environment_changes(
    host: OfficialHost,
) -> None:
    lock, environment = (ROOT / "uv.lock").read_bytes(), contents(ROOT / ".venv")
    assert host.options == {"toolchain": "uv", "virtualenv": ".venv"}
    listed = host.requirements()
    for found in (listed, host.locked()):
        assert found["pulumi-command"] == "1.2.1"
        assert found["pulumi-tls"] == "5.6.2"
    installed = (ROOT / "toolchain/plugins/install").read_text()
    assert f"install_plugin tls {listed['pulumi-tls']}\n" in installed
    assert f"install_plugin command {listed['pulumi-command']}\n" in installed
    assert (host.directory / "uv.lock").read_bytes() == lock
    assert (host.directory / ".venv").is_symlink()
    assert contents(ROOT / ".venv") == environment


def test_a_program_runs_to_its_end(host: OfficialHost) -> None:
    ended = host.run(inventory(free_port()), preview=True)
    assert (ended.status, ended.printed) == (0, "")
    assert ended.texts("ERROR") == []
    assert "command:remote:Command" in ended.registered


@pytest.mark.parametrize("preview", [True, False])
def test_mistakes_are_the_only_thing_that_a_person_reads(host: OfficialHost, preview: bool) -> None:
    ended = host.run({"inventory": {"etcd": {"hosts": {"10.10.10.10": {}}}}}, preview=preview)
    (error,) = ended.texts("ERROR")
    assert "nothing was touched" in error
    assert "Traceback" not in error
    assert (ended.status, ended.printed) == (REFUSED, "")


def test_a_refusal_in_an_apply_is_the_only_thing_that_a_person_reads(host: OfficialHost) -> None:
    host.monitor.state["etcd-root-password-3"] = {
        "output": {"password": "", "begun": "another run"}
    }
    ended = host.run(inventory(free_port(), etcd_root_password_generation=3), preview=True)
    (error,) = ended.texts("ERROR")
    assert "raise it by one" in error
    assert "Traceback" not in error
    assert (ended.status, ended.printed) == (REFUSED, "")


def test_a_run_that_is_given_up_prints_nothing(host: OfficialHost) -> None:
    ended = host.interrupt(inventory(free_port()))
    assert (ended.status, ended.printed) == (130, "")
    assert ended.texts("ERROR") == []


def test_an_update_of_a_machine_that_hangs_is_refused_before_anything(host: OfficialHost) -> None:
    with listener() as mute:
        port = mute.getsockname()[1]
        began = time.monotonic()
        ended = host.run(inventory(port))
        assert time.monotonic() - began < 20
    (error,) = ended.texts("ERROR")
    assert f"etcd-1 at 127.0.0.1:{port} accepts connections but shows no SSH banner" in error
    assert (ended.status, ended.printed) == (REFUSED, "")
    assert set(ended.registered) <= {STACK}


def test_a_preview_warns_of_a_machine_that_hangs(host: OfficialHost) -> None:
    with listener() as mute:
        ended = host.run(inventory(mute.getsockname()[1]), preview=True)
    assert any("shows no SSH banner" in text for text in ended.texts("WARNING"))
    assert ended.status == 0
    assert "command:remote:Command" in ended.registered
