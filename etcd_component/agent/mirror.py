"""A mirror's HTTP server: its address with a login perhaps, its redirects, its errors."""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from http.client import HTTPMessage
    from typing import IO

_PASSING = {408, 429, 500, 502, 503, 504}
"""HTTP statuses of a mirror that may answer a moment later."""
_SCHEMES = ("https", "http", "file")


class DownloadFailed(Exception):
    """The file was not fetched. The text is the reason, without logins."""


class Passing(DownloadFailed):
    """The same, and another attempt may succeed."""


@dataclass(frozen=True)
class Address:
    """Where a file is, with a login apart from it."""

    url: str
    shown: str
    """For messages: without a login, and without a query, which may have a signature."""
    login: str = field(default="", repr=False)
    """`user:password`; empty without one."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises DownloadFailed for what is no URL."""
        try:
            parts = urlsplit(text)
            if parts.scheme not in _SCHEMES or not (parts.hostname or parts.scheme == "file"):
                raise ValueError
            _ = parts.port
        except ValueError:
            raise DownloadFailed("it is no URL that begins with https, http or file") from None
        login, _, host = parts.netloc.rpartition("@")
        bare = parts._replace(netloc=host)
        query = "?..." if parts.query else ""
        shown = urlunsplit(bare._replace(query="", fragment="")) + query
        return cls(urlunsplit(bare._replace(fragment="")), shown, unquote(login))

    @property
    def authorization(self) -> str:
        """The value of the HTTP header; empty without a login."""
        if not self.login:
            return ""
        return f"Basic {base64.b64encode(self.login.encode()).decode()}"


def opened(address: Address, connect: float, answer: float) -> http.client.HTTPResponse:
    """The answer, of which the body is still to be read. Raises OSError, ValueError, HTTPException.

    `connect` and `answer` are seconds: for a connection, and between two pieces of what comes. No
    proxy is used: a run has nothing of its caller's environment, and must not depend on who calls.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        _Http(connect, answer),
        _Redirects(address),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(address.url, headers={"User-Agent": "etcd-node"})  # noqa: S310
    if address.login:
        request.add_unredirected_header("Authorization", address.authorization)
    response = opener.open(request)
    assert isinstance(response, http.client.HTTPResponse)
    return response


def _context() -> ssl.SSLContext:
    """Trusts whom the machine trusts, as curl does: CAs without what RFC 5280 wants, too."""
    context = ssl.create_default_context()
    context.verify_flags |= getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class _Http(urllib.request.HTTPSHandler):
    """Connections that have their own time to be made."""

    def __init__(self, connect: float, answer: float) -> None:
        super().__init__()
        self._connect_seconds = connect
        self._answer_seconds = answer

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._made(http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        kind = self._made(http.client.HTTPSConnection)
        return self.do_open(kind, request, context=_context())

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def _made(self, kind: type[http.client.HTTPConnection]) -> Any:
        def make(host: str, **given: Any) -> http.client.HTTPConnection:
            connection = kind(host, **{**given, "timeout": self._connect_seconds})
            connect = connection.connect

            def connect_and_be_patient() -> None:
                connect()
                connection.sock.settimeout(self._answer_seconds)

            connection.connect = connect_and_be_patient  # type: ignore[method-assign]
            return connection

        return make


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Followed, but not out of TLS, and the login goes to the mirror alone."""

    max_redirections = 5

    def __init__(self, address: Address) -> None:
        self._address = address

    def http_error_308(self, *answer: Any) -> Any:
        """As 307; Python knows it since 3.11."""
        return self.http_error_302(*answer)

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request that follows."""
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise DownloadFailed("the mirror leads from https to a place without, not followed")
        code = (
            http.HTTPStatus.TEMPORARY_REDIRECT
            if code == http.HTTPStatus.PERMANENT_REDIRECT
            else code
        )
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following and self._address.login and _origin(newurl) == _origin(self._address.url):
            following.add_unredirected_header("Authorization", self._address.authorization)
        return following


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def may_pass(error: Exception) -> bool:
    """Whether another attempt may succeed: it is away, or busy."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _PASSING
    if isinstance(error, urllib.error.URLError):
        return isinstance(error.reason, Exception) and may_pass(error.reason)
    return isinstance(error, OSError) and not isinstance(error, ssl.SSLCertVerificationError)


def reason(error: object) -> str:
    """For a person. The standard library's own text may have the URL in it."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the mirror answers {error.code} {error.reason}".rstrip()
    if isinstance(error, urllib.error.URLError):
        return reason(error.reason)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the mirror's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'no reason').replace('_', ' ').lower()}"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return f"the mirror's answer cannot be read ({type(error).__name__})"
