"""While a package is installed, its own units are not started, and all others are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from etcd_component.agent import archive, package, process
from etcd_component.agent.output import Refusal

PATTERNS = ("etcd", "etcd.*", "etcd-*", "etcd@*")


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with what comes before the machine's programs, which write down their words."""
    real, front = tmp_path / "real", tmp_path / "front"
    for directory in (real, front):
        directory.mkdir()
    for name in ("deb-systemd-invoke", "deb-systemd-helper"):
        (real / name).write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >>{tmp_path}/called\nexit 3\n')
        (real / name).chmod(0o755)
    monkeypatch.setattr(process, "PATH", f"{real}:{os.environ['PATH']}")
    package.hold_units_back(front, PATTERNS)
    return front


def call(held: Path, *words: str) -> tuple[int, str]:
    done = package.install_quietly(held, *words)
    called = held.parent / "called"
    text = called.read_text() if called.exists() else ""
    called.unlink(missing_ok=True)
    return done.status, text.strip()


@pytest.mark.parametrize(
    "words",
    [
        ("deb-systemd-invoke", "start", "etcd.service"),
        ("deb-systemd-invoke", "start", "etcd"),
        ("deb-systemd-invoke", "restart", "etcd-one.service"),
        ("deb-systemd-invoke", "restart", "etcd@one.service"),
        ("deb-systemd-invoke", "start", "other.service", "etcd.service"),
        ("deb-systemd-helper", "enable", "etcd.service"),
    ],
)
def test_units_of_the_package_are_held_back(held: Path, words: tuple[str, ...]) -> None:
    assert call(held, *words) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ("deb-systemd-invoke", "start", "other.service"),
        ("deb-systemd-invoke", "start", "etcdlike.service"),
        ("deb-systemd-invoke", "start", "my-etcd.service"),
        ("deb-systemd-helper", "enable", "other.service"),
        ("deb-systemd-helper", "--quiet", "was-enabled", "etcd.service"),
        ("deb-systemd-helper", "unmask", "etcd.service"),
        ("deb-systemd-invoke", "a word", "b*"),
    ],
)
def test_all_others_are_handed_on(held: Path, words: tuple[str, ...]) -> None:
    assert call(held, *words) == (3, " ".join(words))


def test_only_what_the_machine_has_is_replaced(held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (held / "deb-systemd-helper").unlink()
    monkeypatch.setattr(process, "PATH", "/nowhere")
    package.hold_units_back(held, PATTERNS)
    assert not (held / "deb-systemd-helper").exists()


def test_no_package_asks_a_question(held: Path) -> None:
    said = package.install_quietly(held, "sh", "-c", "echo $DEBIAN_FRONTEND $NEEDRESTART_SUSPEND")
    assert said.out == "noninteractive 1\n"


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ("3.6.16", True),
        ("3.6.16-1", True),
        ("3.6.16+dfsg-1", True),
        ("3.6.16~rc1", True),
        ("3.6.160", False),
        ("3.6.1", False),
        ("3x6.16-1", False),
        ("", False),
        ("(none)", False),
    ],
)
def test_which_package_has_the_version(candidate: str, expected: bool) -> None:
    assert package.has_version(candidate, "3.6.16") is expected


def test_a_package_that_is_not_held_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's next upgrade would restart etcd without asking the cluster."""

    def run(*argv: str, **_: object) -> process.Done:
        out = "  Candidate: 3.6.1-1\n" if argv[0] == "apt-cache" else ""
        return process.Done(int(argv[0] == "apt-mark"), out, "no such package")

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(process, "exists", lambda name: name == "apt-get")
    monkeypatch.setattr(archive, "VERSIONS", tmp_path)
    with pytest.raises(Refusal, match="could not hold"):
        package.install("3.6.1")
