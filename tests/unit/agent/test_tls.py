"""A new certificate gets into place whole, and where every running member takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcd_component.agent import certificate_trial, tls
from etcd_component.agent.certificate_trial import Trial, dropped_authorities, why_not_taken
from etcd_component.agent.output import Refusal
from tests.authority import Authority


def der(length: int, head: bytes) -> bytes:
    return b"\x30" + head + b"x" * length


@pytest.mark.parametrize(
    "whole",
    [
        der(0, b"\x00"),
        der(127, b"\x7f"),
        der(200, b"\x81\xc8"),
        der(300, b"\x82\x01\x2c"),
        der(70000, b"\x83\x01\x11\x70"),
    ],
)
def test_a_list_is_as_long_as_it_says(whole: bytes) -> None:
    assert tls.is_whole_der(whole)
    assert not tls.is_whole_der(whole[:-1])
    assert not tls.is_whole_der(whole + b"\n")
    assert not tls.is_whole_der(b"\x31" + whole[1:])


def test_no_list_is_none() -> None:
    assert not tls.is_whole_der(b"")
    assert not tls.is_whole_der(b"\x30")
    assert not tls.is_whole_der(b"\x30\x82\x01")
    assert tls.is_whole_der(Authority().crl(1, 2, 3))


def one(name: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("present", "new", "count"),
    [
        ("", "", 0),
        (one("a"), one("a"), 0),
        (one("a"), one("b") + one("a"), 0),
        (one("a") + one("b"), one("b"), 1),
        (one("a"), "", 1),
        (one("a\nb"), one("ab").replace("\n", "\r\n"), 0),
        (f"text\n{one('a')}text", one("a"), 0),
    ],
)
def test_which_authorities_go(present: str, new: str, count: int) -> None:
    assert len(dropped_authorities(present, new)) == count


GOOD, BAD, AWAY = Trial(), Trial("bad certificate"), Trial("connection refused", is_away=True)
NEW, PRESENT = Path("new"), Path("present")


@pytest.mark.parametrize(
    ("new", "present", "drops", "expected"),
    [
        ([GOOD], [], False, ""),
        ([GOOD], [], True, ""),
        # It may be at work on its own files.
        ([BAD, BAD, GOOD], [], False, ""),
        # What fails with the present files as well is not the new ones' fault.
        ([BAD, BAD, BAD], [BAD], False, ""),
        ([AWAY], [AWAY], False, ""),
        # Nor is what was mended over there between the two.
        ([BAD, BAD, BAD, GOOD], [GOOD], False, ""),
        ([BAD, BAD, BAD, BAD], [GOOD], False, "bad certificate"),
        ([AWAY, AWAY], [GOOD], False, "connection refused"),
        # Where a CA goes, one that is away may still need it.
        ([BAD, BAD, BAD], [], True, "bad certificate"),
        ([AWAY], [], True, "connection refused"),
        ([BAD, AWAY], [], True, "connection refused"),
    ],
)
def test_whose_fault_it_is(
    new: list[Trial],
    present: list[Trial],
    drops: bool,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(certificate_trial, "_PAUSE", 0)
    answers = {NEW: iter(new), PRESENT: iter(present)}

    def attempt(pki: Path, url: str) -> Trial:
        return next(answers[pki])

    assert why_not_taken(attempt, PRESENT, NEW, "https://a", drops=drops) == expected
    assert [list(left) for left in answers.values()] == [[], []]


def test_a_key_of_another_certificate_is_not_taken(tmp_path: Path) -> None:
    authority = Authority()
    pairs = [authority.issue_client() for _ in range(2)]
    for name, text in {
        "ca.crt": authority.bundle,
        "server.crt": pairs[0][0],
        "server.key": pairs[0][1],
    }.items():
        (tmp_path / name).write_text(text)
    tls._refuse_unfit(tmp_path)
    (tmp_path / "server.key").write_text(pairs[1][1])
    with pytest.raises(Refusal, match=r"cannot be used together .*; the certificate in use stays"):
        tls._refuse_unfit(tmp_path)
