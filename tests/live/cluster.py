"""The cluster as its clients see it: etcdctl on this machine, TLS, and the gateway."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from bench.client import Access

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
        statuses = self.statuses()
        (cluster_id,) = {one["header"]["cluster_id"] for one in statuses}
        assert len({one["leader"] for one in statuses}) == 1
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

    def access(self) -> Access:
        """A client that writes through the gateway, by way of every endpoint."""
        return Access(self.endpoints, self.context(), self.environment["ETCDCTL_PASSWORD"])

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
