"""A new certificate gets into place whole, and where every running member takes it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from etcd_component.agent import certificate_trial, commands, drift, files, frame, tls
from etcd_component.agent.certificate_trial import Trial, dropped_authorities, why_not_taken
from etcd_component.agent.instance import JOINED, Instance
from etcd_component.agent.options import Options
from etcd_component.agent.output import Refusal
from etcd_component.agent.waits import Waits
from tests.authority import Authority
from tests.unit.agent.fake_machine import Machine, machine

__all__ = ["machine"]


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
    # A length that is said at the end is BER.
    assert not tls.is_whole_der(b"\x30\x80")
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


# ---- as a whole


@pytest.fixture
def put(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Deliver some parts, as a machine without a member gets them."""
    monkeypatch.setattr(tls, "make_user", lambda: None)

    def putting(*revoked: str, **parts: str) -> None:
        text = "".join(f"--- {name.replace('_', '.')}\n{part}" for name, part in parts.items())
        command = commands.COMMANDS["tls"]
        options = Options(revoked=revoked)
        tls.run(frame.Run(commands.NODE, "tls", command, options, Waits(), (), [text]))

    return putting


def delivery() -> dict[str, str]:
    authority = Authority()
    certificate, key = authority.issue_client()
    listed = base64.b64encode(authority.crl(1)).decode() + "\n"
    return {
        "ca_crt": authority.bundle,
        "server_crt": certificate,
        "server_key": key,
        "revoked_crl": listed,
    }


def contents(machine: Machine) -> dict[str, str]:
    pki = machine.paths.pki
    return {path.name: path.read_text(errors="replace") for path in pki.iterdir()}


def test_a_delivery_is_in_use_and_the_last_one_gone(
    machine: Machine, put: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = delivery(), delivery()
    put(**first, token_pub="-----BEGIN P-----END\n", token_key="-----BEGIN K-----END\n")
    assert sorted(contents(machine)) == [
        *("ca.crt", "revoked.crl", "server.crt", "server.key", "token.key", "token.pub")
    ]
    (machine.paths.etc / "pki-killed").mkdir()
    put("etcd-2 (ended)", "tool", **second)
    found = contents(machine)
    assert sorted(found) == ["ca.crt", "revoked.crl", "server.crt", "server.key"]
    assert found["server.key"] == second["server_key"]
    assert len(list(machine.paths.etc.glob("pki-*"))) == 1
    assert machine.paths.pki.stat().st_mode & 0o777 == 0o755
    modes = {path.name: path.stat().st_mode & 0o777 for path in machine.paths.pki.iterdir()}
    assert modes == {**dict.fromkeys(found, 0o644), "server.key": 0o600}
    assert drift.changed_files(machine.paths) == []
    said = capsys.readouterr().out
    assert f"are in {machine.paths.pki}; refused are etcd-2 (ended), tool" in said


@pytest.mark.parametrize("part", ["ca_crt", "server_crt", "server_key", "revoked_crl"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_half_a_delivery_changes_nothing(
    machine: Machine, put: Callable[..., None], part: str, damage: str
) -> None:
    put(**delivery())
    before = contents(machine)
    parts = delivery()
    whole = parts.pop(part)
    if damage != "missing":
        parts[part] = "" if damage == "empty" else whole[: len(whole) // 2]
    with pytest.raises(Refusal, match=r"standard input has no .*; the certificate in use stays"):
        put(**parts)
    assert contents(machine) == before
    assert len(list(machine.paths.etc.glob("pki-*"))) == 1


def test_a_directory_that_somebody_linked_there_stays(
    machine: Machine, put: Callable[..., None]
) -> None:
    """And what is in use stays, where the link to it is written in full."""
    theirs = machine.root / "theirs"
    machine.write(theirs / "server.key", "their key")
    machine.paths.etc.mkdir(parents=True)
    for target in (str(theirs), "../../../theirs"):
        machine.paths.pki.unlink(missing_ok=True)
        machine.paths.pki.symlink_to(target)
        put(**delivery())
        assert (theirs / "server.key").read_text() == "their key"
        assert (machine.paths.pki / "server.key").exists()


def test_what_is_stopped_after_the_switch_leaves_what_is_in_use(
    machine: Machine, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(**delivery())
    switch = files.replace_link

    def stopped(path: Path, target: str) -> None:
        switch(path, target)
        raise frame.Stopped

    monkeypatch.setattr(files, "replace_link", stopped)
    with pytest.raises(frame.Stopped):
        put(**delivery())
    assert (machine.paths.pki / "server.key").exists()


@pytest.mark.parametrize("joined", [True, False])
def test_a_member_s_new_certificate_is_tried_first(
    machine: Machine, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch, joined: bool
) -> None:
    machine.configure(f"{JOINED}\n" if joined else "")
    put(**delivery())
    before = contents(machine)

    def refuse(instance: Instance, new: Path, options: Options) -> None:
        assert (new / "server.key").exists()
        raise Refusal("no")

    monkeypatch.setattr(certificate_trial, "refuse_to_cut_off", refuse)
    if joined:
        with pytest.raises(Refusal, match=r"^no$"):
            put(**delivery())
        assert contents(machine) == before
        assert len(list(machine.paths.etc.glob("pki-*"))) == 1
    else:
        put(**delivery())
        assert contents(machine) != before


def test_a_ca_with_which_no_cluster_was_formed_gives_way_to_another(
    machine: Machine, put: Callable[..., None]
) -> None:
    machine.configure("initial-cluster-state: new\ninitial-cluster: etcd-1=https://a:2380\n")
    put(**delivery())
    before = contents(machine)
    put(**delivery())
    assert contents(machine)["ca.crt"] != before["ca.crt"]


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
