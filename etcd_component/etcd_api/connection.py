"""One member's HTTP server, over TLS, with a connection that is kept between requests."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from etcd_component.etcd_api.errors import (
    AnswerTimeout,
    ApiError,
    CertificateExpired,
    CertificateRefused,
    CertificateUntrusted,
    ConnectionLost,
    ConnectionRefused,
    ConnectTimeout,
    HandshakeFailed,
    UnexpectedAnswer,
    Unreachable,
    etcd_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

CONNECT_SECONDS = 2.0
"""How long one address may take to accept a connection."""
ANSWER_SECONDS = 10.0
"""How long an answer may take, unless the caller says otherwise."""
_LIMIT, _PIECE = 64 * 1024 * 1024, 64 * 1024
"""Bytes of an answer at most, and at once: Python 3.9 sets memory aside before they are there."""
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


def client_context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS as a member or a client of the cluster speaks it. Raises OSError, ssl.SSLError.

    Like Go, and unlike Python's own default, it takes any certificate of the bundle for a root, and
    does not refuse CAs for what RFC 5280 wants besides.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000)
    context.load_verify_locations(cafile=str(ca))
    context.load_cert_chain(str(certificate), str(key))
    return context


def dial(host: str, port: int, seconds: float = CONNECT_SECONDS) -> socket.socket:
    """A TCP connection to the first address of the host that accepts one. Raises Unreachable.

    ConnectionRefused only when every address refuses: a host that is away, or a firewall that
    drops, must not count as a machine on which nothing runs.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unreachable(f"{host} cannot be resolved: {reason}") from None
    errors: list[OSError] = []
    for family, kind, protocol, _, address in addresses:
        plain = None
        try:  # It fails where the machine has no addresses of that kind.
            plain = socket.socket(family, kind, protocol)
            plain.settimeout(seconds)
            plain.connect(address)
        except OSError as error:
            if plain is not None:
                plain.close()
            errors.append(error)
        else:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return plain
    others = [error for error in errors if not isinstance(error, ConnectionRefusedError)]
    if not others:
        raise ConnectionRefused("connection refused")
    if isinstance(others[0], (TimeoutError, socket.timeout)):
        raise ConnectTimeout(f"no connection within {seconds:g} s")
    raise Unreachable((others[0].strerror or str(others[0])).lower())


@dataclass(frozen=True)
class ServedCertificate:
    """The certificate of a server."""

    der: bytes
    not_after: float
    """Seconds since 1970."""


@dataclass
class Connection:
    """One thread's way to one member. It dials when it must, and again when it was cut off."""

    url: str
    tls: ssl.SSLContext
    dial: Callable[[str, int, float], socket.socket] = dial
    _http: http.client.HTTPConnection | None = field(default=None, init=False, repr=False)

    def get(self, path: str, seconds: float = ANSWER_SECONDS) -> bytes:
        """The body of a GET, whatever its status. Raises Unreachable."""
        return self._request("GET", path, None, {}, seconds)[1]

    def get_json(self, path: str, seconds: float = ANSWER_SECONDS) -> Any:
        """The JSON of a GET. Raises Unreachable, UnexpectedAnswer."""
        return decoded(self.get(path, seconds))

    def call(
        self,
        method: str,
        body: Mapping[str, Any],
        token: str = "",
        seconds: float = ANSWER_SECONDS,
    ) -> dict[str, Any]:
        """One call of the gateway, such as `cluster/member/list`; its answer. Raises ApiError."""
        content = json.dumps(body).encode()
        status, text = self._request("POST", f"/v3/{method}", content, headers(token), seconds)
        answer = decoded(text)
        if not isinstance(answer, dict):
            raise UnexpectedAnswer(shortened(text))
        if status != http.client.OK or "error" in answer:
            raise etcd_error(
                str(answer.get("message") or answer.get("error") or f"HTTP status {status}"),
                answer.get("code"),
            )
        return answer

    def stream(
        self, method: str, body: Mapping[str, Any], token: str, seconds: float
    ) -> Iterator[dict[str, Any]]:
        """The records of a call that streams, each as it comes; at most `seconds` between two.

        Raises ApiError. The connection is closed behind it.
        """
        self.close()
        try:
            line = self._connect(seconds)
            line.request("POST", f"/v3/{method}", json.dumps(body).encode(), headers(token))
            for record in line.getresponse():
                answer = decoded(record)
                if not isinstance(answer, dict) or not isinstance(answer.get("result"), dict):
                    raise _refusal(answer, record)
                yield answer["result"]
        except (OSError, http.client.HTTPException) as error:
            raise _reason(error, connected=True) from None
        finally:
            self.close()

    def served_certificate(self, seconds: float = ANSWER_SECONDS) -> ServedCertificate:
        """The server's certificate, of a connection that stands; dials if none does.

        Raises Unreachable.
        """
        served = (self._kept or self._connect(seconds)).sock
        assert isinstance(served, ssl.SSLSocket)
        der = served.getpeercert(binary_form=True) or b""
        end = str((served.getpeercert() or {})["notAfter"])
        return ServedCertificate(der, float(ssl.cert_time_to_seconds(end)))

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._http is not None:
            self._http.close()
            self._http = None

    @property
    def _kept(self) -> http.client.HTTPConnection | None:
        """The connection, if one stands. A server may have said that it closes it."""
        return self._http if self._http and self._http.sock else None

    def _request(
        self, verb: str, path: str, body: bytes | None, header: dict[str, str], seconds: float
    ) -> tuple[int, bytes]:
        kept = self._kept is not None
        try:
            return self._once(verb, path, body, header, seconds)
        except ConnectionLost:
            # It was idle, or it was at work and is asked twice: then nothing is left to be done.
            if not kept:
                raise
            return self._once(verb, path, body, header, seconds)

    def _once(
        self, verb: str, path: str, body: bytes | None, header: dict[str, str], seconds: float
    ) -> tuple[int, bytes]:
        end = time.monotonic() + seconds
        line = self._kept or self._connect(seconds)
        try:
            line.sock.settimeout(max(end - time.monotonic(), 0.1))
            line.request(verb, path, body, header)
            content = _whole(response := line.getresponse())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _reason(error, connected=True) from None
        return response.status, content

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        host, port = _host_and_port(self.url)
        try:
            plain = self.dial(host, port, min(seconds, CONNECT_SECONDS))
        except OSError as error:
            raise _reason(error, connected=False) from None
        plain.settimeout(seconds)
        try:
            served = self.tls.wrap_socket(plain, server_hostname=host)
        except OSError as error:
            plain.close()
            raise _reason(error, connected=True) from None
        line = http.client.HTTPConnection(host, port)
        line.sock = served
        self._http = line
        return line


