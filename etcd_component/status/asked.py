"""What etcd itself says: every member is asked over TLS, as a client of the cluster.

Most of it comes from `/metrics`, which needs neither a login nor a quorum. The list of members and
the alarms need both.
"""

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcd_component.etcd_api import connection
from etcd_component.etcd_api.connection import Connection, ServedCertificate
from etcd_component.etcd_api.errors import (
    AnswerTimeout,
    ApiError,
    AuthNotEnabled,
    CertificateExpired,
    CertificateRefused,
    CertificateUntrusted,
    ConnectionRefused,
    ConnectTimeout,
    UnexpectedAnswer,
    Unreachable,
    WrongPassword,
)
from etcd_component.etcd_api.members import Alarm, Member, parse_alarms, parse_members
from etcd_component.status import access
from etcd_component.status.access import Access
from etcd_component.status.declared import CannotRead, Cluster

SECONDS = 4
"""How long one request may take, with the way to the member, which may go by way of its node."""
_LOGIN_SECONDS = 6
"""How long members are tried until one lets root in."""

_SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? ([-+]?\d[-+.e\d]*)$", re.MULTILINE)

Dial = Callable[[str, int, float], socket.socket]
"""Makes a connection to a host and port in so many seconds; raises Unreachable or OSError."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one member says of itself. Sizes are bytes, times seconds since 1970."""

    error: str = ""
    """Why it says nothing; everything else then is empty, the certificate perhaps not."""
    reached: bool = True
    """Whether something that speaks TLS is there at all."""
    detour: bool = False
    """Whether it was asked by way of its node."""
    certificate: bytes = b""
    """As served, DER."""
    expires: float = 0
    expired: bool = False
    healthy: bool = False
    reason: str = ""
    """Why it is not healthy, in etcd's words."""
    id: int = 0
    """0 where it does not say."""
    version: str = ""
    cluster_version: str = ""
    leads: bool = False
    has_leader: bool = False
    learner: bool = False
    index: int = 0
    """Of the last entry that it knows to be committed."""
    applied: int = 0
    size: int = 0
    in_use: int = 0
    quota: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """What only the cluster as a whole can say. `members` is None when it does not."""

    members: tuple[Member, ...] | None = None
    alarms: tuple[Alarm, ...] = ()
    refusal: str = ""
    """Why there is no list."""
    rbac: bool = True
    access: Access | None = None
    """None where nobody could be asked, and where authentication is off."""


_HEALTH = "/health?exclude=NOSPACE&exclude=CORRUPT"
"""Whether it reads by way of a quorum. With an alarm every member would say that it is not healthy;
alarms are listed apart."""


def client_context(cluster: Cluster, place: Path) -> ssl.SSLContext:
    """TLS as a client of the cluster speaks it; the key is in a file below `place` for a moment."""
    ca, pair = (place / f"{cluster.name}.{end}" for end in ("ca", "pem"))
    ca.write_text(cluster.ca, encoding="ascii")
    pair.touch(0o600)
    pair.write_text(cluster.client_certificate + cluster.client_key, encoding="ascii")
    try:
        return connection.client_context(ca, pair, pair)
    except ssl.SSLError:
        raise CannotRead(
            f"the client certificate of {cluster.name} and its key do not belong together, because"
            " an update was not finished; run `pulumi up`"
        ) from None
    finally:
        pair.unlink()


def ask(
    url: str, tls: ssl.SSLContext, dial: Dial = connection.dial, seconds: float = SECONDS
) -> Answer:
    """Ask one member what it says of itself, by its client URL; each request may take `seconds`."""
    line = Connection(url, tls, dial)
    served: ServedCertificate | None = None
    try:
        served = line.served_certificate(seconds)
        samples = _samples(line.get("/metrics", seconds).decode(errors="replace"))
        version = _object(line, "/version", seconds)
        return _answer(samples, version, _object(line, _HEALTH, seconds), served)
    except Unreachable as error:
        # With TLS 1.3 a member refuses our certificate when we believe to be connected.
        reached = served is not None or isinstance(error, CertificateRefused | CertificateUntrusted)
        return Answer(
            _why(error),
            reached,
            expired=isinstance(error, CertificateExpired),
            certificate=served.der if served else b"",
            expires=served.not_after if served else 0,
        )
    finally:
        line.close()


