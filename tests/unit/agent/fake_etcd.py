"""A cluster that needs no network: each call gets what a test says, and all calls are noted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from etcd_component.agent.client import FORMED, PeerState
from etcd_component.agent.instance import Instance
from etcd_component.agent.paths import Paths
from etcd_component.agent.session import Credentials, Session
from etcd_component.agent.waits import Waits
from etcd_component.etcd_api.members import Member

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from etcd_component.agent.client import Client

Answer = dict[str, Any]
ROOT = '{"name": "root", "password": "wanted"}\n{"name": "root", "password": "former"}\n'


@dataclass(frozen=True)
class Call:
    url: str
    method: str
    body: Mapping[str, Any]
    token: str


@dataclass
class FakeClient:
    """Answers with what `answer` returns, or raises what it raises."""

    answer: Callable[[Call], Answer]
    absent: tuple[str, ...] = ()
    """Peer URLs at which nobody answers."""
    calls: list[Call] = field(default_factory=list)

    def connection(self, url: str) -> FakeConnection:
        return FakeConnection(self, url)

    def probe(self, peer_url: str) -> PeerState:
        return PeerState("not-running" if peer_url in self.absent else FORMED)

    @property
    def methods(self) -> list[str]:
        return [call.method for call in self.calls]


@dataclass
class FakeConnection:
    client: FakeClient
    url: str

    def call(
        self, method: str, body: Mapping[str, Any], token: str = "", seconds: float = 10
    ) -> Answer:
        call = Call(self.url, method, body, token)
        self.client.calls.append(call)
        return self.client.answer(call)


def session(client: FakeClient, **waits: float) -> Session:
    """Root's, in which nothing is waited for unless the test says so."""
    names = ("login", "access", "members", "remove", "distrust", "leave")
    chosen = {**dict.fromkeys(names, 0.0), **waits}
    made = Session(cast("Client", client), Credentials(ROOT), Waits(**chosen))
    made.endpoint = "https://one:2379"
    made.token = "token"
    return made


def instance() -> Instance:
    peer = "https://one:2380"
    data = Path("/data/etcd")
    return Instance(Paths("etcd"), "etcd-1", data, data, peer, peer, "https://one:2379")


def member(number: int, *, learner: bool = False, started: bool = True) -> Member:
    name = f"etcd-{number}" if started else ""
    client_urls = (f"https://m{number}:2379",) if started else ()
    return Member(number, name, (f"https://m{number}:2380",), client_urls, learner)
