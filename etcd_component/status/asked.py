"""What etcd itself says: every member is asked over TLS, as a client of the cluster.

Most of it comes from `/metrics`, which needs neither a login nor a quorum. The list of members and
the alarms need both.
"""

import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from etcd_component.status import access
from etcd_component.status.access import Access
from etcd_component.status.declared import CannotRead, Cluster

SECONDS = 3
"""How long one request may take."""
_LOGIN_SECONDS = 6
"""How long members are tried until one lets root in."""

_SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)
_EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED"""


Dial = Callable[[str, int], socket.socket]
"""Makes a connection to a host and port; raises OSError."""


def direct(host: str, port: int) -> socket.socket:
    """The plain way to a member."""
    return socket.create_connection((host, port), SECONDS)


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
    id: str = ""
    """Decimal."""
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
class Listed:
    """A member as the cluster lists it. Without a name it was never started."""

    id: str
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    learner: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What only the cluster as a whole can say. `members` is None when it does not."""

    members: tuple[Listed, ...] | None = None
    alarms: tuple[tuple[str, str], ...] = ()
    """ID of the member and what is raised, such as NOSPACE."""
    refusal: str = ""
    """Why there is no list."""
    rbac: bool = True
    access: Access | None = None
    """None where nobody could be asked, and where authentication is off."""


class Refused(Exception):  # noqa: N818 - what happened
    """A request was not done; the words are etcd's or the connection's."""


def client_context(cluster: Cluster, place: Path) -> ssl.SSLContext:
    """TLS as a client of the cluster speaks it; the key goes into a file below `place`."""
    context = ssl.create_default_context(cadata=cluster.ca)
    file = place / f"{cluster.name}.pem"
    file.touch(0o600)
    file.write_text(cluster.client_certificate + cluster.client_key, encoding="ascii")
    try:
        context.load_cert_chain(file)
    except ssl.SSLError:
        raise CannotRead(
            f"the client certificate of {cluster.name} and its key do not belong together, because"
            " an update was not finished; run `pulumi up`"
        ) from None
    finally:
        file.unlink()
    return context


@dataclass
class _Line:
    """A connection to one member, kept between requests."""

    url: str
    tls: ssl.SSLContext
    dial: Dial
    _connection: http.client.HTTPConnection | None = field(default=None, init=False)

    def connect(self) -> ssl.SSLSocket:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or http.client.HTTPS_PORT
        plain = self.dial(host, port)
        try:
            served = self.tls.wrap_socket(plain, server_hostname=host)
        except OSError:
            plain.close()
            raise
        self._connection = http.client.HTTPConnection(host, port)
        self._connection.sock = served
        return served

    def request(self, path: str, body: Any = None, token: str = "") -> tuple[int, str]:
        if self._connection is None:
            self.connect()
        assert self._connection is not None
        self._connection.request(
            "GET" if body is None else "POST",
            path,
            None if body is None else json.dumps(body),
            {"Authorization": token} if token else {},
        )
        response = self._connection.getresponse()
        return response.status, response.read().decode(errors="replace")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def ask(url: str, tls: ssl.SSLContext, dial: Dial = direct) -> Answer:
    """Ask one member at its client URL what it is and how it does."""
    line = _Line(url, tls, dial)
    certificate, expires = b"", 0.0
    try:
        served = line.connect()
        certificate = served.getpeercert(binary_form=True) or b""
        expires = _end_of(served)
        samples = _samples(line.request("/metrics")[1])
        version = _decoded(line.request("/version")[1])
        _, text = line.request("/health")
        return _answer(samples, version, _decoded(text), certificate, expires)
    except ssl.SSLCertVerificationError as error:
        expired = error.verify_code == _EXPIRED
        said = "has expired" if expired else f"is not trusted: {error.verify_message}"
        return Answer(f"its certificate {said}", expired=expired)
    except (OSError, http.client.HTTPException) as error:
        reached = bool(certificate) or (isinstance(error, ssl.SSLError) and "ALERT" in str(error))
        return Answer(_why(error), reached, certificate=certificate, expires=expires)
    finally:
        line.close()


def _end_of(served: ssl.SSLSocket) -> float:
    found = served.getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(found["notAfter"])))


def _why(error: Exception) -> str:
    """What kept a member from answering, in words for a person."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        alert = (error.reason or "").rpartition("ALERT_")[2].replace("_", " ").lower()
        return f"it refuses the stack's client certificate: {alert}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


Samples = Mapping[str, tuple[str, float]]
"""Labels and value of each metric that has one line; of others, the last."""


def _samples(text: str) -> Samples:
    return {name: (labels, float(value)) for name, labels, value in _SAMPLE.findall(text)}


def _answer(
    samples: Samples,
    version: Mapping[str, Any],
    health: Mapping[str, Any],
    certificate: bytes,
    expires: float,
) -> Answer:
    def number(name: str) -> int:
        return int(samples.get(name, ("", 0.0))[1])

    own = re.search(r'server_id="([0-9a-f]+)"', samples.get("etcd_server_id", ("", 0.0))[0])
    return Answer(
        certificate=certificate,
        expires=expires,
        healthy=health.get("health") in {"true", True},
        reason=str(health.get("reason") or ""),
        id=str(int(own[1], 16)) if own else "",
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
        line = _Line(url, tls, dial)
        try:
            return _listing(line, passwords)
        except (OSError, http.client.HTTPException) as error:
            refusal = f"{url} gives no list: {_why(error)}"
        except Refused as refused:
            refusal = f"{url} gives no list: {refused}"
        finally:
            line.close()
        if time.monotonic() > give_up:
            break
    return Listing(refusal=refusal)


def _log_in(line: _Line, passwords: Sequence[str]) -> str:
    """The token; empty where authentication is off."""
    password, *others = passwords
    try:
        login = {"name": "root", "password": password}
        return str(_call(line, "auth/authenticate", login)["token"])
    except Refused as refused:
        if "authentication is not enabled" in str(refused):
            return ""
        if "invalid user ID or password" in str(refused) and others:
            return _log_in(line, others)
        raise


def _listing(line: _Line, passwords: Sequence[str]) -> Listing:
    token = _log_in(line, passwords)
    members = _call(line, "cluster/member/list", {}, token).get("members", [])
    alarms = _call(line, "maintenance/alarm", {"action": "GET"}, token).get("alarms", [])
    return Listing(
        tuple(
            Listed(
                str(one["ID"]),
                one.get("name", ""),
                tuple(one.get("peerURLs", [])),
                tuple(one.get("clientURLs", [])),
                bool(one.get("isLearner")),
            )
            for one in members
        ),
        tuple((str(one.get("memberID", "")), str(one.get("alarm", ""))) for one in alarms),
        rbac=bool(token),
        access=access.listed(lambda path, body: _call(line, path, body, token)) if token else None,
    )


def _call(line: _Line, path: str, body: Mapping[str, Any], token: str = "") -> Mapping[str, Any]:
    status, text = line.request(f"/v3/{path}", body, token)
    answer = _decoded(text)
    if status != http.client.OK:
        raise Refused(str(answer.get("message") or answer.get("error") or f"HTTP {status}"))
    return answer


def _decoded(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
