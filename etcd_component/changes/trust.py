"""CAs, certificates and the keys of tokens: what is made anew, and who is trusted from then on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from etcd_component import rotation
from etcd_component.changes.recorded import (
    AUTHORITIES,
    AUTHORITY,
    CERTIFICATE,
    KEY,
    of_first_voter,
    options,
    output,
)
from etcd_component.changes.words import listed
from etcd_component.model import GIVEN, Authority, Cluster
from etcd_component.previous import STASH, Previous


@dataclass(frozen=True, slots=True)
class Trusted:
    """What members take for proof, as far as it is known before an update."""

    bundle: str | None
    """PEM of all CAs; None where one of them is yet to be made."""
    token_key: str | None
    """The public one; empty where tokens are not signed, None where it is yet to be made."""
    differs: tuple[str, ...] = ()
    """What of it is another than before, in words."""


def trusted(previous: Previous, cluster: Cluster) -> Trusted:
    """What the members of a cluster are to trust."""
    pems = [authority_pem(previous, cluster, one) for one in cluster.settings.authorities]
    bundle = "".join(pem if pem.endswith("\n") else f"{pem}\n" for pem in pems)
    key = output(previous, KEY, _token_name(cluster), "publicKeyPem")
    signs = cluster.settings.auth_token == "jwt"  # noqa: S105 - the name of a kind
    known = bundle if all(pems) else None
    before = output(previous, AUTHORITIES, cluster.name, "bundle")
    # A file of the same CA may have another certificate behind the first.
    is_another = bool(known and before) and known != before
    differs = [
        *(["CA bundle"] if is_another or [*authorities(previous, cluster)] else []),
        *(["token keys"] if token_keys(previous, cluster) else []),
    ]
    return Trusted(known, (key or None) if signs else "", tuple(differs))


def authority_pem(previous: Previous, cluster: Cluster, authority: Authority) -> str:
    """The certificate of a CA; empty where it is yet to be made."""
    if authority == GIVEN:
        return cluster.settings.ca_cert or ""
    return output(previous, AUTHORITY, _authority_name(cluster.name, authority), "certPem")


def _authority_name(cluster: str, number: int) -> str:
    return f"{cluster}-ca" + (f"-{number}" if number > 1 else "")


def _token_name(cluster: Cluster) -> str:
    generation = cluster.settings.auth_token_generation
    return f"{cluster.name}-token" + (f"-{generation}" if generation > 1 else "")


def authorities(previous: Previous, cluster: Cluster) -> Iterator[str]:
    """Which CAs come and go, a sentence for each kind."""
    settings = cluster.settings
    before = _authorities_before(previous, cluster.name)
    now = {rotation.label(one, settings): _named(one) for one in settings.authorities}
    come = [name for label, name in now.items() if label not in before]
    gone = [name for label, name in before.items() if label not in now]
    if come:
        verb = "become" if come[1:] else "becomes"
        yield f"{listed(come)} {verb} trusted by members and clients"
    if gone:
        yield f"{listed(gone)} {'are' if gone[1:] else 'is'} no longer trusted"


def _named(authority: Authority) -> str:
    return "the CA of etcd_ca_cert" if authority == GIVEN else f"CA {authority}"


def _authorities_before(previous: Previous, cluster: str) -> dict[str, str]:
    """The CAs that were trusted, by their label: see `rotation.label`."""
    own = re.compile(rf"{re.escape(cluster)}-ca(?:-(\d+))?")
    numbers = [
        found[1] or "1"
        for kind, name in previous.outputs
        if kind == AUTHORITY and (found := own.fullmatch(name))
    ]
    noted = re.compile(
        rf"{re.escape(cluster)}-ca-(?:\S*-)?(given-[0-9a-f]{{8}})-\S*(?:signs|trusted)"
    )
    given = [
        found[1]
        for kind, name in previous.outputs
        if kind == STASH and (found := noted.fullmatch(name))
    ]
    return {one: _named(int(one)) for one in numbers} | {one: _named(GIVEN) for one in given}


def certificates(previous: Previous, cluster: Cluster, now: datetime) -> Iterator[str]:
    """Which certificates are made anew, and why; each reason is a sentence."""
    settings = cluster.settings
    generation = settings.cert_generation
    clients = {one.name: f"{cluster.name}:{one.name}" for one in settings.clients}
    former = {
        holder: name
        for holder, name in {
            **{one.name: one.name for one in cluster.instances if not one.lost},
            "make etcdctl": f"{cluster.name}-client",
            "monitoring": f"{cluster.name}-monitoring",
            **{f"client {client}": name for client, name in clients.items()},
        }.items()
        if (CERTIFICATE, name) in previous.outputs
    }
    suffix = f"-g{generation}" if generation > 1 else ""
    own = {clients[one.name]: one.cert_generation for one in settings.clients}
    signer = authority_pem(previous, cluster, settings.signer)
    reasons: dict[str, list[str]] = {}
    for holder, name in former.items():
        number = own.get(name, 1)
        key = name + (f":{number}" if number > 1 else "") + suffix
        signed_by = output(previous, CERTIFICATE, name, "caCertPem")
        if (KEY, key) not in previous.outputs:
            reason = "made anew, with new keys"
        elif signed_by and signed_by != signer:
            reason = f"issued anew by {_named(settings.signer)}"
        elif _hours(previous, name) not in (None, settings.cert_days * 24):
            reason = f"issued anew, valid for {settings.cert_days} days"
        elif _is_due(previous, name, settings.cert_renew_days, now):
            reason = f"renewed, less than {settings.cert_renew_days} days before their end"
        else:
            continue
        reasons.setdefault(reason, []).append(holder)
    for reason, holders in reasons.items():
        whose = (
            "all certificates" if holders == [*former] else f"the certificates of {listed(holders)}"
        )
        yield f"{whose} are {reason} (no restart for that)"


def _hours(previous: Previous, name: str) -> float | None:
    """For how long a certificate was issued; None if that is not known."""
    hours = previous.outputs[CERTIFICATE, name].get("validityPeriodHours")
    return hours if isinstance(hours, int | float) else None


def _is_due(previous: Previous, name: str, days: int, now: datetime) -> bool:
    end = output(previous, CERTIFICATE, name, "validityEndTime")
    try:
        return bool(end) and datetime.fromisoformat(end) - timedelta(days=days) <= now
    except (ValueError, TypeError):
        return False


def revocations(previous: Previous, cluster: Cluster) -> Iterator[str]:
    """Which certificates are refused from then on, or no more."""
    wanted = [
        f"{one.name}:{number}" for one in cluster.settings.clients for number in one.revoked
    ] + list(cluster.settings.revoked)
    first = of_first_voter(previous, cluster, "tls")
    if first is None:
        return
    listed_before = options(first).get("--revoked", ())
    before = {one.partition("=")[0] for one in listed_before}
    for words, verb in (
        ([one for one in wanted if one not in before], "refused"),
        (sorted(before - {*wanted}), "no longer refused as revoked"),
    ):
        if words:
            yield f"certificates {listed(words)} are {verb}"


def token_keys(previous: Previous, cluster: Cluster) -> bool:
    """Whether the keys are made anew that sign tokens."""
    own = re.compile(rf"{re.escape(cluster.name)}-token(-\d+)?")
    before = {name for kind, name in previous.outputs if kind == KEY and own.fullmatch(name)}
    signs = cluster.settings.auth_token == "jwt"  # noqa: S105 - the name of a kind
    return signs and bool(before) and _token_name(cluster) not in before
