"""The first contact with a machine, in a directory that stands for a login's own."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from etcd_component.agent.first_contact import login, program

PROGRAM = "etcd-node-test"
"""Of no machine: nothing is installed under this name."""
FILE = ".etcd-node/etcd-node-etcd-1-admin-10.10.10.10"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    monkeypatch.chdir(home)
    monkeypatch.setenv("SUDO_UID", str(os.getuid()))
    sshd_says(monkeypatch, "subsystem sftp internal-sftp")
    return home


def sshd_says(monkeypatch: pytest.MonkeyPatch, text: str, status: int = 0) -> None:
    def run(argv: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert argv == ["sshd", "-T"]
        return subprocess.CompletedProcess(argv, status, f"port 22\n{text}\nusedns no\n", "")

    monkeypatch.setattr(subprocess, "run", run)


def refused(step: str, *words: str) -> str:
    main, options = (login.main, ()) if step == "login" else (program.main, (step, *words))
    with pytest.raises(SystemExit) as stopped:
        main(PROGRAM, *options)
    return str(stopped.value)


@pytest.mark.parametrize(
    ("said", "status", "off"),
    [
        ("subsystem sftp internal-sftp -f AUTH", 0, False),
        ("subsystem sftp /bin/sh -e", 0, False),
        ("subsystem sftp /nowhere/sftp-server", 0, True),
        ("subsystem other internal-sftp", 0, True),
        ("", 0, True),
        # Then it does not tell, and sftp is tried.
        ("", 255, False),
    ],
)
def test_sftp_that_is_off_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, said: str, status: int, off: bool
) -> None:
    sshd_says(monkeypatch, said, status)
    if off:
        assert "sftp is switched off here" in refused("login")
        assert not (home / ".etcd-node").exists()
    else:
        login.main(PROGRAM)


def test_a_machine_without_an_sshd_of_that_name_is_tried(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", run)
    login.main(PROGRAM)


def test_the_directory_is_the_login_s_alone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".etcd-node").mkdir(mode=0o777)
    for _ in range(2):
        login.main(PROGRAM)
        assert (home / ".etcd-node").stat().st_mode & 0o777 == 0o700
        assert capsys.readouterr().out.endswith(f" is here [{PROGRAM} login done]\n")


def test_another_s_directory_is_not_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "theirs").mkdir()
    (home / ".etcd-node").symlink_to("theirs")
    assert "cannot be made, or is none" in refused("login")
    (home / ".etcd-node").unlink()
    (home / ".etcd-node").touch()
    assert "cannot be made, or is none" in refused("login")
    (home / ".etcd-node").unlink()
    home.chmod(0o777)
    assert f"everybody can write in {home}" in refused("login")


def test_only_what_was_sent_is_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, argv: run.append(argv))
    (home / ".etcd-node").mkdir()
    sha256 = hashlib.sha256(b"program").hexdigest()
    words = (FILE, sha256, "--cluster", "etcd")
    assert f"{home / FILE} cannot be read" in refused("claim", *words)
    (home / FILE).write_bytes(b"program!")
    assert f"{home / FILE} is not what was sent" in refused("claim", *words)
    assert run == []
    (home / FILE).write_bytes(b"program")
    program.main(PROGRAM, "claim", *words)
    assert run[0][-4:] == [str(home / FILE), "claim", "--cluster", "etcd"]
    (home / FILE).rename(home / "elsewhere")
    (home / FILE).symlink_to(home / "elsewhere")
    assert f"{home / FILE} cannot be read" in refused("claim", *words)


def test_what_is_claimed_and_has_no_program_is_not_taken_for_empty(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = home / "claim"
    program.main(PROGRAM, "uninstall", FILE, str(claim))
    said = capsys.readouterr().out
    assert said == f"there is nothing on this machine [{PROGRAM} uninstall done]\n"
    claim.touch()
    assert f"this machine is claimed ({claim})" in refused("uninstall", FILE, str(claim))


@pytest.mark.parametrize("now", ["", "-repair-1", "-2", "-2-repair-10"])
def test_what_was_sent_goes_with_what_it_installed(
    home: Path, monkeypatch: pytest.MonkeyPatch, now: str
) -> None:
    file = FILE + now
    statuses = [3, 0]

    def run(argv: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert argv[-3:] == [str(home / file), "uninstall", "--remove-data"]
        return subprocess.CompletedProcess(argv, statuses.pop(0))

    monkeypatch.setattr(subprocess, "run", run)
    directory = home / ".etcd-node"
    directory.mkdir()
    # What was sent for another number is there as well.
    mine = [home / f"{FILE}{raised}" for raised in {"", "-repair-1", "-2", "-2-repair-9", now}]
    other = directory / "etcd-node-other-1-admin-10.10.10.10"
    another = directory / "etcd-node-etcd-1-admin-10.10.10.100"
    for path in (*mine, other, another):
        path.touch()
    words = (file, "/nowhere", "--remove-data")
    assert refused("uninstall", *words) == "3"
    assert all(path.exists() for path in mine)
    program.main(PROGRAM, "uninstall", *words)
    assert {*directory.iterdir()} == {other, another}


def test_the_cure_is_one_that_the_machine_has(home: Path) -> None:
    words = (FILE, "0" * 64, "--owner", "me")
    assert "raise etcd_repair on the host" in refused("claim", *words)
    with pytest.raises(SystemExit) as stopped:
        program.main("etcd-monitor", "claim", *words)
    assert "etcd_repair" not in str(stopped.value)
    assert "take etcd_monitor out" in str(stopped.value)
