"""etcd's log (WAL) as far as it says whose it is, and how far it reaches.

A file is a row of frames: a length of 8 bytes, little-endian, whose highest byte holds how much the
record is padded, and a record: type, checksum, data (protobuf; etcd's wal/walpb/record.proto).
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, BinaryIO

from etcd_component.agent import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etcd_component.agent.paths import Paths

_METADATA, _ENTRY = 1, 2
_TYPE, _CHECKSUM, _DATA = 0x08, 0x10, 0x1A
"""What stands before each field of a record: its number and kind."""
_INDEX = 3
"""The field of an entry."""
_HEAD = 64
"""Bytes of a record in which all is that is read of it."""
_FIRST_FRAMES = 8
"""Each file has its metadata in one of these."""
_LENGTH_BITS = (1 << 56) - 1
_NAMED = re.compile(r"[0-9a-f]*-([0-9a-f]{16})\.(snap|wal)")


def identity_in_log(data: Path) -> str:
    """Who wrote the log: the IDs of the member and of its cluster; empty where it does not say.

    Each as the bytes of its varint, joined by dots, with a space between the two.
    """
    piece = _last_piece(data)
    if piece is None:
        return ""
    try:
        with piece.open("rb") as stream:
            for number, record in enumerate(_records(stream)):
                kind, content = _record(record)
                if kind == _METADATA:
                    return _identity(content)
                if number >= _FIRST_FRAMES:
                    break
    except OSError:
        pass
    return ""


def last_entry(path: Path) -> int:
    """The index of the last entry of raft in a file of the log; 0 where there is none."""
    last = 0
    try:
        with path.open("rb") as stream:
            for record in _records(stream):
                kind, content = _record(record)
                if kind == _ENTRY:
                    last = _fields(content).get(_INDEX, last)
    except OSError:
        pass
    return last


def highest_entry(data: Path) -> int:
    """The highest entry that a member's data are known to hold.

    By the names of their files, and by the last piece of the log.
    """
    names = (_NAMED.fullmatch(path.name) for path in files.walk(data / "member"))
    highest = max((int(found[1], 16) for found in names if found), default=0)
    piece = _last_piece(data)
    return max(highest, last_entry(piece) if piece else 0)


def note_identity(paths: Paths, data: Path) -> None:
    """Remember who wrote the data, while they are known to be this member's."""
    found = identity_in_log(data)
    if found and found != files.read_text(paths.identity).strip():
        files.atomic_write(paths.identity, f"{found}\n")


def data_of_another(paths: Paths, data: Path) -> bool:
    """Whether the data are those of another member of the same cluster.

    It would act as that one, beside it, and answer for its votes. Data of another cluster, as a
    restored snapshot, are a person's own decision.
    """
    noted = files.read_text(paths.identity).split()
    found = identity_in_log(data).split()
    return len(noted) == len(found) == 2 and noted[1] == found[1] and noted[0] != found[0]  # noqa: PLR2004


def _last_piece(data: Path) -> Path | None:
    return max((data / "member" / "wal").glob("*.wal"), default=None)


def _records(stream: BinaryIO) -> Iterator[bytes]:
    """The beginnings of all records that are there as a whole."""
    size = stream.seek(0, 2)
    at = 0
    while at + 8 <= size:
        stream.seek(at)
        (head,) = struct.unpack("<Q", stream.read(8))
        length = head & _LENGTH_BITS
        padding = (head >> 56) & 0x7 if head >> 63 else 0
        # What is preallocated is zero; a length beyond the end is a record that was cut off.
        if length == 0 or at + 8 + length > size:
            return
        yield stream.read(min(length, _HEAD))
        at += 8 + length + padding


def _record(record: bytes) -> tuple[int, bytes]:
    """Type and data of a record, of which only the beginning is there."""
    kind, at = 0, 0
    while at < len(record):
        tag, at = _varint(record, at)
        value, at = _varint(record, at)
        if tag == _TYPE:
            kind = value
        elif tag == _DATA:
            return kind, record[at : at + value]
        elif tag != _CHECKSUM:
            break
    return kind, b""


def _fields(content: bytes) -> dict[int, int]:
    """The numbers at the beginning of a message, by field; it ends with what is no number."""
    found, at = {}, 0
    while at < len(content):
        tag, at = _varint(content, at)
        if tag & 0x7:
            break
        found[tag >> 3], at = _varint(content, at)
    return found


def _identity(content: bytes) -> str:
    parts, at = [], 0
    for tag in (0x08, 0x10):  # the IDs of the member and of its cluster
        if content[at : at + 1] != bytes([tag]):
            return ""
        _, end = _varint(content, at + 1)
        parts.append(".".join(str(byte) for byte in content[at + 1 : end]))
        at = end
    return " ".join(parts)


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = shift = 0
    while at < len(content):
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004
            break
    return value, at
