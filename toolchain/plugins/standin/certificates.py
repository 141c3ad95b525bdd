"""Keys, certificate requests and certificates as the official `tls` plugin makes them.

All cryptography is the `cryptography` package's. This module fixes what Go's `crypto/x509` and the
Terraform provider behind the official plugin choose: order of names and extensions, string types,
hashes, and the words of their errors.
"""

import base64
import hashlib
import ipaddress
import re
import secrets
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID, ObjectIdentifier

from .times import NANOSECONDS, moment, timestamp
from .usages import EXTENDED_KEY_USAGES, KEY_USAGES
from .wire import Properties, ProviderError, go_quote

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "P224": ec.SECP224R1,
    "P256": ec.SECP256R1,
    "P384": ec.SECP384R1,
    "P521": ec.SECP521R1,
}

# Order in which the official plugin's certificates hold them.
_SUBJECT = {
    "country": NameOID.COUNTRY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCode": NameOID.POSTAL_CODE,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "commonName": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
}

_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")
_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n.*?\n-----END \1-----", re.DOTALL)
_KEY_LABELS = ("RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY")


class CertificateError(ProviderError):
    """A failure with a summary and a detail, which the official plugin also logs in its own way."""

    def __init__(self, summary: str, detail: str) -> None:
        """Join `summary` and `detail` as the official plugin does."""
        super().__init__(f"{summary}: {detail}")
        self.logged = f"[ERROR] {detail}: {summary}"


def generate(algorithm: str, rsa_bits: int, curve: str) -> PrivateKey:
    """Make a key: RSA of `rsa_bits` bits, ECDSA on `curve` (P224 to P521), or ED25519."""
    if algorithm == "RSA":
        try:
            return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
        except ValueError as error:
            raise CertificateError(
                "Unable to generate Key from configuration", str(error)
            ) from error
    if algorithm == "ECDSA":
        return ec.generate_private_key(_CURVES[curve]())
    return ed25519.Ed25519PrivateKey.generate()


