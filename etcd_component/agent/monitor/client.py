"""Asking the monitor's own servers. The password is on nobody's command line."""

from __future__ import annotations

import base64
import http.client
import ssl
from urllib.parse import urlsplit

from etcd_component.agent import files
from etcd_component.agent.monitor.places import CONFIGURATION

_CA = CONFIGURATION / "tls/ca.crt"
_PASSWORD = CONFIGURATION / "login/password"
_USER = "monitor"
_SECONDS = 10


class NoAnswer(Exception):
    """A server does not give what it is asked for, and why."""


def get(url: str) -> str:
    """What it answers, whatever proxy the machine has. Raises NoAnswer."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    try:
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=_SECONDS, context=_context()
            )
            login = _login()
        else:
            # Nobody shows who it is, and nothing that needs the password is there.
            connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
            login = {}
        try:
            connection.request("GET", parts.path, headers=login)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{url}: {error}") from None
    if answer.status != http.client.OK:
        raise NoAnswer(f"{url} answers with status {answer.status}")
    return text


def answers(url: str) -> bool:
    """Whether it answers."""
    try:
        get(url)
    except NoAnswer:
        return False
    return True


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if files.has_content(_CA):
        context.load_verify_locations(cafile=str(_CA))
    else:
        context.load_default_certs()
    return context


def _login() -> dict[str, str]:
    if not files.has_content(_PASSWORD):
        return {}
    login = f"{_USER}:{files.read_text(_PASSWORD).strip()}"
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
