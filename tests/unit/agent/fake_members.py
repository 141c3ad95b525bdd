"""Members that say what a test has them say; where it has them say nothing, none answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from etcd_component.etcd_api.errors import ApiError, ConnectionRefused
from etcd_component.etcd_api.members import Alarm, Member, MemberStatus, Versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_Answer = TypeVar("_Answer")


@dataclass
class FakeMembers:
    """In the place of a Client."""

    lists: dict[str, tuple[Member, ...] | ApiError] = field(default_factory=dict)
    """By peer URL."""
    running: dict[str, Versions] = field(default_factory=dict)
    """By peer URL."""
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    """By URL and path."""
    ready: set[tuple[str, tuple[str, ...]]] = field(default_factory=set)
    """Client URLs that are, with what is excluded."""

    def members(self, peer_url: str, seconds: float | None = None) -> tuple[Member, ...]:
        found = self.lists.get(peer_url, ConnectionRefused("connection refused"))
        if isinstance(found, ApiError):
            raise found
        return found

    def versions_or_none(self, url: str, seconds: float = 3) -> Versions | None:
        return self.running.get(url)

    def text(self, url: str, path: str, seconds: float | None = None) -> str:
        if (url, path) not in self.texts:
            raise ConnectionRefused("connection refused")
        return self.texts[url, path]

    def is_ready(self, client_url: str, exclude: Iterable[str] = ()) -> bool:
        return (client_url, tuple(exclude)) in self.ready

    def metrics(self, client_url: str, seconds: float | None = None) -> str:
        return self.texts.get((client_url, "/metrics"), "")

    def metric(self, client_url: str, name: str) -> float | None:
        for line in self.metrics(client_url).splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        return None


@dataclass
class FakeSession:
    """In the place of a Session."""

    endpoint: str
    listed: tuple[Member, ...] | ApiError = ()
    raised: tuple[Alarm, ...] | ApiError = ()
    statuses: dict[str, MemberStatus | ApiError] = field(default_factory=dict)
    """By client URL."""
    refused: ApiError | None = None
    """What each call gets."""
    calls: list[tuple[str, Mapping[str, Any], str]] = field(default_factory=list)

    def list_members(self) -> tuple[Member, ...]:
        return _said(self.listed)

    def alarms(self) -> tuple[Alarm, ...]:
        return _said(self.raised)

    def status(self, url: str = "") -> MemberStatus:
        return _said(self.statuses[url or self.endpoint])

    def call(self, method: str, body: Mapping[str, Any], url: str = "") -> dict[str, Any]:
        self.calls.append((method, body, url))
        if self.refused:
            raise self.refused
        return {}


def _said(answer: _Answer | ApiError) -> _Answer:
    if isinstance(answer, ApiError):
        raise answer
    return answer
