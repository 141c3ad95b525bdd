"""The cluster as its clients see it: etcdctl on this machine, TLS, and writers on the gateway."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

from cryptography import x509

SECONDS = 30


@dataclass(frozen=True)
class Asked:
    """A cluster that is asked. `environment` is what etcdctl takes."""

    environment: dict[str, str] = field(repr=False)
    program: Path

    @property
    def endpoints(self) -> list[str]:
        """Client URLs."""
        return self.environment["ETCDCTL_ENDPOINTS"].split(",")

    def run(self, *words: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
        """Run etcdctl; a variable of None is left out of its environment."""
        given = {**self.environment, **environment}
        return subprocess.run(
            [self.program, *words],
            env={"PATH": os.environ["PATH"]}
            | {name: value for name, value in given.items() if value is not None},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def __call__(self, *words: str) -> str:
        """What etcdctl prints, when it succeeds."""
        done = self.run(*words)
        assert done.returncode == 0, f"etcdctl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def json(self, *words: str) -> Any:
        """What etcdctl prints, as JSON."""
        return json.loads(self(*words, "-w", "json"))

    def members(self) -> dict[str, dict[str, Any]]:
        """The cluster's members by name."""
        return {one.get("name", ""): one for one in self.json("member", "list")["members"]}

    def statuses(self) -> list[dict[str, Any]]:
        """Status of every endpoint."""
        return [one["Status"] for one in self.json("endpoint", "status")]

    def cluster_ids(self) -> set[int]:
        """What each endpoint says the cluster's ID is."""
        return {one["header"]["cluster_id"] for one in self.statuses()}

    def leader(self) -> str:
        """The leader's name."""
        (leader,) = {one["leader"] for one in self.statuses()}
        (name,) = (name for name, one in self.members().items() if one["ID"] == leader)
        return name

    def assert_one_healthy_cluster(self, *names: str) -> int:
        """These members and no others, all voters, all well, one cluster, writable, RBAC on.

        Returns the cluster's ID.
        """
        members = self.members()
        assert sorted(members) == sorted(names)
        assert not [one for one in members.values() if one.get("isLearner")]
        assert len(self.endpoints) == len(names)
        health = self.json("endpoint", "health")
        assert [one["health"] for one in health] == [True] * len(names), health
        (cluster_id,) = self.cluster_ids()
        assert len({one["leader"] for one in self.statuses()}) == 1
        value = str(time.time_ns())
        self("put", "asked", value)
        for endpoint in self.endpoints:
            read = self.run("get", "asked", "--print-value-only", ETCDCTL_ENDPOINTS=endpoint)
            assert read.stdout.strip() == value, read.stderr
        self.assert_login_is_demanded()
        return int(cluster_id)

    def assert_login_is_demanded(self) -> None:
        """Every member refuses who has a certificate and no password."""
        for endpoint in self.endpoints:
            anonymous = self.run(
                "get",
                "asked",
                ETCDCTL_ENDPOINTS=endpoint,
                ETCDCTL_USER=None,
                ETCDCTL_PASSWORD=None,
            )
            assert anonymous.returncode != 0
            assert "user name is empty" in anonymous.stderr

    def context(self) -> ssl.SSLContext:
        """TLS as a client of this cluster speaks it."""
        context = ssl.create_default_context(cafile=self.environment["ETCDCTL_CACERT"])
        context.load_cert_chain(self.environment["ETCDCTL_CERT"], self.environment["ETCDCTL_KEY"])
        return context


def served_certificate(address: str, port: int = 2379) -> x509.Certificate:
    """The certificate that a port serves, whoever signed it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((address, port), timeout=SECONDS) as plain,
        context.wrap_socket(plain) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


@dataclass
class Writer:
    """Threads that write through the gRPC gateway, each its own keys, trying endpoints in turn.

    A write that fails is tried again until it is acknowledged; `failed` counts the attempts.
    """

    asked: Asked
    threads: int = 3
    acknowledged: dict[str, str] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    failed: int = 0
    errors: list[str] = field(default_factory=list)

    def __enter__(self) -> Writer:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._context = self.asked.context()
        self._running = [
            threading.Thread(target=self._write, args=[number]) for number in range(self.threads)
        ]
        for one in self._running:
            one.start()
        give_up = time.monotonic() + SECONDS
        while len(self.times) < self.threads and time.monotonic() < give_up:
            time.sleep(0.05)
        assert self.times, f"no write succeeds: {self.errors[:3]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for one in self._running:
            one.join(SECONDS)

    @property
    def longest_gap(self) -> float:
        """Seconds between two acknowledged writes, at worst."""
        return max(later - earlier for earlier, later in pairwise(sorted(self.times)))

    def lost(self) -> dict[str, str]:
        """Acknowledged writes that the cluster does not hold."""
        shown = self.asked.json("get", "writer/", "--prefix")
        held = {
            base64.b64decode(one["key"]).decode(): base64.b64decode(one["value"]).decode()
            for one in shown.get("kvs", [])
        }
        return {key: text for key, text in self.acknowledged.items() if held.get(key) != text}

    def _write(self, number: int) -> None:
        endpoints = cycle(self.asked.endpoints)
        for _ in range(number):
            next(endpoints)
        endpoint, token = next(endpoints), None
        written = 0
        while not self._stop.is_set():
            key, value = f"writer/{number}/{written}", f"{written}"
            try:
                token = token or self._log_in(endpoint)
                self._call(endpoint, "kv/put", {"key": _coded(key), "value": _coded(value)}, token)
            except (OSError, ValueError) as error:
                with self._lock:
                    self.failed += 1
                    self.errors.append(f"{endpoint}: {error}")
                endpoint, token = next(endpoints), None
                continue
            with self._lock:
                self.acknowledged[key] = value
                self.times.append(time.monotonic())
            written += 1

    def _log_in(self, endpoint: str) -> str:
        login = {
            "name": self.asked.environment["ETCDCTL_USER"],
            "password": self.asked.environment["ETCDCTL_PASSWORD"],
        }
        return str(self._call(endpoint, "auth/authenticate", login, None)["token"])

    def _call(
        self, endpoint: str, path: str, body: dict[str, str], token: str | None
    ) -> dict[str, Any]:
        headers = {"Authorization": token} if token else {}
        request = urllib.request.Request(
            f"{endpoint}/v3/{path}", json.dumps(body).encode(), headers
        )
        with urllib.request.urlopen(request, timeout=3, context=self._context) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
