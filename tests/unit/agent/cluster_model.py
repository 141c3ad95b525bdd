"""A model of a cluster that asks the agent's own decisions, for tests of what they allow.

It knows what etcd does: a voter is healthy when it runs and sees a quorum of the voters as they are
counted now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from etcd_component.agent.decide import gate
from etcd_component.agent.decide.admission import objection_to_removal
from etcd_component.agent.decide.leaving import Observed, Remove, leave, remove_lost
from etcd_component.etcd_api import quorum
from etcd_component.etcd_api.members import MemberStatus
from tests.unit.agent.fake_etcd import member


@dataclass(frozen=True)
class Machine:
    number: int
    learner: bool = False
    runs: bool = True
    has_data: bool = True

    @property
    def is_voter(self) -> bool:
        return not self.learner

    @property
    def votes(self) -> bool:
        """Whether raft hears its vote."""
        return self.is_voter and self.runs and self.has_data


@dataclass(frozen=True)
class Cluster:
    machines: tuple[Machine, ...]

    @property
    def voters(self) -> int:
        return sum(one.is_voter for one in self.machines)

    @property
    def voting(self) -> int:
        return sum(one.votes for one in self.machines)

    @property
    def has_quorum(self) -> bool:
        return self.voters > 0 and self.voting >= quorum.quorum(self.voters)

    def is_healthy(self, machine: Machine) -> bool:
        return machine.votes and self.has_quorum

    def others(self, machine: Machine) -> list[Observed]:
        """As the agent sees those besides this one."""
        return [
            Observed(member(one.number, learner=one.learner), self.is_healthy(one))
            for one in self.machines
            if one.number != machine.number
        ]

    def healthy_others(self, machine: Machine) -> int:
        return sum(one.healthy for one in self.others(machine))

    def may_leave(self, machine: Machine) -> bool:
        own = member(machine.number, learner=machine.learner)
        return isinstance(leave(own, self.others(machine)), Remove)

    def may_be_removed_as_lost(self, machine: Machine) -> bool:
        lost = member(machine.number, learner=machine.learner)
        return isinstance(remove_lost(lost, self.others(machine)), Remove)

    def may_rejoin(self, machine: Machine) -> bool:
        """Remove it and add it again, which is what one does that has lost its data."""
        healthy = self.healthy_others(machine)
        return not objection_to_removal("etcd-1", self.voters, healthy, ())

    def may_restart(self, machine: Machine) -> bool:
        return isinstance(gate.decide(self.view(machine)), gate.Pass)

    def view(self, machine: Machine) -> gate.View:
        """As the member that is to restart sees all."""
        own = member(machine.number, learner=machine.learner)
        status = MemberStatus(0, 7, machine.number, 3, 40, 40, 20480, False, (), "")
        return gate.View(
            name=own.name,
            peer_urls=own.peer_urls,
            endpoint=own.client_url,
            members=tuple(member(one.number, learner=one.learner) for one in self.machines),
            alarms=(),
            reference=status,
            others=tuple(
                gate.Seen(one.member, status, ready=True)
                if one.healthy
                else gate.Seen(one.member, error="no answer in time")
                for one in self.others(machine)
            ),
        )

    def without(self, machine: Machine) -> Cluster:
        return Cluster(tuple(one for one in self.machines if one.number != machine.number))

    def with_changed(self, machine: Machine, **changes: bool) -> Cluster:
        return Cluster(
            tuple(
                replace(one, **changes) if one.number == machine.number else one
                for one in self.machines
            )
        )

    def with_learner(self, number: int) -> Cluster:
        return Cluster((*self.machines, Machine(number, learner=True)))
