"""Certificates of the tests' own: a CA that signs members and clients, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from etcd_component import crl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.model import Instance


@dataclass
class Authority:
    """Signs certificates; `also_trusted` are PEMs that members are given beside its own."""

    also_trusted: str = ""
    name: str = "test CA"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        self._name = named(self.name)
        self.certificate = (
            dated(self._name, self._name, self.key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return pem_of(self.certificate)

    @property
    def bundle(self) -> str:
        """All that members trust."""
        return self.pem + self.also_trusted

    def issue_member(self, instance: Instance, days: float = 30) -> tuple[str, str]:
        """A member's certificate and key, PEM."""
        names = [
            *(x509.DNSName(one) for one in instance.dns_names),
            *(x509.IPAddress(ip_address(one)) for one in instance.ip_addresses),
        ]
        return self._issue(instance.name, names, days)

    def issue_client(self, days: float = 30) -> tuple[str, str]:
        """A client's: of the same CA, but without the cluster's name."""
        return self._issue("client", [], days)

    def crl(self, *serials: int) -> bytes:
        """The list of what is revoked, DER."""
        return crl.signed(self.pem, unlocked(self.key), serials)

    def _issue(
        self, name: str, names: Sequence[x509.GeneralName], days: float = 30
    ) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = dated(named(name), self._name, key, days).add_extension(
            x509.ExtendedKeyUsage(both), critical=False
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return pem_of(certificate), key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ).decode()


def named(common: str) -> x509.Name:
    """A subject with this common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def pem_of(certificate: x509.Certificate) -> str:
    """A certificate, PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def unlocked(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key, PEM, without a passphrase."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def dated(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: float = 30
) -> x509.CertificateBuilder:
    """The beginning of a certificate, less what it may be used for."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=days))
    )


def token_keys() -> tuple[str, str]:
    """A pair that signs tokens: the private and the public key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return unlocked(key), public.decode()
