"""The list of revoked certificates (CRL) that members look at for each connection.

Pure: the same CA and the same serials give the same bytes, so an update that changes nothing
changes no file. etcd reads DER in every version (PEM only in 3.5), and looks at the serials alone:
not at the signature, not at the issuer, not at the dates.
"""

from collections.abc import Iterable


def signed(ca_cert: str, ca_key: str, serials: Iterable[int]) -> bytes:
    """A list of these serials, DER, signed by the CA (both PEM). It is valid as long as the CA."""
    # A tenth of a second, so only when there is a CA: not in the preview of a new cluster.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    issuer = x509.load_pem_x509_certificates(ca_cert.encode())[0]
    key = serialization.load_pem_private_key(ca_key.encode(), password=None)
    begun = issuer.not_valid_before_utc
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(begun)
        .next_update(issuer.not_valid_after_utc)
    )
    for serial in sorted(set(serials)):
        # When it was revoked is not known to who makes the list anew each time.
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(begun)
        builder = builder.add_revoked_certificate(revoked.build())
    hashed = isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    listed = builder.sign(
        key,  # type: ignore[arg-type]
        hashes.SHA256() if hashed else None,
        ecdsa_deterministic=True if isinstance(key, ec.EllipticCurvePrivateKey) else None,
    )
    return listed.public_bytes(serialization.Encoding.DER)
