"""The arithmetic of spans of keys."""

from __future__ import annotations

import base64
import os

import pytest

from etcd_component.agent.options import Grant
from etcd_component.agent.permissions import (
    Permission,
    Span,
    parse_permissions,
    prefix_end,
    wanted,
)
from etcd_component.etcd_api.errors import UnexpectedAnswer


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        (b"/app/", b"/app0"),
        (b"a", b"b"),
        ("ü".encode(), b"\xc3\xbd"),
        ("密".encode(), b"\xe5\xaf\x87"),
        (b"a\xfe", b"a\xff"),
        # Nothing is behind a byte 255 but what is behind the byte before it.
        (b"a\xff", b"b"),
        (b"a\xff\xff", b"b"),
        (b"\xff", b"\0"),
        (b"\xff\xff", b"\0"),
        (b"", b"\0"),
        (b"\0", b"\1"),
    ],
)
def test_the_end_of_a_prefix_is_the_first_key_behind_it(prefix: bytes, end: bytes) -> None:
    assert prefix_end(prefix) == end


@pytest.mark.parametrize(
    ("grant", "permission"),
    [
        (Grant("read", "key", ("/a b/ü",)), Permission("READ", Span("/a b/ü".encode()))),
        (Grant("write", "range", ("/c", "/f")), Permission("WRITE", Span(b"/c", b"/f"))),
        (
            Grant("readwrite", "prefix", ("/app/",)),
            Permission("READWRITE", Span(b"/app/", b"/app0")),
        ),
        (Grant("read", "prefix", ("",)), Permission("READ", Span(b"\0", b"\0"))),
        # What a command line has that is no UTF-8.
        (
            Grant("read", "prefix", (os.fsdecode(b"/\xff"),)),
            Permission("READ", Span(b"/\xff", b"0")),
        ),
    ],
)
def test_a_grant_is_a_permission(grant: Grant, permission: Permission) -> None:
    assert wanted([grant]) == [permission]


@pytest.mark.parametrize(
    ("first", "second", "access"),
    [
        ("read", "read", "READ"),
        ("write", "write", "WRITE"),
        ("read", "write", "READWRITE"),
        ("write", "read", "READWRITE"),
        ("readwrite", "read", "READWRITE"),
    ],
)
def test_rights_to_one_span_are_one_permission(first: str, second: str, access: str) -> None:
    grants = [Grant(first, "key", ("/k",)), Grant(second, "key", ("/k",))]
    other = Grant("read", "prefix", ("/k",))
    assert wanted([*grants, other]) == [
        Permission(access, Span(b"/k")),
        Permission("READ", Span(b"/k", b"/l")),
    ]


def b64(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_what_etcd_says_of_a_role_is_read() -> None:
    answer = {
        "perm": [
            {"key": b64(b"/a"), "range_end": b64(b"/b")},
            {"permType": "WRITE", "key": b64(b"/c")},
            {"permType": "READWRITE", "key": b64(b"\0"), "range_end": b64(b"\0")},
        ]
    }
    assert parse_permissions(answer) == [
        Permission("READ", Span(b"/a", b"/b")),
        Permission("WRITE", Span(b"/c")),
        Permission("READWRITE", Span(b"\0", b"\0")),
    ]
    assert parse_permissions({}) == []


@pytest.mark.parametrize("records", [["x"], [{"key": 1}], [{"key": "*"}], 7])
def test_a_role_that_cannot_be_read_is_none_without_permissions(records: object) -> None:
    with pytest.raises(UnexpectedAnswer, match="cannot be read"):
        parse_permissions({"perm": records})


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Span("/a b/ü".encode()), "/a b/ü"),
        (Span(b"/app/", b"/app0"), "/app/..."),
        (Span("ü".encode(), b"\xc3\xbd"), "ü..."),
        (Span(b"/c", b"/f"), "/c to /f"),
        (Span(b"\0", b"\0"), "every key"),
        (Span(b"/c", b"\0"), "every key from /c"),
        (Span(b"/\xff"), "/\\xff"),
    ],
)
def test_a_span_is_said_to_a_person(span: Span, text: str) -> None:
    assert str(span) == text
    assert str(Permission("READWRITE", span)) == f"readwrite on {text}"


def test_requests_have_base64() -> None:
    assert Span(b"/a").as_json() == {"key": "L2E="}
    assert Permission("READ", Span(b"\0", b"\0")).as_json() == {
        "permType": "READ",
        "key": "AA==",
        "range_end": "AA==",
    }
