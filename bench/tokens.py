"""What clients notice of the kind of token: in a rolling restart, and when a role changes.

Each client does what Patroni does through the gateway: it logs in, keeps a lease alive, reads, and
writes in a transaction. What is refused because of the token is sent again after a new login; a
member that does not answer is left for the next one.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Self

from bench.client import Access, Member, encoded
from bench.process import Failed
from bench.site import Site
from bench.table import spread, table
from bench.writes import longest_gap
from etcd_component.etcd_api.errors import ApiError, TokenInvalid

KINDS = ("simple", "jwt")
CLIENTS = 8
_PAUSE = 0.02
_QUIET_SECONDS = 4.0
_LOGINS = 20

Figures = dict[str, float]


@dataclass(slots=True)
class _Record:
    done: list[float] = field(default_factory=list)
    """When each request was answered (monotonic clock)."""
    seconds: list[float] = field(default_factory=list)
    """What each of these took."""
    outdated: int = 0
    """How many were refused because of the token."""
    logins: list[float] = field(default_factory=list)
    """How long each took."""
    away: int = 0
    """How many were not answered for another reason."""


class _Client:
    """One Patroni: a login, a lease and a key of its own."""

    def __init__(self, access: Access, number: int) -> None:
        self.record = _Record()
        self._access = Access(access.urls, access.tls, access.password)
        self._members = [Member(url, self._access) for url in access.urls]
        self._at = number % len(self._members)
        self._key = encoded(f"/service/{number}/leader")

    def live(self, over: threading.Event) -> None:
        lease = self._ask("lease/grant", {"TTL": 300}, over).get("ID")
        put = {"request_put": {"key": self._key, "value": self._key, "lease": lease}}
        while not over.is_set():
            self._ask("lease/keepalive", {"ID": lease}, over)
            self._ask("kv/range", {"key": self._key}, over)
            self._ask("kv/txn", {"success": [put]}, over)

    def _ask(self, path: str, body: Mapping[str, Any], over: threading.Event) -> Mapping[str, Any]:
        while not over.is_set():
            member, begun = self._members[self._at], time.monotonic()
            try:
                if not self._access.token:
                    self._access.renew("", member)
                    self.record.logins.append(time.monotonic() - begun)
                    begun = time.monotonic()
                answer: Mapping[str, Any] = member.call(path, body)
            except TokenInvalid:
                self.record.outdated += 1
                self._access.token = ""
                continue
            except ApiError:
                self.record.away += 1
                self._at = (self._at + 1) % len(self._members)
                continue
            now = time.monotonic()
            self.record.done.append(now)
            self.record.seconds.append(now - begun)
            over.wait(_PAUSE)
            return answer
        return {}


class _Clients:
    """All of them, as long as the context lasts."""

    def __init__(self, access: Access) -> None:
        self._clients = [_Client(access, number) for number in range(CLIENTS)]
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=one.live, args=[self._over], daemon=True)
            for one in self._clients
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        time.sleep(_QUIET_SECONDS)
        self._begun, self._before = time.monotonic(), self._sums()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _sums(self) -> tuple[int, int, int]:
        records = [one.record for one in self._clients]
        return (
            sum(one.outdated for one in records),
            sum(len(one.logins) for one in records),
            sum(one.away for one in records),
        )

    def request(self) -> float:
        """What a request took, the median in seconds."""
        return median(one for client in self._clients for one in client.record.seconds)

    def figures(self, what: str) -> Figures:
        """What has happened since the quiet time, and the longest silence of any client."""
        now = time.monotonic()
        gaps = [longest_gap(one.record.done, self._begun, now) for one in self._clients]
        outdated, logins, away = (
            after - before for after, before in zip(self._sums(), self._before, strict=True)
        )
        return {
            f"{what}: requests refused because of the token": outdated,
            f"{what}: logins": logins,
            f"{what}: requests that failed otherwise": away,
            f"{what}: longest silence of a client, ms": 1000 * max(gaps),
        }


def _login(access: Access) -> float:
    alone = Access(access.urls, access.tls, access.password)
    member, took = Member(alone.urls[0], alone), []
    for _ in range(_LOGINS):
        begun, alone.token = time.monotonic(), ""
        alone.renew("", member)
        took.append(time.monotonic() - begun)
    return median(took)


def _measure(site: Site, kind: str) -> Figures:
    site.fresh(3)
    site.configure(3, None, etcd_auth_token=kind)
    site.up()
    access = Access.of(Path(site.directory), site.outputs())
    figures = {"a login, ms": 1000 * _login(access)}
    site.configure(3, None, etcd_auth_token=kind, etcd_snapshot_count=20000)
    before = site.started()
    with _Clients(access) as clients:
        figures["a request, ms"] = 1000 * clients.request()
        site.up()
        figures |= clients.figures("rolling restart")
    if set(site.started()) & set(before):
        raise Failed("the changed setting did not restart every member")
    with _Clients(access) as clients:
        changer = Member(access.urls[0], access)
        access.renew(access.token, changer)
        changer.call("auth/role/add", {"name": f"another-{kind}"})
        time.sleep(1)
        figures |= clients.figures("a role is added")
    site.pulumi("destroy", "--yes", "--skip-preview")
    return figures


def compare(site: Site, runs: int) -> str:
    """Measure each kind of token so many times, one after the other; a table."""
    found: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
    for _ in range(runs):
        for kind, measured in found.items():
            measured.append(_measure(site, kind))
    rows = [
        (name, [spread([one[name] for one in measured], "") for measured in found.values()])
        for name in found[KINDS[0]][0]
    ]
    return table([f"{CLIENTS} clients, three members", *KINDS], rows)
