"""When certificates end, whoever made them and however their file is written."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from etcd_component.agent import certificates

if TYPE_CHECKING:
    from pathlib import Path

KEY = ec.generate_private_key(ec.SECP256R1())
LONG = x509.Name(
    [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"{at:60}") for at in range(20)]
)
SHORT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])


def made(end: dt.datetime, name: x509.Name = SHORT, key: Any = KEY) -> x509.Certificate:
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=2**158 + 1,
        not_valid_before=dt.datetime(1950, 1, 1, tzinfo=dt.UTC),
        not_valid_after=end,
    )
    return builder.sign(key, hashes.SHA256())


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("name", [SHORT, LONG])
@pytest.mark.parametrize(
    "end",
    [
        at(1950, 1, 1),
        at(1969, 7, 20, 20, 17, 40),
        at(2000, 2, 29, 23, 59, 59),
        at(2026, 3, 1),
        at(2049, 12, 31, 23, 59, 59),
        at(2050, 1, 1),
        at(2100, 2, 28, 1, 2, 3),
        at(9999, 12, 31, 23, 59, 59),
    ],
)
def test_the_end_is_the_one_that_was_signed(end: dt.datetime, name: x509.Name) -> None:
    der = made(end, name).public_bytes(Encoding.DER)
    assert certificates.not_after(der) == end.timestamp()


def test_keys_of_any_kind_are_passed_over() -> None:
    key = rsa.generate_private_key(65537, 2048)
    der = made(at(2030, 1, 1), LONG, key).public_bytes(Encoding.DER)
    assert certificates.not_after(der) == at(2030, 1, 1).timestamp()


def test_each_certificate_of_a_file_has_its_number_there(tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    first, second = (made(at(year, 1, 1)) for year in (2030, 2060))
    broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    begun = "-----BEGIN CERTIFICATE-----\nMIIB\n"
    windows = pem(second).replace("\n", "\r\n")
    file.write_text(f"# of the company\n{pem(first)}text\n{broken}{begun}{windows}")
    ends = [(1, at(2030, 1, 1).timestamp()), (3, at(2060, 1, 1).timestamp())]
    assert certificates.ends(file) == ends
    assert certificates.ends(tmp_path / "missing") == []


def test_no_byte_that_is_missing_or_wrong_raises_anything() -> None:
    der = made(at(2030, 1, 1)).public_bytes(Encoding.DER)
    assert certificates.not_after(b"") is None
    for end in range(len(der)):
        assert certificates.not_after(der[:end]) is None
    for place in range(120):
        certificates.not_after(der[:place] + b"\xff" + der[place + 1 :])
