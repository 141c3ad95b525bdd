"""Talking to members without a login: what their peer ports and metrics say."""

from __future__ import annotations

import re
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.etcd_api.connection import ANSWER_SECONDS, Connection, client_context, shortened
from etcd_component.etcd_api.errors import (
    ApiError,
    ConnectionLost,
    ConnectionRefused,
    HandshakeFailed,
    Unreachable,
)
from etcd_component.etcd_api.members import Member, Versions, parse_members, parse_versions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMED, FORMING, NOT_RUNNING, UNREACHABLE = "formed", "forming", "not-running", "unreachable"
SHORT = 3.0
"""Seconds for one that may be away."""


@dataclass(frozen=True)
class PeerState:
    """What a peer says on its peer port, which answers without a login and without a quorum."""

    kind: str
    """formed, forming, not-running or unreachable."""
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.reason})" if self.reason else self.kind


class Client:
    """Connections to members, kept for as long as the run takes."""

    def __init__(self, pki: Path, seconds: float = ANSWER_SECONDS) -> None:
        """`pki` holds ca.crt, server.crt and server.key; `seconds` an answer may usually take."""
        self._pki = pki
        self._seconds = seconds
        self._context: ssl.SSLContext | None = None
        self._connections: dict[str, Connection] = {}

    def connection(self, url: str) -> Connection:
        """The one to that URL. Raises HandshakeFailed where the own certificate cannot be used."""
        if url not in self._connections:
            self._connections[url] = Connection(url, self._tls())
        return self._connections[url]

    def fault(self) -> str:
        """Why nobody can be asked: the certificate cannot be used; empty when it can."""
        try:
            self._tls()
        except HandshakeFailed as error:
            return str(error)
        return ""

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            names = ("ca.crt", "server.crt", "server.key")
            try:
                self._context = client_context(*(self._pki / name for name in names))
            except (OSError, ssl.SSLError) as error:
                # What asks the members may be what comes before it is put right.
                raise HandshakeFailed(
                    f"the member's certificate in {self._pki} cannot be used"
                    f" ({error.strerror or error}); a raised etcd_repair puts it back"
                ) from None
        return self._context

    def text(self, url: str, path: str, seconds: float | None = None) -> str:
        """What a GET answers. Raises Unreachable."""
        content = self.connection(url).get(path, seconds or self._seconds)
        return content.decode(errors="replace")

    def members(self, peer_url: str, seconds: float | None = None) -> tuple[Member, ...]:
        """The members as a peer port lists them. Raises ApiError."""
        answer = self.connection(peer_url).get_json("/members", seconds or self._seconds)
        return parse_members(answer)

    def members_or_none(self, peer_url: str, seconds: float = SHORT) -> tuple[Member, ...] | None:
        """The same; None where it does not answer."""
        try:
            return self.members(peer_url, seconds)
        except ApiError:
            return None

    def versions(self, url: str, seconds: float = SHORT) -> Versions:
        """What `/version` says, on either port. Raises ApiError."""
        return parse_versions(self.connection(url).get_json("/version", seconds))

    def versions_or_none(self, url: str, seconds: float = SHORT) -> Versions | None:
        """The same; None where it does not answer."""
        try:
            return self.versions(url, seconds)
        except ApiError:
            return None

    def is_ready(self, client_url: str, exclude: Iterable[str] = ()) -> bool:
        """Etcd's own opinion, which includes a read that the quorum confirms."""
        query = "&".join(f"exclude={name}" for name in exclude)
        try:
            return self.text(client_url, f"/readyz?{query}" if query else "/readyz").startswith(
                "ok"
            )
        except ApiError:
            return False

    def takes_part(self, client_url: str) -> bool:
        """Whether it is in a quorum, and has applied what the leader has.

        That a learner is one is no fault of it, and the alarm CORRUPT is raised for all members
        until the one that is corrupt has been replaced.
        """
        return self.is_ready(client_url, ("non_learner", "data_corruption"))

    def metrics(self, client_url: str, seconds: float | None = None) -> str:
        """All metrics, as text; empty where it does not answer."""
        try:
            return self.text(client_url, "/metrics", seconds)
        except ApiError:
            return ""

    def metric(self, client_url: str, name: str) -> float | None:
        """One that has no labels; None where it is not said."""
        found = re.search(rf"^{name} (\S+)$", self.metrics(client_url), re.MULTILINE)
        return float(found[1]) if found else None

    def has_leader(self, client_url: str) -> bool:
        """Whether it knows a leader, also where an alarm stops its reads."""
        return "\netcd_server_has_leader 1\n" in self.metrics(client_url, SHORT)

    def is_leader(self, client_url: str) -> bool:
        """Whether it is the leader, in its own opinion."""
        return "\netcd_server_is_leader 1\n" in self.metrics(client_url, 2)

    def probe(self, peer_url: str) -> PeerState:
        """What a peer is. One that begins to listen between two looks is asked again."""
        state = PeerState(UNREACHABLE)
        for pause in (0.3, 0.3, 0):
            try:
                content = self.connection(peer_url).get("/version", SHORT)
            except ConnectionRefused:
                return PeerState(NOT_RUNNING)
            except HandshakeFailed as error:
                return PeerState(UNREACHABLE, str(error))
            except ConnectionLost as error:
                state = PeerState(UNREACHABLE, str(error))
                time.sleep(pause)
                continue
            except Unreachable as error:
                return PeerState(UNREACHABLE, str(error))
            return _state_of(content)
        return state


def _state_of(content: bytes) -> PeerState:
    found = re.search(rb'"etcdcluster":"([^"]*)"', content)
    if found and found[1] == b"not_decided":
        return PeerState(FORMING)
    if found and found[1][:1].isdigit():
        return PeerState(FORMED)
    return PeerState(UNREACHABLE, f"it answered: {shortened(content)}")
