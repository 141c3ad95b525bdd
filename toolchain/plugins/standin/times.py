"""Times as the official plugins write them: nanoseconds since 1970, and RFC 3339."""

import re
from datetime import UTC, datetime, timedelta

NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""


def moment(nanoseconds: int) -> datetime:
    """Return a time since 1970, cut to the second, in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=nanoseconds // NANOSECONDS)


def timestamp(nanoseconds: int) -> str:
    """Return a time since 1970 as Go writes it: RFC 3339 in UTC, without trailing zeros."""
    seconds = moment(nanoseconds).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{nanoseconds % NANOSECONDS:09d}".rstrip("0").rstrip(".")
    return f"{seconds}{fraction}Z"


def nanoseconds(text: str) -> int:
    """Return an RFC 3339 time as nanoseconds since 1970.

    Raises:
        ValueError: it is none.
    """
    whole = datetime.fromisoformat(re.sub(r"\.\d+", "", text))
    fraction = re.search(r"\.(\d+)", text)
    digits = fraction[1][:9].ljust(9, "0") if fraction else "0"
    return int(whole.timestamp()) * NANOSECONDS + int(digits)
