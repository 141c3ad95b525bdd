"""Which entries of 3.5 the next version would still read."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcd_component.agent import old_entries
from etcd_component.agent.old_entries import (
    log_has_old_entries,
    must_be_left_behind,
    newest_raft_snapshot,
    read_from,
)
from tests.unit.agent.fake_etcd import instance

OLD = b"junk\n\0/0/members/8211f1d0f64f3269/attributes\0"


@pytest.mark.parametrize(
    ("first_entries", "covered", "expected"),
    [
        ([0], 0, 0),
        ([0, 100, 200], 99, 0),
        ([0, 100, 200], 100, 1),
        ([0, 100, 200], 199, 1),
        ([0, 100, 200], 200, 2),
        # The piece that it begins in is missing: all are read.
        ([50, 100], 10, 0),
        ([], 10, 0),
    ],
)
def test_reading_begins_at_the_piece_with_the_newest_snapshot(
    first_entries: list[int], covered: int, expected: int
) -> None:
    assert read_from(first_entries, covered) == expected


def piece(member: Path, number: int, first: int, content: bytes) -> None:
    (member / "wal").mkdir(parents=True, exist_ok=True)
    (member / "wal" / f"{number:016x}-{first:016x}.wal").write_bytes(content)


def snapshot(member: Path, index: int) -> None:
    (member / "snap").mkdir(parents=True, exist_ok=True)
    (member / "snap" / f"{7:016x}-{index:016x}.snap").write_bytes(b"")


def test_the_newest_snapshot_is_the_highest_index(tmp_path: Path) -> None:
    assert newest_raft_snapshot(tmp_path) == 0
    snapshot(tmp_path, 0x20)
    snapshot(tmp_path, 0x3)
    (tmp_path / "snap" / f"{0x99:016x}.snap.db").write_bytes(b"")
    (tmp_path / "snap" / "of-somebody.snap").write_bytes(b"")
    assert newest_raft_snapshot(tmp_path) == 0x20


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (OLD, True),
        (b"\0/0/version\0", True),
        (b"/0/members/", False),
        (b"/1/version", False),
        (b"", False),
    ],
)
def test_old_entries_are_found_in_what_is_still_read(
    tmp_path: Path, content: bytes, expected: bool
) -> None:
    piece(tmp_path, 0, 0, b"nothing")
    piece(tmp_path, 1, 100, content)
    assert log_has_old_entries(tmp_path) is expected


@pytest.mark.parametrize("before", range(64))
def test_an_entry_is_found_wherever_one_read_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    monkeypatch.setattr(old_entries, "_CHUNK", 32)
    piece(tmp_path, 0, 0, b"x" * before + OLD)
    assert log_has_old_entries(tmp_path)


def test_a_log_may_be_cut_short_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an etcd does with its last piece when it starts."""
    piece(tmp_path, 0, 0, bytes(1 << 22))
    (log,) = (tmp_path / "wal").iterdir()

    class Cutting:
        def search(self, content: bytes) -> None:
            with log.open("r+b") as stream:
                stream.truncate(8)
            assert not content[-1:].strip(b"\0")

    monkeypatch.setattr(old_entries, "_OLD", Cutting())
    assert not log_has_old_entries(tmp_path)


def test_what_a_snapshot_covers_is_not_read(tmp_path: Path) -> None:
    piece(tmp_path, 0, 0, OLD)
    piece(tmp_path, 1, 100, b"nothing")
    snapshot(tmp_path, 99)
    assert log_has_old_entries(tmp_path)
    snapshot(tmp_path, 100)
    assert not log_has_old_entries(tmp_path)


@pytest.mark.parametrize(
    ("mine", "version", "expected"),
    [
        ("3.6.16", "3.7.3", True),
        ("3.6.16", "3.6.17", False),
        ("3.5.35", "3.6.16", False),
        ("3.7.3", "3.6.16", False),
    ],
)
def test_only_3_7_cannot_read_them(
    monkeypatch: pytest.MonkeyPatch, mine: str, version: str, expected: bool
) -> None:
    monkeypatch.setattr("etcd_component.agent.old_entries.log_has_old_entries", lambda _: True)
    assert must_be_left_behind(instance(), mine, version) is expected
