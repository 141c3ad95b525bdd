"""Warnings of certificates that end soon, and that the update at hand does not renew."""

import ssl
from datetime import UTC, datetime, timedelta

import pulumi

SOON = timedelta(days=30)


def tell(what: str, end: pulumi.Output[str], cure: str) -> None:
    """Warn of a certificate that is in the state, by its end (RFC 3339).

    The end of one that is being made or renewed is not known in a preview, so nothing is said.
    """
    end.apply(lambda known: _tell(what, datetime.fromisoformat(known), cure) if known else None)


def tell_pem(what: str, pem: str, cure: str) -> None:
    """Warn of a CA of which only the PEM is there; text that cannot be read is passed over."""
    try:
        known = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        known.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return
    for found in known.get_ca_certs():
        end = ssl.cert_time_to_seconds(str(found["notAfter"]))
        _tell(what, datetime.fromtimestamp(end, UTC), cure)


def now() -> datetime:
    """The clock, which tests set."""
    return datetime.now(UTC)


def _tell(what: str, end: datetime, cure: str) -> None:
    left = end - now()
    if left > SOON:
        return
    date = f"{end:%Y-%m-%d}"
    when = f"ended on {date}" if left < timedelta() else f"ends on {date}, in {left.days} days"
    pulumi.warn(f"{what} {when}, and this update does not renew it: {cure}")
