"""The program that is left on a node: the one that was sent, and quicker to start."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from etcd_component import packing
from etcd_component.agent import files, install_program


def _atomic_write(path: Path, content: bytes, mode: int) -> None:
    path.write_bytes(content)
    path.chmod(mode)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    sent = tmp_path / "sent"
    sent.write_bytes(packing.agent())
    monkeypatch.setattr(sys, "argv", [str(sent)])
    # Who runs the tests need not be root.
    monkeypatch.setattr(files, "atomic_write", _atomic_write)
    install_program.install(tmp_path / "sbin/etcd-node")
    return tmp_path / "sbin/etcd-node"


def test_it_runs_by_its_name_alone(installed: Path) -> None:
    done = subprocess.run([installed, "help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: etcd-node COMMAND")


def test_it_is_known_by_the_checksum_that_was_sent(installed: Path) -> None:
    assert install_program.installed_sha256(installed) == packing.sha256()
    assert install_program.installed_sha256(installed.parent / "missing") == ""


def test_a_byte_that_was_changed_makes_it_another(installed: Path) -> None:
    content = bytearray(installed.read_bytes())
    for place in (100, len(content) // 2, -200):
        content[place] ^= 1
        installed.write_bytes(content)
        assert install_program.installed_sha256(installed) != packing.sha256()
        content[place] ^= 1


def test_it_has_byte_code_of_every_module_and_the_source(installed: Path) -> None:
    with zipfile.ZipFile(installed) as archive:
        names = set(archive.namelist())
    sources = {name for name in names if name.endswith(".py")}
    assert "etcd_component/agent/frame.py" in sources
    assert names == sources | {f"{name}c" for name in sources}


def test_what_is_there_already_is_not_written_again(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = installed.stat().st_mtime_ns
    install_program.install(installed)
    assert installed.stat().st_mtime_ns == before
    # One that nobody can run any more, or that another user can write, is put right.
    for mode in (0o644, 0o777):
        installed.chmod(mode)
        install_program.install(installed)
        assert installed.stat().st_mode & 0o777 == 0o755
    # Installed by itself, as by a person on the node.
    monkeypatch.setattr(sys, "argv", [str(installed)])
    again = installed.with_name("again")
    install_program.install(again)
    assert install_program.installed_sha256(again) == packing.sha256()
    # Another interpreter has other byte code.
    monkeypatch.setattr(sys, "executable", "/usr/bin/other")
    install_program.install(installed)
    assert installed.read_bytes().startswith(b"#!/usr/bin/other -ISXutf8\n")
