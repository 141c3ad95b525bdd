"""The CA in `etcd_ca_cert`: examined before anything is made, so that no node finds it unfit.

etcd is a Go program, so the rules are those of Go's `crypto/x509`: name constraints, key usage and
path length count for every certificate of a chain, its root included.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

_CERT, _KEY = "etcd_ca_cert", "etcd_ca_key"
_WHOLE = "give the text of the CA's own file, whole"
_RSA_BITS = 2048
_UNFIT = "has a key of a kind or size that etcd's TLS does not take"
_FIT = (
    f"use a CA with an RSA key of {_RSA_BITS} bits or more, one of the curves P-256, P-384 or"
    " P-521, or Ed25519"
)
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_USES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a CA from being used. No part repeats the key."""

    parameter: str
    """`etcd_ca_cert` or `etcd_ca_key`."""
    problem: str
    cure: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What certificates of the cluster are made for."""

    dns_names: Sequence[str]
    ip_addresses: Sequence[str]


@dataclass(frozen=True, slots=True)
class Examined:
    """A CA after its examination."""

    cert: str
    """PEM, the certificate that signs first: what signs takes the first one."""
    problems: tuple[Problem, ...] = ()
    warning: str | None = None


def examine(cert: str, key: str | None, subject: Subject, *, signs: bool) -> Examined:
    """Whether the CA of these PEM texts can be what the cluster needs.

    `cert` may be a chain: the CA that signs, and those above it. Where it does not sign, it is only
    trusted, and `key` does not matter.
    """
    try:
        bundle = x509.load_pem_x509_certificates(cert.encode())
        # A certificate is read when it is looked at.
        for one in bundle:
            _ = one.subject, one.extensions, one.public_key()
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return Examined(cert, (Problem(_CERT, "a certificate in it cannot be read", _WHOLE),))
    except UnsupportedAlgorithm:
        return Examined(cert, (Problem(_CERT, f"a certificate in it {_UNFIT}", _FIT),))
    problems = [one for certificate in bundle for one in _no_authority(certificate)]
    if problems or not signs or key is None:
        return Examined(cert, tuple(problems))
    found = _signer(bundle, key)
    if isinstance(found, Problem):
        return Examined(cert, (found,))
    chain = _chain(found, bundle)
    problems += _bad_key(found)
    for below, certificate in enumerate(chain):
        problems += [
            *_not_valid(certificate),
            *_may_not_sign(certificate, below),
            *_constrained(certificate, subject),
        ]
    ordered = [*chain, *(one for one in bundle if one not in chain)]
    pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in ordered).decode()
    return Examined(pem, tuple(problems), _incomplete(chain[-1]))


def _signer(bundle: Sequence[x509.Certificate], key: str) -> x509.Certificate | Problem:
    """The certificate that the key belongs to."""
    try:
        public = serialization.load_pem_private_key(key.encode(), password=None).public_key()
    except (ValueError, TypeError, AttributeError):
        # Also what is encrypted, or of a kind that is not known.
        cure = "give it in PEM form and without a passphrase, as `openssl pkey -in FILE` prints it"
        return Problem(_KEY, "the key cannot be read", cure)
    except UnsupportedAlgorithm:
        return Problem(_KEY, "the key is of a kind that etcd's TLS does not take", _FIT)
    for one in bundle:
        if one.public_key() == public:
            return one
    who = ", ".join(_name(one) for one in bundle)
    return Problem(
        _KEY,
        f"this key does not belong to the CA in {_CERT} ({who})",
        "give the key and the certificate of one CA",
    )


def _chain(signer: x509.Certificate, bundle: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The CA that signs, and above it who signed the one before, as far as they are there."""
    chain = [signer]
    while not _is_root(chain[-1]):
        above = next(
            (one for one in bundle if one not in chain and _issued(chain[-1], one)),
            None,
        )
        if above is None:
            break
        chain.append(above)
    return chain


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_root(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


# ---- what a certificate says of itself


def _no_authority(certificate: x509.Certificate) -> Iterator[Problem]:
    limits = _extension(certificate, x509.BasicConstraints)
    if limits is None or not limits.ca:
        yield Problem(
            _CERT,
            f"{_name(certificate)} is no CA: its basicConstraints do not say CA:TRUE",
            "give the certificate of a CA; the one of a server or client cannot sign",
        )


def _bad_key(certificate: x509.Certificate) -> Iterator[Problem]:
    key = certificate.public_key()
    if (
        isinstance(key, ed25519.Ed25519PublicKey)
        or (isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_BITS)
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES)
    ):
        return
    yield Problem(_CERT, f"{_name(certificate)} {_UNFIT}", _FIT)