def describe(key: PrivateKey) -> Properties:
    """Return the outputs of a PrivateKey resource that follow from its key, `id` included.

    OpenSSH knows no keys on P224: those outputs are empty then.
    """
    public = key.public_key()
    public_der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    traditional = PrivateFormat.TraditionalOpenSSL
    if isinstance(key, ed25519.Ed25519PrivateKey):
        traditional = PrivateFormat.PKCS8
    outputs = {
        "id": hashlib.sha1(public_der, usedforsecurity=False).hexdigest(),
        "privateKeyPem": _private_pem(key, traditional),
        "privateKeyPemPkcs8": _private_pem(key, PrivateFormat.PKCS8),
        "publicKeyPem": public.public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        ).decode(),
        "privateKeyOpenssh": "",
        "publicKeyOpenssh": "",
        "publicKeyFingerprintMd5": "",
        "publicKeyFingerprintSha256": "",
    }
    try:
        line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    except (UnsupportedAlgorithm, ValueError):
        return outputs
    md5 = serialization.ssh_key_fingerprint(public, hashes.MD5()).hex(":")  # noqa: S303
    sha256 = serialization.ssh_key_fingerprint(public, hashes.SHA256())
    return outputs | {
        "privateKeyOpenssh": _private_pem(key, PrivateFormat.OpenSSH),
        "publicKeyOpenssh": f"{line}\n",
        "publicKeyFingerprintMd5": md5,
        "publicKeyFingerprintSha256": "SHA256:" + _base64(sha256),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _private_pem(key: PrivateKey, kind: PrivateFormat) -> str:
    return key.private_bytes(Encoding.PEM, kind, NoEncryption()).decode()


def algorithm_of(key: PrivateKey) -> str:
    """Return the algorithm's name as `keyAlgorithm` has it."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def load_key(pem: str, whose: str = "private key") -> PrivateKey:
    """Return the key in `pem`.

    Raises:
        CertificateError: there is none, or none of a kind the official plugin reads; `whose` names
            it. The text never quotes the key.
    """
    summary = f"Failed to parse {whose} PEM"
    block = _PEM_BLOCK.search(pem)
    if block is None:
        detail = f"failed to decode PEM block: decoded bytes 0, undecoded {len(pem.encode())}"
        raise CertificateError(summary, detail)
    if block[1] not in _KEY_LABELS:
        detail = f"unable to determine parser for PEM preamble: {block[1]}"
        raise CertificateError(summary, detail)
    try:
        key = serialization.load_pem_private_key(f"{block[0]}\n".encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        detail = f"failed to parse private key given PEM preamble '{block[1]}'"
        raise CertificateError(summary, detail) from error
    if not isinstance(key, PrivateKey):
        detail = "failed to determine key algorithm for private key: unsupported private key type"
        raise CertificateError(summary, detail)
    return key


def _only_block(pem: str, label: str, summary: str) -> bytes:
    block = _PEM_BLOCK.search(pem)
    if block is None:
        detail = f"failed to decode PEM of expected type {go_quote(label)} from bytes"
        raise CertificateError(summary, detail)
    if block[1] != label:
        detail = f"invalid PEM type - expected {go_quote(label)}, got {go_quote(block[1])}"
        raise CertificateError(summary, detail)
    return f"{block[0]}\n".encode()


def _name(oid: ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    kind = _ASN1Type.UTF8String
    if _PRINTABLE.fullmatch(value):
        kind = _ASN1Type.PrintableString
    return x509.NameAttribute(oid, value, kind, _validate=False)


def _subject(subject: Properties) -> x509.Name:
    names = []
    for field, oid in _SUBJECT.items():
        values = subject.get(field) or []
        names += [_name(oid, value) for value in ([values] if isinstance(values, str) else values)]
    if subject.get("emailAddress"):
        email = subject["emailAddress"]
        names.append(x509.NameAttribute(NameOID.EMAIL_ADDRESS, email, _ASN1Type.IA5String))
    return x509.Name(names)


def _ip_address(text: str) -> x509.IPAddress:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise CertificateError("Invalid IP address", f"Failed to parse {go_quote(text)}") from error
    mapped = getattr(address, "ipv4_mapped", None)
    return x509.IPAddress(mapped or address)


def _alternative_names(inputs: Properties) -> x509.SubjectAlternativeName | None:
    names: list[x509.GeneralName] = []
    names += [x509.DNSName(name) for name in inputs.get("dnsNames") or []]
    names += [_ip_address(text) for text in inputs.get("ipAddresses") or []]
    names += [x509.UniformResourceIdentifier(uri) for uri in inputs.get("uris") or []]
    return x509.SubjectAlternativeName(names) if names else None


def _hash_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    curve = key.curve if isinstance(key, ec.EllipticCurvePrivateKey) else None
    if isinstance(curve, ec.SECP384R1):
        return hashes.SHA384()
    return hashes.SHA512() if isinstance(curve, ec.SECP521R1) else hashes.SHA256()


def request(inputs: Properties) -> Properties:
    """Make a certificate request from a CertRequest's plain `inputs`; return its outputs.

    Raises:
        CertificateError: an input is no key, address, name or URI.
    """
    key = load_key(inputs["privateKeyPem"])
    names = _names_of(inputs)
    builder = x509.CertificateSigningRequestBuilder(_subject(inputs.get("subject") or {}))
    if names:
        builder = builder.add_extension(names, critical=False)
    made = builder.sign(key, _hash_for(key))
    der = made.public_bytes(Encoding.DER)
    return {
        "id": hashlib.sha1(der, usedforsecurity=False).hexdigest(),
        "keyAlgorithm": algorithm_of(key),
        "certRequestPem": made.public_bytes(Encoding.PEM).decode(),
    }


def _names_of(inputs: Properties) -> x509.SubjectAlternativeName | None:
    try:
        return _alternative_names(inputs)
    except (ValueError, UnicodeError) as error:
        raise CertificateError("Error creating certificate request", str(error)) from error


@dataclass(frozen=True)
class _Issuer:
    name: x509.Name
    key: PrivateKey
    key_id: bytes | None


def self_signed(inputs: Properties, now: int) -> Properties:
    """Make a certificate from a SelfSignedCert's plain `inputs`; return its outputs.

    `now` is the start of its validity, in nanoseconds since 1970.

    Raises:
        CertificateError: the inputs do not make a certificate.
    """
    key = load_key(inputs["privateKeyPem"])
    subject = _subject(inputs.get("subject") or {})
    names = _names_of(inputs)
    public = key.public_key()
    own_id = _key_id(public) if _has_key_id(inputs) else None
    if inputs.get("setAuthorityKeyId") and own_id is None:
        raise CertificateError(
            "Invalid Certificate Authority", "Could not determine Authority Key Identifier"
        )
    issuer_id = own_id if inputs.get("setAuthorityKeyId") else None
    outputs = _sign(inputs, subject, names, public, _Issuer(subject, key, issuer_id), now)
    return outputs | {"keyAlgorithm": algorithm_of(key)}


def locally_signed(inputs: Properties, now: int) -> Properties:
    """Make a certificate from a LocallySignedCert's plain `inputs`; return its outputs.

    `now` is the start of its validity, in nanoseconds since 1970.

    Raises:
        CertificateError: the inputs do not make a certificate.
    """
    asked = _load_request(inputs["certRequestPem"])
    key = load_key(inputs["caPrivateKeyPem"], "CA private key")
    authority = _load_certificate(inputs["caCertPem"])
    if authority.public_key() != key.public_key():
        raise CertificateError(
            "Failed to create certificate",
            "x509: provided PrivateKey doesn't match parent's PublicKey",
        )
    public = asked.public_key()
    if not isinstance(public, PublicKey):
        raise CertificateError("Failed to create certificate", "x509: unsupported public key type")
    issuer = _Issuer(authority.subject, key, _subject_key_id(authority))
    outputs = _sign(inputs, _known_names(asked.subject), _asked_names(asked), public, issuer, now)
    return outputs | {"caKeyAlgorithm": algorithm_of(key)}


def _load_request(pem: str) -> x509.CertificateSigningRequest:
    summary = "Failed to parse certificate request PEM"
    block = _only_block(pem, "CERTIFICATE REQUEST", summary)
    try:
        return x509.load_pem_x509_csr(block)
    except ValueError as error:
        raise CertificateError(summary, "failed to parse certificate request") from error


def _load_certificate(pem: str) -> x509.Certificate:
    summary = "Failed to parse CA certificate PEM"
    block = _only_block(pem, "CERTIFICATE", summary)
    try:
        return x509.load_pem_x509_certificate(block)
    except ValueError as error:
        raise CertificateError(summary, "failed to parse certificate") from error


def is_authority(pem: str) -> bool:
    """Tell whether the certificate in `pem` may sign others."""
    try:
        found = _load_certificate(pem).extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return found.value.ca


def _known_names(subject: x509.Name) -> x509.Name:
    """Return what Go carries over from a request: the names of `_SUBJECT`, in its order."""
    return x509.Name(
        [
            _name(oid, str(attribute.value))
            for oid in _SUBJECT.values()
            for attribute in subject.get_attributes_for_oid(oid)
        ]
    )


def _asked_names(asked: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        found = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    kinds = (x509.DNSName, x509.RFC822Name, x509.IPAddress, x509.UniformResourceIdentifier)
    ordered = [name for kind in kinds for name in found if isinstance(name, kind)]
    return x509.SubjectAlternativeName(ordered) if ordered else None


def _subject_key_id(certificate: x509.Certificate) -> bytes | None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    return found.value.digest


def _has_key_id(inputs: Properties) -> bool:
    return bool(inputs.get("setSubjectKeyId") or inputs.get("isCaCertificate"))


def _key_id(public: PublicKey) -> bytes:
    """Return the key's identifier: RFC 5280's first method, but the plugin's own for ED25519."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        octet_string = b"\x04\x20" + public.public_bytes_raw()
        return hashlib.sha1(octet_string, usedforsecurity=False).digest()
    return x509.SubjectKeyIdentifier.from_public_key(public).digest


def _sign(
    inputs: Properties,
    subject: x509.Name,
    names: x509.SubjectAlternativeName | None,
    public: PublicKey,
    issuer: _Issuer,
    now: int,
) -> Properties:
    is_authority = bool(inputs.get("isCaCertificate"))
    if is_authority and not list(subject):
        raise CertificateError(
            "Invalid Certificate Subject",
            "Must contain at least one Distinguished Name when creating Certificate Authority (CA)",
        )
    path_length = int(inputs.get("maxPathLength") or 0)
    if path_length > 0 and not is_authority:
        raise CertificateError(
            "Failed to create certificate", "x509: only CAs are allowed to specify MaxPathLen"
        )
    serial = secrets.randbits(128) or 1
    end = now + int(inputs["validityPeriodHours"]) * 3600 * NANOSECONDS
    builder = (
        x509.CertificateBuilder()
        .serial_number(serial)
        .issuer_name(issuer.name)
        .subject_name(subject)
        .public_key(public)
        .not_valid_before(moment(now))
        .not_valid_after(moment(end))
    )
    for extension, critical in _usages(inputs["allowedUses"]):
        builder = builder.add_extension(extension, critical)
    constraints = x509.BasicConstraints(ca=is_authority, path_length=path_length or None)
    builder = builder.add_extension(constraints, critical=True)
    if _has_key_id(inputs):
        builder = builder.add_extension(x509.SubjectKeyIdentifier(_key_id(public)), critical=False)
    if issuer.key_id:
        authority = x509.AuthorityKeyIdentifier(issuer.key_id, None, None)
        builder = builder.add_extension(authority, critical=False)
    if names:
        builder = builder.add_extension(names, critical=not list(subject))
    made = builder.sign(issuer.key, _hash_for(issuer.key))
    return {
        "id": str(serial),
        "certPem": made.public_bytes(Encoding.PEM).decode(),
        "validityStartTime": timestamp(now),
        "validityEndTime": timestamp(end),
    }


def _usages(words: list[str]) -> list[tuple[Any, bool]]:
    """Return the usage extensions for `allowedUses`, each with whether it is critical."""
    extensions: list[tuple[Any, bool]] = []
    asked = {KEY_USAGES[word] for word in words if word in KEY_USAGES}
    if asked:
        flags = {flag: flag in asked for flag in KEY_USAGES.values()}
        try:
            extensions.append((x509.KeyUsage(**flags), True))
        except ValueError as error:
            raise CertificateError("Failed to create certificate", str(error)) from error
    extended = [
        ObjectIdentifier(EXTENDED_KEY_USAGES[word]) for word in words if word in EXTENDED_KEY_USAGES
    ]
    if extended:
        extensions.append((x509.ExtendedKeyUsage(extended), False))
    return extensions
