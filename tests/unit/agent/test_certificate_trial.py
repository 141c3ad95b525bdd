"""Whom a new certificate is tried at, and what a refusal says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from etcd_component.agent import certificate_trial
from etcd_component.agent.certificate_trial import Trial, refuse_to_cut_off
from etcd_component.agent.client import Client
from etcd_component.agent.instance import Instance
from etcd_component.agent.options import Options
from etcd_component.agent.output import Refusal
from etcd_component.etcd_api.errors import ConnectionRefused
from etcd_component.etcd_api.members import Member
from tests.unit.agent.fake_machine import Machine, machine

__all__ = ["machine"]

OWN, OTHER = "https://10.0.0.1:2380", "https://10.0.0.2:2380"
MEMBERS = (
    Member(1, "etcd-1", (OWN,), ("https://10.0.0.1:2379",)),
    Member(2, "", (OTHER,), ()),
)


def ca(name: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n"


@dataclasses.dataclass
class Cluster:
    """What the members answer to whom."""

    machine: Machine
    members: tuple[Member, ...] | None = MEMBERS
    refusing: frozenset[str] = frozenset()
    """Peer URLs at which the new files are no good."""
    asked: list[str] = dataclasses.field(default_factory=list)

    def attempt(self, pki: Path, url: str) -> Trial:
        if pki != self.machine.paths.pki:
            self.asked.append(url)
        bad = pki != self.machine.paths.pki and url in self.refusing
        return Trial("bad certificate" if bad else "")

    def try_new(self, bundle: str = "", repair: int = 0) -> list[str]:
        """The peer URLs that were asked. Raises Refusal."""
        new = self.machine.root / "new"
        self.machine.write(new / "ca.crt", bundle or ca("a"))
        instance = Instance.load(self.machine.paths)
        refuse_to_cut_off(instance, new, Options(repair=repair))
        return list(dict.fromkeys(self.asked))


@pytest.fixture
def cluster(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    machine.configure("membership\n")
    machine.write(machine.paths.pki / "ca.crt", ca("a"))
    machine.unit = dataclasses.replace(machine.unit, active="active")
    made = Cluster(machine)

    def members(_client: Client, url: str) -> tuple[Member, ...]:
        assert url == OWN
        if made.members is None:
            raise ConnectionRefused("connection refused")
        return made.members

    monkeypatch.setattr(Client, "members", members)
    monkeypatch.setattr(certificate_trial, "_attempt", made.attempt)
    monkeypatch.setattr(certificate_trial, "_PAUSE", 0)
    return made


def test_all_members_are_asked_this_one_too(cluster: Cluster) -> None:
    assert cluster.try_new() == [OWN, OTHER]


def test_one_that_does_not_take_it_is_named(cluster: Cluster) -> None:
    cluster.refusing = frozenset([OTHER])
    said = r"etcd-1: member-2 at https://10.0.0.2:2380 takes the present certificate, but not the"
    with pytest.raises(Refusal, match=said):
        cluster.try_new()


def test_where_a_ca_goes_that_is_said(cluster: Cluster) -> None:
    cluster.refusing = frozenset([OTHER])
    with pytest.raises(Refusal, match="a CA that members trust now is not in the new bundle"):
        cluster.try_new(ca("b"))


def test_a_member_that_is_repaired_need_not_take_it_itself(cluster: Cluster) -> None:
    cluster.refusing = frozenset([OWN])
    with pytest.raises(Refusal):
        cluster.try_new()
    cluster.asked.clear()
    assert cluster.try_new(ca("b"), repair=1) == [OTHER]
    # Nor did the others ever trust a CA that somebody put here by hand.
    cluster.refusing = frozenset([OTHER])
    with pytest.raises(Refusal, match="takes the present certificate, but not the new one"):
        cluster.try_new(ca("b"), repair=1)


@pytest.mark.parametrize("active", ["active", "inactive"])
def test_where_nobody_gives_a_list_those_that_are_known_are_asked(
    cluster: Cluster, active: str
) -> None:
    cluster.members = None
    cluster.machine.unit = dataclasses.replace(cluster.machine.unit, active=active)
    cluster.machine.write(cluster.machine.paths.known_peers, f"etcd-2={OTHER}\n")
    assert cluster.try_new() == ([OWN, OTHER] if active == "active" else [OTHER])


def test_a_member_that_runs_alone_and_unknown_is_not_cut_off(cluster: Cluster) -> None:
    cluster.members = ()
    with pytest.raises(Refusal, match="the member list cannot be read, so nobody was asked"):
        cluster.try_new()
    cluster.machine.unit = dataclasses.replace(cluster.machine.unit, active="inactive")
    assert cluster.try_new() == []