def _not_valid(certificate: x509.Certificate) -> Iterator[Problem]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    now = datetime.now(UTC)
    if now < begin:
        yield Problem(
            _CERT,
            f"{_name(certificate)} is valid from {begin:%Y-%m-%d %H:%M} UTC only, and here it is"
            f" {now:%Y-%m-%d %H:%M}",
            "correct the clock of this machine, or give a CA that is valid now",
        )
    elif now > end:
        yield Problem(
            _CERT,
            f"{_name(certificate)} ended on {end:%Y-%m-%d}",
            "give a CA that is valid now",
        )


def _may_not_sign(certificate: x509.Certificate, below: int) -> Iterator[Problem]:
    """`below`: how many CAs there are between it and the members' certificates."""
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield Problem(
            _CERT,
            f"{_name(certificate)} may not sign certificates: its keyUsage has no keyCertSign",
            "give a CA with keyUsage keyCertSign",
        )
    limits = _extension(certificate, x509.BasicConstraints)
    if limits is not None and limits.path_length is not None and limits.path_length < below:
        yield Problem(
            _CERT,
            f"{_name(certificate)} may have {limits.path_length} CAs below it (pathlen), and has"
            f" {below}",
            "give the key and certificate of a CA that stands higher",
        )
    uses = _extension(certificate, x509.ExtendedKeyUsage)
    if uses is not None and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in uses:
        lacking = [name for oid, name in _USES.items() if oid not in uses]
        if lacking:
            yield Problem(
                _CERT,
                f"{_name(certificate)} may not sign for all that members do: its extendedKeyUsage"
                f" has no {' and no '.join(lacking)}",
                "give a CA without extendedKeyUsage, or with both",
            )


def _constrained(certificate: x509.Certificate, subject: Subject) -> Iterator[Problem]:
    limits = _extension(certificate, x509.NameConstraints)
    if limits is None:
        return
    permitted, excluded = limits.permitted_subtrees or (), limits.excluded_subtrees or ()
    names: list[x509.GeneralName] = [
        *(x509.DNSName(one) for one in subject.dns_names),
        *(x509.IPAddress(ip_address(one)) for one in subject.ip_addresses),
    ]
    refused = [str(one.value) for one in names if not _allowed(one, permitted, excluded)]
    if refused:
        more = f" and {len(refused) - 3} more" if refused[3:] else ""
        yield Problem(
            _CERT,
            f"{_name(certificate)} is constrained to other names (nameConstraints): it may not sign"
            f" for {', '.join(refused[:3])}{more}, which the members' certificates have",
            "give a CA without nameConstraints, or with ones that allow these names",
        )


def _allowed(
    name: x509.GeneralName,
    permitted: Sequence[x509.GeneralName],
    excluded: Sequence[x509.GeneralName],
) -> bool:
    of_kind = [one for one in permitted if isinstance(one, type(name))]
    if any(_matches(name, one) for one in excluded):
        return False
    return not of_kind or any(_matches(name, one) for one in of_kind)


def _matches(name: x509.GeneralName, constraint: x509.GeneralName) -> bool:
    """As RFC 5280, 4.2.1.10, has it; a leading dot means what is below, as Go reads it."""
    if isinstance(name, x509.IPAddress) and isinstance(constraint, x509.IPAddress):
        network = constraint.value
        return isinstance(network, IPv4Network | IPv6Network) and name.value in network
    if isinstance(name, x509.DNSName) and isinstance(constraint, x509.DNSName):
        host, above = name.value.lower(), constraint.value.lower()
        if not above or (host == above and not above.startswith(".")):
            return True
        return host.endswith(f".{above.lstrip('.')}")
    return False


def _incomplete(top: x509.Certificate) -> str | None:
    if _is_root(top):
        return None
    return (
        f"etcd_ca_cert ends with {_name(top)}, an intermediate CA. Members and etcdctl take that;"
        " programs with OpenSSL, such as Patroni and curl, want its root too: append the"
        f" certificate of {_common(top.issuer)}"
    )


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _name(certificate: x509.Certificate) -> str:
    return _common(certificate.subject)


def _common(name: x509.Name) -> str:
    return repr(name.rfc4514_string())
