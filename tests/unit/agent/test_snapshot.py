"""When a snapshot before an upgrade is due, and that only a whole one counts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etcd_component.agent.decide.snapshot import LeaderSeen, is_due, outdated
from etcd_component.agent.snapshot import Progress, write_checked
from etcd_component.etcd_api.errors import ApiError, ConnectionLost, UnexpectedAnswer

NOW = LeaderSeen("3.7.3", 2, 5, 10_000.0)


@pytest.mark.parametrize(
    ("noted", "due"),
    [
        (None, True),
        (NOW, False),
        (replace(NOW, at=10_000.0 - 899), False),
        (replace(NOW, at=10_000.0 - 900), True),
        # A clock that was put back proves nothing.
        (replace(NOW, at=10_001.0), True),
        (replace(NOW, leader=3), True),
        (replace(NOW, term=6), True),
        (replace(NOW, version="3.7.2"), True),
    ],
)
def test_a_snapshot_is_due_unless_the_leader_has_just_been_seen(
    noted: LeaderSeen | None, due: bool
) -> None:
    assert is_due(noted, NOW) is due


def test_what_is_noted_is_read_again() -> None:
    assert str(NOW) == "3.7.3 2 5 10000"
    assert LeaderSeen.parse(f"{NOW}\n") == NOW


@pytest.mark.parametrize("text", ["", "3.7.3", "3.7.3 2 5", "3.7.3 2 x 10000", "3.7.3 1 2 3 4"])
def test_what_cannot_be_read_is_no_note(text: str) -> None:
    assert LeaderSeen.parse(text) is None


def test_the_newest_three_are_kept() -> None:
    assert outdated([(1, "a"), (4, "d"), (2, "b"), (3, "c"), (5, "e")]) == ["b", "a"]
    assert outdated([(1, "a"), (2, "b"), (3, "c")]) == []


# ---- the file


def pieces(content: bytes, size: int) -> list[dict[str, Any]]:
    return [
        {"remaining_bytes": "1", "blob": base64.b64encode(content[at : at + size]).decode()}
        for at in range(0, len(content), size)
    ]


DATA = bytes(range(256)) * 40
WHOLE = DATA + hashlib.sha256(DATA).digest()


def write(records: Any, path: Path) -> bool:
    return write_checked(records, path, Progress("etcd-1", len(WHOLE)))


@pytest.mark.parametrize("size", [1, 7, 31, 32, 33, 1000, len(DATA), len(WHOLE)])
def test_a_whole_snapshot_is_written_as_it_came(tmp_path: Path, size: int) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"of a run before, which was longer" * 1000)
    assert write([*pieces(WHOLE, size), {"remaining_bytes": "0"}], part)
    assert part.read_bytes() == WHOLE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WHOLE[:-1],
        WHOLE[1:],
        DATA,
        WHOLE[:100] + b"?" + WHOLE[101:],
        WHOLE[:-1] + b"?",
        # The checksum of nothing: no member has an empty database.
        hashlib.sha256(b"").digest(),
    ],
)
def test_one_that_is_not_whole_does_not_count(tmp_path: Path, content: bytes) -> None:
    assert not write(pieces(content, 1000), tmp_path / "part")


def test_only_root_reads_it(tmp_path: Path) -> None:
    write(pieces(WHOLE, 1000), tmp_path / "part")
    assert (tmp_path / "part").stat().st_mode & 0o777 == 0o600


def test_it_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        write(pieces(WHOLE, 1000), tmp_path / "part")
    assert not (tmp_path / "elsewhere").exists()


def broken_off() -> Iterator[dict[str, Any]]:
    yield from pieces(WHOLE, 1000)[:3]
    raise ConnectionLost("the connection was closed before an answer came")


@pytest.mark.parametrize(
    ("records", "kind"),
    [(broken_off(), ConnectionLost), ([{"blob": "n?"}], UnexpectedAnswer)],
)
def test_what_breaks_off_says_so(tmp_path: Path, records: Any, kind: type[ApiError]) -> None:
    with pytest.raises(kind):
        write(records, tmp_path / "part")
