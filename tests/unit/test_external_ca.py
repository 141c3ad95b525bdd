"""A CA that is given is examined before anything is made."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from etcd_component.inventory import external_ca
from etcd_component.mistake import Mistake
from tests.authority import Authority, named, pem_of, unlocked
from tests.unit.test_inventory import group

Mistakes = Callable[..., tuple[Mistake, ...]]

SUBJECT = external_ca.Subject(["etcd", "etcd-1", "localhost"], ["10.10.10.10", "127.0.0.1", "::1"])
NOW = datetime.now(UTC)


def key_usage(**uses: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: uses.get(name, False) for name in names})


class Ca:
    """A CA made of what a test says; without an `issuer` it is a root."""

    def __init__(
        self,
        name: str = "the CA",
        *extensions: x509.ExtensionType,
        issuer: Ca | None = None,
        ca: bool | None = True,
        path_length: int | None = None,
        begin: timedelta = timedelta(days=-1),
        end: timedelta = timedelta(days=30),
        key: Any = None,
    ) -> None:
        self.name, self.key = named(name), key or ec.generate_private_key(ec.SECP256R1())
        above = issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(above.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + begin)
            .not_valid_after(NOW + end)
        )
        if ca is not None:
            limits = x509.BasicConstraints(ca=ca, path_length=path_length)
            builder = builder.add_extension(limits, critical=True)
        for one in extensions:
            builder = builder.add_extension(one, critical=False)
        hashed = None if isinstance(above.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        self.pem = pem_of(builder.sign(above.key, hashed))

    @property
    def key_pem(self) -> str:
        return unlocked(self.key)


def examine(ca: Ca, cert: str | None = None, *, signs: bool = True) -> external_ca.Examined:
    return external_ca.examine(cert or ca.pem, ca.key_pem, SUBJECT, signs=signs)


def problem(ca: Ca, cert: str | None = None) -> str:
    (found,) = examine(ca, cert).problems
    assert found.cure
    return f"{found.parameter}: {found.problem}"


@pytest.mark.parametrize(
    "ca",
    [
        Ca(),
        Ca("with a usage", key_usage(key_cert_sign=True)),
        Ca("of length 0", path_length=0),
        Ca("RSA", key=rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        Ca("Ed25519", key=ed25519.Ed25519PrivateKey.generate()),
        Ca(
            "with both uses",
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
        ),
        Ca(
            "constrained to what is needed",
            x509.NameConstraints(
                [
                    *(x509.DNSName(one) for one in ("etcd", "etcd-1", "localhost")),
                    *(
                        x509.IPAddress(ip_network(one))
                        for one in ("10.0.0.0/8", "127.0.0.0/8", "::1/128")
                    ),
                ],
                None,
            ),
        ),
        Ca("elsewhere", x509.NameConstraints(None, [x509.DNSName("example.com")])),
    ],
    ids=lambda ca: str(ca.name.rfc4514_string()),
)
def test_a_ca_that_can_sign_for_the_cluster_is_taken_as_it_is(ca: Ca) -> None:
    assert examine(ca) == external_ca.Examined(ca.pem)


@pytest.mark.parametrize(
    ("ca", "said"),
    [
        (Ca(ca=False), "etcd_ca_cert: 'CN=the CA' is no CA"),
        (Ca(ca=None), "etcd_ca_cert: 'CN=the CA' is no CA"),
        (Ca("x", key_usage(digital_signature=True)), "its keyUsage has no keyCertSign"),
        (Ca(end=timedelta(hours=-1)), "'CN=the CA' ended on 20"),
        (Ca(begin=timedelta(days=1)), "is valid from 20"),
        (
            Ca("x", x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
            "its extendedKeyUsage has no clientAuth",
        ),
        (
            Ca("x", x509.NameConstraints([x509.DNSName("example.com")], None)),
            "it may not sign for etcd, etcd-1, localhost,",
        ),
        (
            Ca("x", x509.NameConstraints([x509.DNSName(".etcd")], None)),
            "it may not sign for etcd, etcd-1, localhost,",
        ),
        (
            Ca("x", x509.NameConstraints(None, [x509.IPAddress(ip_network("10.0.0.0/8"))])),
            "it may not sign for 10.10.10.10,",
        ),
        (Ca(key=ec.generate_private_key(ec.SECP224R1())), "a kind or size that etcd's TLS does"),
        (
            Ca(key=rsa.generate_private_key(public_exponent=65537, key_size=1024)),
            "a kind or size that etcd's TLS does",
        ),
    ],
)
def test_what_cannot_sign_for_the_cluster_is_refused_with_the_reason(ca: Ca, said: str) -> None:
    assert said in problem(ca)


def test_the_key_of_another_ca_is_refused() -> None:
    found = problem(Ca("another"), Ca("the one").pem)
    assert found.startswith("etcd_ca_key: this key does not belong to the CA in etcd_ca_cert")
    assert "CN=the one" in found


@pytest.mark.parametrize("kind", ["PRIVATE KEY", "EC PRIVATE KEY"])
def test_a_key_that_cannot_be_read_is_refused_without_being_repeated(kind: str) -> None:
    key = f"-----BEGIN {kind}-----\nc2VjcmV0\n-----END {kind}-----\n"
    (found,) = external_ca.examine(Ca().pem, key, SUBJECT, signs=True).problems
    assert (found.parameter, found.problem) == ("etcd_ca_key", "the key cannot be read")
    assert "c2VjcmV0" not in found.cure


def test_a_certificate_that_cannot_be_read_is_refused() -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
    assert "cannot be read" in problem(Ca(), broken)
    assert "cannot be read" in problem(Ca(), Ca().pem + broken)


def replaced(pem: str, old: str, new: str) -> str:
    """PEM text in which an object identifier, in hex as DER has it, is another of its length."""
    begin, *lines, end = pem.strip().splitlines()
    der = base64.b64decode("".join(lines))
    assert bytes.fromhex(old) in der
    der = der.replace(bytes.fromhex(old), bytes.fromhex(new))
    return f"{begin}\n{base64.encodebytes(der).decode()}{end}\n"


P256, SM2 = "06082a8648ce3d030107", "06082a811ccf5501822d"
ECDSA_SHA256, SM2_SM3 = "06082a8648ce3d040302", "06082a811ccf55018375"


def test_a_key_on_a_curve_that_is_not_known_is_refused() -> None:
    ca = Ca()
    unknown = replaced(ca.pem, P256, SM2)
    assert "a certificate in it has a key of a kind" in problem(ca, unknown)
    assert "a certificate in it has a key of a kind" in problem(ca, ca.pem + unknown)
    key = replaced(ca.key_pem, P256, SM2)
    (found,) = external_ca.examine(ca.pem, key, SUBJECT, signs=True).problems
    assert (found.parameter, found.cure) == ("etcd_ca_key", external_ca._FIT)


def test_a_signature_of_a_kind_that_is_not_known_is_nobodys() -> None:
    root = Ca("root")
    middle = Ca("middle", issuer=root)
    found = examine(middle, replaced(middle.pem, ECDSA_SHA256, SM2_SM3) + root.pem)
    assert "append the certificate of 'CN=root'" in (found.warning or "")


def test_one_that_is_only_trusted_need_not_sign() -> None:
    ca = Ca("x", key_usage(digital_signature=True), end=timedelta(hours=-1))
    assert not examine(ca, signs=False).problems
    assert examine(Ca(ca=False), signs=False).problems


# ---- chains


def test_of_a_chain_the_one_that_signs_comes_first_in_whatever_order_it_is_given() -> None:
    root = Ca("root")
    middle = Ca("middle", issuer=root, path_length=1)
    lowest = Ca("lowest", issuer=middle, path_length=0)
    inorder = lowest.pem + middle.pem + root.pem
    assert examine(lowest, inorder) == external_ca.Examined(inorder)
    assert examine(lowest, root.pem + middle.pem + lowest.pem) == external_ca.Examined(inorder)


def test_what_keeps_one_of_the_chain_from_signing_keeps_all() -> None:
    root = Ca("root", path_length=0)
    middle = Ca("middle", issuer=root)
    lowest = Ca("lowest", issuer=middle)
    found = problem(lowest, lowest.pem + middle.pem + root.pem)
    assert "'CN=root' may have 0 CAs below it (pathlen), and has 2" in found
    ended = Ca("root", end=timedelta(hours=-1))
    middle = Ca("middle", issuer=ended)
    assert "'CN=root' ended on" in problem(middle, middle.pem + ended.pem)


def test_an_intermediate_without_its_root_gets_a_warning() -> None:
    middle = Ca("middle", issuer=Ca("root"))
    found = examine(middle)
    assert not found.problems
    assert "append the certificate of 'CN=root'" in (found.warning or "")


def test_a_chain_with_a_root_of_the_same_name_and_another_key_is_incomplete() -> None:
    middle = Ca("middle", issuer=Ca("root"))
    assert examine(middle, middle.pem + Ca("root").pem).warning


# ---- as people have them in files


def test_every_problem_is_said_where_it_was_written(mistakes: Mistakes) -> None:
    ca = Ca("x", key_usage(digital_signature=True), end=timedelta(hours=-1))
    found = mistakes(group(etcd_ca_cert=ca.pem, etcd_ca_key=ca.key_pem))
    assert [one.place for one in found] == ["etcd.vars.etcd_ca_cert"] * 2


def test_names_are_those_of_the_inventory(mistakes: Mistakes) -> None:
    ca = Ca("x", x509.NameConstraints(None, [x509.IPAddress(ip_network("10.10.10.0/24"))]))
    (found,) = mistakes(group(etcd_ca_cert=ca.pem, etcd_ca_key=ca.key_pem))
    assert "it may not sign for 10.10.10.10," in found.problem


def openssl_ecparam(key: ec.EllipticCurvePrivateKey) -> str:
    """As `openssl ecparam -name prime256v1 -genkey` prints it."""
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    return f"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{text}"


def test_files_of_openssl_and_of_windows_are_read(cluster: Any) -> None:
    authority = Authority()
    key = openssl_ecparam(authority.key)
    text = f"Certificate:\n    Data: as openssl x509 -text prints it\n{authority.pem}"
    for end in ("\n", "\r\n"):
        settings = cluster(
            etcd_ca_cert=text.replace("\n", end), etcd_ca_key=key.replace("\n", end)
        ).settings
        assert settings.ca_cert == authority.pem
        assert settings.ca_key == key[key.index("-----BEGIN EC PRIVATE") :]
