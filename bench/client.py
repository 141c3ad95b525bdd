"""A small client of etcd's gRPC gateway: client certificate, password, kept connections."""

import base64
import http.client
import json
import ssl
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

TIMEOUT = 2.0
"""Seconds that one request may take."""


class Refused(Exception):  # noqa: N818 - what happened
    """A member did not do what it was asked; `code` is gRPC's, None when it did not answer."""

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.code = code


UNAUTHENTICATED = 16


class Access:
    """What is needed to be let in, shared by all connections: TLS, user, password, token."""

    def __init__(self, urls: Iterable[str], tls: ssl.SSLContext, password: str) -> None:
        """Client URLs, TLS with a client's certificate, and root's password."""
        self.urls = list(urls)
        self.tls = tls
        self.password = password
        self._login = {"name": "root", "password": password}
        self._lock = threading.Lock()
        self.token = ""

    @classmethod
    def of(cls, directory: Path, outputs: Mapping[str, Any]) -> Self:
        """From the outputs of a stack with one cluster, secrets included.

        Certificate files go into `directory`.
        """
        (cluster,) = outputs["client_urls"]
        files = {name: directory / name for name in ("ca_cert", "client_cert", "client_key")}
        for name, file in files.items():
            file.touch(mode=0o600)
            file.write_text(outputs[name][cluster])
        tls = ssl.create_default_context(cafile=str(files["ca_cert"]))
        tls.load_cert_chain(files["client_cert"], files["client_key"])
        urls = outputs["client_urls"][cluster].split(",")
        return cls(urls, tls, outputs["root_password"][cluster])

    def renew(self, stale: str, member: "Member") -> None:
        """Log in at a member, unless another thread has done so since `stale` was current."""
        with self._lock:
            if self.token != stale:
                return
            try:
                answer = member.call("auth/authenticate", self._login, token="")
            except Refused as refusal:
                if "authentication is not enabled" not in str(refusal):
                    raise
            else:
                self.token = str(answer["token"])


class Member:
    """One thread's connection to one member, kept open between requests."""

    def __init__(self, url: str, access: Access) -> None:
        """Nothing is dialled yet."""
        parts = urlsplit(url)
        self._place = (parts.hostname or "", parts.port or 2379)
        self._access = access
        self._connection: http.client.HTTPSConnection | None = None

    def call(self, path: str, body: Mapping[str, Any], token: str | None = None) -> Any:
        """POST to the gateway; the answer. Raises Refused, and dials anew next time."""
        headers = {"Content-Type": "application/json"}
        token = self._access.token if token is None else token
        if token:
            headers["Authorization"] = token
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                *self._place, timeout=TIMEOUT, context=self._access.tls
            )
        try:
            self._connection.request("POST", f"/v3/{path}", json.dumps(body), headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Refused(f"{type(error).__name__}: {error}") from None
        answer = json.loads(content or b"{}")
        if response.status != http.client.OK:
            raise Refused(str(answer.get("message", answer)), answer.get("code"))
        return answer

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def encoded(text: str) -> str:
    """Text as the gateway wants keys and values."""
    return base64.b64encode(text.encode()).decode()


def decoded(text: str) -> str:
    """A key or value of the gateway as text."""
    return base64.b64decode(text).decode()
