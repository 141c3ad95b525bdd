"""Git takes none of the keys that are written into a checkout."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from etcd_component import backend, written
from etcd_component.given import CannotGive, give
from etcd_component.monitoring import CannotWrite, bundle, directory
from tests.unit.test_given import given
from tests.unit.test_monitoring import watched

WRITERS: dict[str, Callable[[Path], object]] = {
    "client": lambda place: give("prod", "pg-main", place),
    "monitoring": lambda place: directory.write("prod", place),
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a committed file, and a stack with a client and what watches it."""
    outputs = {
        "clients": {"etcd": {"pg-main": given().output}},
        "monitoring": {"etcd": bundle.output(watched())},
    }
    monkeypatch.setattr(backend, "outputs", lambda stack: outputs)
    git(tmp_path, "init", "-q")
    (tmp_path / "README").write_text("")
    git(tmp_path, "add", "-A")
    return tmp_path


def git(place: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-c", "core.excludesFile=/dev/null", *words],
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("made_before", [False, True])
def test_git_takes_nothing_of_a_directory_with_keys(
    checkout: Path, writer: str, made_before: bool
) -> None:
    place = checkout / "made" / writer
    if made_before:
        place.mkdir(parents=True)
        (place / "client.key").write_text("of an earlier run")
    WRITERS[writer](place)
    assert [*place.rglob("client.key")]
    git(checkout, "add", "-A")
    assert git(checkout, "status", "--porcelain").splitlines() == ["A  README"]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_directory_ignores_itself_before_a_key_is_in_it(
    checkout: Path, writer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = checkout / writer
    seen: list[bool] = []
    put = written._put

    def watched_put(file: Path, text: str, mode: int) -> bool:
        if file.name.endswith(".key"):
            seen.append((place / ".gitignore").read_text() == "*\n")
        return put(file, text, mode)

    monkeypatch.setattr(written, "_put", watched_put)
    WRITERS[writer](place)
    assert seen
    assert all(seen)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("lines", ["*.pyc\n", "*\n!client.key\n", ""])
def test_a_directory_whose_gitignore_lets_keys_through_is_refused(
    checkout: Path, writer: str, lines: str
) -> None:
    (checkout / ".gitignore").write_text(lines)
    with pytest.raises((CannotGive, CannotWrite), match="choose a directory for these files alone"):
        WRITERS[writer](checkout)
    assert (checkout / ".gitignore").read_text() == lines
    assert not [*checkout.rglob("client.key")]