def _object(line: Connection, path: str, seconds: float) -> Mapping[str, Any]:
    try:
        found = line.get_json(path, seconds)
    except UnexpectedAnswer:
        return {}
    return found if isinstance(found, dict) else {}


def _why(error: ApiError) -> str:
    """What kept a member from answering, in words for a person."""
    if isinstance(error, AnswerTimeout | ConnectTimeout):
        return "no answer"
    if isinstance(error, ConnectionRefused):
        return "nothing listens there"
    if isinstance(error, CertificateRefused):
        return f"it refuses the stack's client certificate: {error.alert}"
    return str(error)


Samples = Mapping[str, tuple[str, float]]
"""Labels and value of each metric that has one line; of others, the last."""


def _samples(text: str) -> Samples:
    return {name: (labels, float(value)) for name, labels, value in _SAMPLE.findall(text)}


def _answer(
    samples: Samples,
    version: Mapping[str, Any],
    health: Mapping[str, Any],
    served: ServedCertificate,
) -> Answer:
    def number(name: str) -> int:
        return int(samples.get(name, ("", 0.0))[1])

    own = re.search(r'server_id="([0-9a-f]+)"', samples.get("etcd_server_id", ("", 0.0))[0])
    return Answer(
        certificate=served.der,
        expires=served.not_after,
        healthy=health.get("health") in {"true", True},
        reason=str(health.get("reason") or ""),
        id=int(own[1], 16) if own else 0,
        version=str(version.get("etcdserver", "")),
        cluster_version=str(version.get("etcdcluster", "")),
        leads=number("etcd_server_is_leader") == 1,
        has_leader=number("etcd_server_has_leader") == 1,
        learner=number("etcd_server_is_learner") == 1,
        index=number("etcd_server_proposals_committed_total"),
        applied=number("etcd_server_proposals_applied_total"),
        size=number("etcd_mvcc_db_total_size_in_bytes"),
        in_use=number("etcd_mvcc_db_total_size_in_use_in_bytes"),
        quota=number("etcd_server_quota_backend_bytes"),
    )


def ask_cluster(
    ways: Iterable[tuple[str, Dial]], tls: ssl.SSLContext, passwords: Sequence[str]
) -> Listing:
    """Log in at the first member that lets root in, and ask for the members and the alarms.

    `ways` are client URLs of members that have a leader and are no learners, since others serve no
    login, and how they are dialled. The first of the passwords that is taken is root's.
    """
    give_up = time.monotonic() + _LOGIN_SECONDS
    refusal = "no voter that follows a leader answers"
    for url, dial in ways:
        line = Connection(url, tls, dial)
        try:
            return _listing(line, passwords)
        except ApiError as error:
            refusal = f"{url} gives no list: {_why(error)}"
        finally:
            line.close()
        if time.monotonic() > give_up:
            break
    return Listing(refusal=refusal)


def _log_in(line: Connection, passwords: Sequence[str]) -> str:
    """The token; empty where authentication is off."""
    password, *others = passwords
    login = {"name": "root", "password": password}
    try:
        token = line.call("auth/authenticate", login, "", SECONDS).get("token")
    except AuthNotEnabled:
        return ""
    except WrongPassword:
        if others:
            return _log_in(line, others)
        raise
    if not token:
        raise UnexpectedAnswer("a login without a token")
    return str(token)


def _listing(line: Connection, passwords: Sequence[str]) -> Listing:
    token = _log_in(line, passwords)

    def call(method: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return line.call(method, body, token, SECONDS)

    return Listing(
        parse_members(call("cluster/member/list", {})),
        parse_alarms(call("maintenance/alarm", {"action": "GET"})),
        rbac=bool(token),
        access=access.listed(call) if token else None,
    )
