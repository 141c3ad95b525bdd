"""When certificates end, read from DER: a node need not have openssl."""

from __future__ import annotations

import calendar
import re
from typing import TYPE_CHECKING

from etcd_component.agent import files

if TYPE_CHECKING:
    from pathlib import Path

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18
_LONG = 0x80
"""From here on, the first byte of a length counts those that follow it."""
_FIRST_OF_1900 = 50
"""A year of two digits below this is one of the 2000s (RFC 5280)."""


def ends(path: Path) -> list[tuple[int, int]]:
    """Number, from 1, and end of each certificate of a PEM file; ends in seconds since 1970.

    What is no certificate is counted and left out, so that numbers are those of the file.
    """
    numbered = enumerate(_bodies(files.read_text(path)), 1)
    found = ((number, not_after(der)) for number, der in numbered)
    return [(number, end) for number, end in found if end is not None]


def not_after(der: bytes) -> int | None:
    """When a certificate ends, in seconds since 1970; None for what is none."""
    try:
        _, content, _ = _element(der, 0)
        _, at, _ = _element(der, content)
        # Of what is signed: the version, which may be missing, serial number, algorithm, issuer.
        for _ in range(4 if der[at] == _VERSION else 3):
            at = _element(der, at)[2]
        _, not_before, _ = _element(der, at)
        kind, begin, end = _element(der, _element(der, not_before)[2])
        return _seconds(kind, der[begin:end].decode("ascii"))
    except (IndexError, ValueError):
        return None


def _bodies(text: str) -> list[bytes]:
    parts = (part.partition(_END) for part in text.split(_BEGIN)[1:])
    return [
        files.from_base64(re.sub(r"[^A-Za-z0-9+/]", "", body) + "==")
        for body, end, _ in parts
        if end
    ]


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Of the element (X.690) that begins there: its tag, and where its content begins and ends."""
    tag, length = der[at], der[at + 1]
    at += 2
    if length >= _LONG:
        count = length - _LONG
        length = int.from_bytes(der[at : at + count], "big")
        at += count
    if at + length > len(der):
        raise ValueError("an element is longer than what it is in")
    return tag, at, at + length


def _seconds(kind: int, text: str) -> int:
    """Of a time as certificates have it. Raises ValueError."""
    digits = {_UTC_TIME: 2, _GENERALIZED_TIME: 4}.get(kind)
    found = digits and re.match(rf"(\d{{{digits}}})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)", text)
    if not found:
        raise ValueError("this is no time")
    year, *others = map(int, found.groups())
    if kind == _UTC_TIME:
        year += 2000 if year < _FIRST_OF_1900 else 1900
    return calendar.timegm((year, *others))
