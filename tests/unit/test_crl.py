"""The list of revoked certificates, as OpenSSL reads it; what etcd does with it: `tests/node`."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from etcd_component import crl
from tests.authority import dated, named, pem_of

KEYS: dict[str, Callable[[], Any]] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}
SERIALS = (2**127 + 1, 5, 0x0A1B2C)


@pytest.mark.parametrize("kind", KEYS)
def test_the_same_ca_and_serials_give_the_same_bytes_whatever_the_key(
    kind: str, tmp_path: Path
) -> None:
    key, name = KEYS[kind](), named("CA")
    digest = None if kind == "Ed25519" else hashes.SHA256()
    authority = dated(name, name, key).sign(key, digest)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()

    listed = crl.signed(pem_of(authority), private, SERIALS)
    assert crl.signed(pem_of(authority), private, reversed(SERIALS * 2)) == listed
    assert crl.signed(pem_of(authority), private, SERIALS[1:]) != listed

    found = x509.load_der_x509_crl(listed)
    assert {one.serial_number for one in found} == set(SERIALS)
    assert found.is_signature_valid(key.public_key())
    assert found.issuer == authority.subject
    assert found.next_update_utc == authority.not_valid_after_utc
    (tmp_path / "crl").write_bytes(listed)
    (tmp_path / "ca").write_text(pem_of(authority))
    said = subprocess.run(
        ["openssl", "crl", "-inform", "DER", "-in", "crl", "-CAfile", "ca", "-noout", "-text"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "verify OK" in said.stderr
    assert "Serial Number: 0A1B2C" in said.stdout


def test_without_an_entry_it_is_a_list_too() -> None:
    key, name = KEYS["P-256"](), named("CA")
    authority = dated(name, name, key).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    assert not list(x509.load_der_x509_crl(crl.signed(pem_of(authority), private, ())))
