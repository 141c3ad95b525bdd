"""Logins that threads share, and their connections to members."""

import base64
import ssl
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from etcd_component.etcd_api.connection import Connection, client_context
from etcd_component.etcd_api.errors import AuthNotEnabled

TIMEOUT = 2.0
"""Seconds that one request may take."""


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
        tls = client_context(files["ca_cert"], files["client_cert"], files["client_key"])
        urls = outputs["client_urls"][cluster].split(",")
        return cls(urls, tls, outputs["root_password"][cluster])

    def renew(self, stale: str, member: "Member") -> None:
        """Log in at a member, unless another thread has done so since `stale` was current.

        Raises ApiError.
        """
        with self._lock:
            if self.token != stale:
                return
            try:
                answer = member.call("auth/authenticate", self._login, token="")
            except AuthNotEnabled:
                return
            self.token = str(answer["token"])


class Member:
    """One thread's connection to one member, kept open between requests."""

    def __init__(self, url: str, access: Access) -> None:
        """Nothing is dialled yet."""
        self._access = access
        self._connection = Connection(url, access.tls)

    def call(self, method: str, body: Mapping[str, Any], token: str | None = None) -> Any:
        """One call of the gateway; its answer. Raises ApiError, and dials anew next time."""
        token = self._access.token if token is None else token
        return self._connection.call(method, body, token, TIMEOUT)

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._connection.close()


def encoded(text: str) -> str:
    """Text as the gateway wants keys and values."""
    return base64.b64encode(text.encode()).decode()


def decoded(text: str) -> str:
    """A key or value of the gateway as text."""
    return base64.b64decode(text).decode()
