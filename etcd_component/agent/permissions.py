"""Permissions of roles: spans of keys, in bytes, as etcd has them."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etcd_component.etcd_api.errors import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from etcd_component.agent.options import Grant

NO_END = b"\0"
"""As the end of a span: every key from its first one on."""


@dataclass(frozen=True)
class Span:
    """Keys from the first one to the end, without it; one key where there is no end."""

    key: bytes
    end: bytes = b""

    def __str__(self) -> str:
        key = _readable(self.key)
        if not self.end:
            return key
        if self.end == NO_END:
            return f"every key from {key}" if key else "every key"
        return (
            f"{key}..." if self.end == prefix_end(self.key) else f"{key} to {_readable(self.end)}"
        )

    def as_json(self) -> dict[str, str]:
        """The fields of a request."""
        fields = {"key": self.key, "range_end": self.end} if self.end else {"key": self.key}
        return {name: base64.b64encode(value).decode() for name, value in fields.items()}


@dataclass(frozen=True)
class Permission:
    """A right to a span of keys."""

    access: str
    """READ, WRITE or READWRITE."""
    span: Span

    def __str__(self) -> str:
        return f"{self.access.lower()} on {self.span}"

    def as_json(self) -> dict[str, str]:
        """What a request grants."""
        return {"permType": self.access, **self.span.as_json()}


def prefix_end(prefix: bytes) -> bytes:
    """The first key that is behind all that begin with the prefix."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else NO_END


def wanted(grants: Iterable[Grant]) -> list[Permission]:
    """The permissions that a command line grants.

    etcd has one right for a span, so that several to the same one are one.
    """
    found: dict[Span, str] = {}
    for grant in grants:
        span, access = _span(grant), grant.access.upper()
        found[span] = access if found.get(span, access) == access else "READWRITE"
    return [Permission(access, span) for span, access in found.items()]


def parse_permissions(answer: Mapping[str, Any]) -> list[Permission]:
    """The permissions of a role that etcd describes. Raises UnexpectedAnswer.

    A right to read is the one that it does not name.
    """
    try:
        return [
            Permission(
                str(record.get("permType") or "READ"),
                Span(_decoded(record.get("key")), _decoded(record.get("range_end"))),
            )
            for record in answer.get("perm") or ()
        ]
    except (AttributeError, TypeError, ValueError):
        raise UnexpectedAnswer("the permissions cannot be read") from None


def _span(grant: Grant) -> Span:
    first, *rest = (os.fsencode(key) for key in grant.keys)
    if grant.scope == "key":
        return Span(first)
    if grant.scope == "range":
        return Span(first, rest[0])
    # Every key is written in etcd as what begins with the byte 0 and has no end.
    return Span(first, prefix_end(first)) if first else Span(b"\0", NO_END)


def _decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "", validate=True)


def _readable(key: bytes) -> str:
    return key.replace(b"\0", b"").decode(errors="backslashreplace")