def _whole(response: http.client.HTTPResponse) -> bytes:
    """All of an answer. Raises HTTPException for a part of one, OSError where it is too long."""
    content = bytearray()
    while piece := response.read(_PIECE):
        content += piece
        if len(content) > _LIMIT:
            raise OSError(errno.EMSGSIZE, f"it answers more than {_LIMIT} bytes")
    if response.length:
        raise http.client.IncompleteRead(bytes(content), response.length)
    return bytes(content)


def _host_and_port(url: str) -> tuple[str, int]:
    """Raises Unreachable: configurations are edited by hand."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or http.client.HTTPS_PORT
        is_host = bool(host.encode("idna"))  # as the resolver and TLS read it
    except ValueError:
        is_host = False
    if not is_host:
        raise Unreachable(f"`{shortened(url.encode())}` is no URL")
    return host, port


def headers(token: str) -> dict[str, str]:
    """Of a call of the gateway."""
    login = {"Authorization": token} if token else {}
    return {"Content-Type": "application/json", **login}


def decoded(text: bytes) -> Any:
    """JSON of an answer. Raises UnexpectedAnswer."""
    try:
        return json.loads(text)
    except ValueError:
        raise UnexpectedAnswer(shortened(text)) from None


def _refusal(answer: Any, record: bytes) -> ApiError:
    """What a stream says in the place of a record: an error, inside of it or by itself."""
    words = answer.get("error", answer) if isinstance(answer, dict) else None
    message = words.get("message") if isinstance(words, dict) else words
    if not message:
        return UnexpectedAnswer(shortened(record))
    return etcd_error(str(message), answer.get("code"))


def shortened(text: bytes) -> str:
    """The beginning of whatever was answered, on one line."""
    return " ".join(text[:600].decode(errors="replace").split())[:200] or "nothing"


def _reason(error: Exception, *, connected: bool) -> ApiError:
    if isinstance(error, (TimeoutError, socket.timeout)):
        return AnswerTimeout("no answer in time") if connected else ConnectTimeout("no connection")
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return CertificateExpired("its certificate has expired")
        return CertificateUntrusted(f"its certificate is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return _tls_reason(error)
    if isinstance(error, ConnectionRefusedError):
        return ConnectionRefused("connection refused")
    if isinstance(error, (ConnectionError, http.client.IncompleteRead)):
        return ConnectionLost("the connection was closed before an answer came")
    if isinstance(error, OSError):
        return Unreachable((error.strerror or str(error)).lower())
    return ConnectionLost(str(error) or type(error).__name__)


def _tls_reason(error: ssl.SSLError) -> ApiError:
    reason = error.reason or ""
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return ConnectionLost("the connection was closed before an answer came")
    if "ALERT" in reason:
        return CertificateRefused(reason.rpartition("ALERT_")[2].replace("_", " ").lower())
    return HandshakeFailed(f"TLS failed: {reason.replace('_', ' ').lower() or error}")
