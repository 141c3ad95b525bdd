"""The log of etcd, as bytes that this test writes itself."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from etcd_component.agent import wal

MEMBER, CLUSTER = 0x8E9E05C52164694D, 0xCDF818194E3A8C32


def varint(value: int) -> bytes:
    done = b""
    while value >= 0x80:
        done += bytes([value & 0x7F | 0x80])
        value >>= 7
    return done + bytes([value])


def record(kind: int, data: bytes, *, checksum: int = 77) -> bytes:
    fields = b"\x08" + varint(kind) + b"\x10" + varint(checksum)
    return fields + (b"\x1a" + varint(len(data)) + data if data else b"")


def frame(body: bytes) -> bytes:
    padding = -len(body) % 8
    length = len(body) | ((0x80 | padding) << 56 if padding else 0)
    return struct.pack("<Q", length) + body + bytes(padding)


def metadata(member: int = MEMBER, cluster: int = CLUSTER) -> bytes:
    return frame(record(4, b"")) + frame(
        record(1, b"\x08" + varint(member) + b"\x10" + varint(cluster))
    )


def entry(index: int, data: bytes = b"x" * 100) -> bytes:
    body = b"\x08\x00\x10" + varint(3) + b"\x18" + varint(index)
    return frame(record(2, body + b"\x22" + varint(len(data)) + data))


STATE = frame(record(3, b"\x08\x05\x10\x01\x18\x09"))


def dotted(value: int) -> str:
    return ".".join(str(byte) for byte in varint(value))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "member" / "wal").mkdir(parents=True)
    return tmp_path


def write(data: Path, content: bytes, name: str = "0000000000000000-0000000000000000") -> Path:
    path = data / "member" / "wal" / f"{name}.wal"
    path.write_bytes(content)
    return path


def test_who_wrote_it(data: Path) -> None:
    write(data, metadata(1, 2))
    write(data, metadata(), "0000000000000001-0000000000000007")
    assert wal.identity_in_log(data) == f"{dotted(MEMBER)} {dotted(CLUSTER)}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        bytes(4096),
        b"\xff" * 4096,
        frame(record(4, b"")),
        STATE * 20 + metadata(),
        frame(record(1, b"\x18\x01")),
        frame(record(1, b"\x08\x01\x18\x01")),
        frame(b"\x22\x01\x01"),
        metadata()[:-9],
    ],
)
def test_what_is_no_log_has_no_writer(data: Path, content: bytes) -> None:
    write(data, content)
    assert wal.identity_in_log(data) == ""


def test_without_a_log_there_is_no_writer(tmp_path: Path) -> None:
    assert wal.identity_in_log(tmp_path) == ""
    assert wal.last_entry(tmp_path / "none.wal") == 0
    assert wal.highest_entry(tmp_path) == 0


@pytest.mark.parametrize(
    ("content", "last"),
    [
        (metadata(), 0),
        (metadata() + entry(1), 1),
        (metadata() + entry(1) + STATE + entry(300) + STATE, 300),
        # An entry that replaces a later one that was never committed.
        (metadata() + entry(9) + entry(8), 8),
        (metadata() + entry(5, bytes(100_000)) + entry(6), 6),
        # Data in it look like fields.
        (metadata() + entry(7, b"\x18\x63" * 30), 7),
        (metadata() + entry(5) + bytes(4096), 5),
        (metadata() + entry(5) + bytes(8) + entry(6), 5),
        (metadata() + entry(5) + entry(6)[:-30], 5),
        (metadata() + entry(5) + b"\xff" * 50, 5),
    ],
)
def test_the_last_entry(data: Path, content: bytes, last: int) -> None:
    assert wal.last_entry(write(data, content)) == last


def test_the_highest_entry_is_known_by_names_and_by_the_last_piece(data: Path) -> None:
    write(data, entry(4000))
    assert wal.highest_entry(data) == 4000
    write(data, entry(40), "0000000000000001-0000000000000010")
    assert wal.highest_entry(data) == 40
    (data / "member" / "snap").mkdir()
    (data / "member" / "snap" / f"{2:016x}-{0x50:016x}.snap").touch()
    (data / "member" / "snap" / f"{2:016x}-{0x99:016x}.broken").touch()
    assert wal.highest_entry(data) == 0x50


class Places:
    def __init__(self, identity: Path) -> None:
        self.identity = identity


@pytest.mark.parametrize(
    ("noted", "is_another"),
    [
        ((MEMBER, CLUSTER), False),
        ((5, CLUSTER), True),
        ((5, 6), False),
        ((MEMBER, 6), False),
        (None, False),
    ],
)
def test_data_of_another_member_of_the_same_cluster(
    data: Path, noted: tuple[int, int] | None, is_another: bool
) -> None:
    write(data, metadata())
    places = Places(data / "identity")
    if noted:
        places.identity.write_text(" ".join(map(dotted, noted)) + "\n")
    assert wal.data_of_another(places, data) is is_another  # type: ignore[arg-type]


def test_without_a_log_the_data_are_nobodys(data: Path) -> None:
    places = Places(data / "identity")
    places.identity.write_text(f"{dotted(5)} {dotted(CLUSTER)}\n")
    assert not wal.data_of_another(places, data)  # type: ignore[arg-type]
