"""Whether another number on a machine still counts."""

from __future__ import annotations

from etcd_component.agent.preflight import occupant
from tests.unit.agent.fake_machine import Machine, machine

__all__ = ["machine"]


def test_one_with_a_broken_certificate_still_counts(machine: Machine) -> None:
    """A finding says so then, with its cure."""
    machine.configure("membership\n")
    machine.write(machine.paths.pki / "server.key", "broken")
    assert occupant.look(machine.paths, "") == occupant.UNKNOWN
