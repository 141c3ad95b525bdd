"""A monitor as people and programs see it: VictoriaMetrics over TLS, with the stack's outputs."""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab import Lab
from lab.monitor import NUMBER
from tests.live.nodes import shell
from tests.live.stack import Stack

SECONDS = 300
"""Scrapes come every ten seconds, rules every fifteen; an alert waits for a minute, and on a loaded
machine everything takes longer."""

_HURRY = """
cd /etc/etcd-monitor
sed -i 's/scrape_interval: .*/scrape_interval: 2s/' scrape.yml
sed -i 's/interval: 15s/interval: 3s/' rules/*.yml
systemctl reload etcd-monitor etcd-monitor-alerts
"""

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Watcher:
    """Who asks a monitor."""

    url: str
    context: ssl.SSLContext = field(repr=False)
    login: str = field(repr=False)

    @classmethod
    def of(cls, stack: Stack) -> Watcher:
        """With what the stack gives out, and nothing else."""
        context = ssl.create_default_context(cadata=stack.output("monitor_ca"))
        login = f"{stack.output('monitor_user')}:{stack.output('monitor_password')}"
        return cls(stack.output("monitor_url"), context, base64.b64encode(login.encode()).decode())

    def get(self, path: str, *, login: bool = True, **query: str) -> Any:
        """An answer of VictoriaMetrics, as JSON."""
        request = urllib.request.Request(f"{self.url}{path}?{urllib.parse.urlencode(query)}")
        if login:
            request.add_header("Authorization", f"Basic {self.login}")
        with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
            return json.loads(answer.read())

    def query(self, expression: str) -> dict[Labels, float]:
        """What an expression is now: the value of each series, by its labels."""
        found = self.get("/api/v1/query", query=expression)["data"]["result"]
        return {frozenset(one["metric"].items()): float(one["value"][1]) for one in found}

    def until(self, expression: str, wanted: Callable[[dict[Labels, float]], bool]) -> None:
        """Wait until an expression is as wanted."""
        give_up = time.monotonic() + SECONDS
        while not wanted(found := self.query(expression)):
            assert time.monotonic() < give_up, f"{expression} stays {found}"
            time.sleep(0.5)


def hurry(lab: Lab, more: str = "") -> None:
    """Have the monitor scrape and evaluate more often than it does for people.

    `more` is what else is changed first, below /etc/etcd-monitor.
    """
    shell(lab, NUMBER, f"set -eu\n{more}\n{_HURRY}")
