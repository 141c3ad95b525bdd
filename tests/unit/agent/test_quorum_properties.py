"""No sequence of allowed decisions costs a cluster its quorum, and what is safe is allowed.

Machines fail and come back at any moment. Everything else happens only when the agent's own
decisions allow it.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from etcd_component.etcd_api import quorum
from tests.unit.agent.cluster_model import Cluster, Machine

MOST = 9


class Life(RuleBasedStateMachine):
    """What happens to a cluster in the course of its life."""

    cluster: Cluster
    numbers = 0

    @initialize(voters=st.integers(1, MOST))
    def bootstrap(self, voters: int) -> None:
        self.cluster = Cluster(tuple(Machine(number + 1) for number in range(voters)))
        self.numbers = voters

    def chosen(self, which: int, kind: bool | None = None) -> Machine | None:
        """One of the machines, or None; `kind` is whether it should be a learner."""
        found = [one for one in self.cluster.machines if kind is None or one.learner is kind]
        return found[which % len(found)] if found else None

    def acts(self, after: Cluster) -> None:
        """An action that changes who counts."""
        assert self.cluster.has_quorum, "etcd decides on nothing without a quorum"
        assert after.voters >= 1
        assert after.has_quorum, (self.cluster, after)
        self.cluster = after

    # ---- what nobody decides

    @rule(which=st.integers(0, MOST))
    def a_machine_fails(self, which: int) -> None:
        if machine := self.chosen(which):
            self.cluster = self.cluster.with_changed(machine, runs=False)

    @rule(which=st.integers(0, MOST))
    def a_machine_loses_its_data(self, which: int) -> None:
        if machine := self.chosen(which):
            self.cluster = self.cluster.with_changed(machine, has_data=False)

    @rule(which=st.integers(0, MOST))
    def a_machine_comes_back(self, which: int) -> None:
        if machine := self.chosen(which):
            self.cluster = self.cluster.with_changed(machine, runs=True)

    # ---- what the agent decides

    @rule(which=st.integers(0, MOST))
    def a_member_leaves(self, which: int) -> None:
        machine = self.chosen(which)
        if machine and self.cluster.may_leave(machine):
            after = self.cluster.without(machine)
            if machine.learner:
                self.cluster = after
            else:
                self.acts(after)

    @rule(which=st.integers(0, MOST))
    def a_member_is_removed_as_lost(self, which: int) -> None:
        machine = self.chosen(which)
        if machine and not machine.runs and self.cluster.may_be_removed_as_lost(machine):
            self.acts(self.cluster.without(machine))

    @rule(which=st.integers(0, MOST))
    def a_voter_joins_again(self, which: int) -> None:
        machine = self.chosen(which, kind=False)
        if machine and self.cluster.may_rejoin(machine):
            self.acts(self.cluster.without(machine))
            self.acts(self.cluster.with_learner(machine.number))

    @precondition(lambda self: self.cluster.has_quorum and len(self.cluster.machines) < MOST)
    @rule()
    def a_learner_is_added(self) -> None:
        self.numbers += 1
        self.acts(self.cluster.with_learner(self.numbers + MOST))

    @precondition(lambda self: self.cluster.has_quorum)
    @rule(which=st.integers(0, MOST))
    def a_learner_is_promoted(self, which: int) -> None:
        """Etcd itself promotes only one that has caught up, so one that runs."""
        machine = self.chosen(which, kind=True)
        if machine and machine.runs and machine.has_data:
            self.acts(self.cluster.with_changed(machine, learner=False))

    @rule(which=st.integers(0, MOST))
    def a_voter_is_restarted(self, which: int) -> None:
        machine = self.chosen(which, kind=False)
        if machine is None or not machine.votes or not self.cluster.may_restart(machine):
            return
        away = self.cluster.with_changed(machine, runs=False)
        # One or two have none to spare: their pause is as long as the restart.
        assert away.voters <= 2 or away.has_quorum
        assert away.voting == away.voters - 1, "nobody else was away"
        if away.voters > 4:
            # And one more may fail in this moment, and be missed by nobody.
            assert away.voting - 1 >= quorum.quorum(away.voters)

    # ---- what is always so

    @invariant()
    def nothing_is_decided_without_a_quorum(self) -> None:
        if self.cluster.has_quorum:
            return
        for machine in self.cluster.machines:
            assert not self.cluster.may_be_removed_as_lost(machine)
            if machine.is_voter:
                assert not self.cluster.may_leave(machine)
                assert not self.cluster.may_rejoin(machine)
                assert self.cluster.voters == 1 or not self.cluster.may_restart(machine)

    @invariant()
    def what_is_safe_is_allowed(self) -> None:
        voters, voting = self.cluster.voters, self.cluster.voting
        for machine in self.cluster.machines:
            if machine.learner:
                assert self.cluster.may_leave(machine)
                continue
            others = voting - (1 if machine.votes else 0)
            if voters >= 3 and others >= quorum.quorum(voters):
                # A lost one goes, one without data joins again, and both are the same question.
                assert self.cluster.may_be_removed_as_lost(machine)
                assert self.cluster.may_rejoin(machine)
            if voters >= 2 and self.cluster.has_quorum and others >= quorum.quorum(voters - 1):
                assert self.cluster.may_leave(machine)
            if voting == voters:
                assert self.cluster.may_restart(machine)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def made(healthy: int, failed: int) -> Cluster:
    machines = [Machine(number + 1) for number in range(healthy)]
    more = [Machine(number + 1, runs=False) for number in range(healthy, healthy + failed)]
    return Cluster((*machines, *more))


@given(st.integers(3, MOST))
def test_of_three_or_more_healthy_voters_one_may_always_be_lost(voters: int) -> None:
    cluster = made(voters - 1, 1)
    lost = cluster.machines[-1]
    assert cluster.may_be_removed_as_lost(lost)
    assert cluster.without(lost).has_quorum


@given(st.integers(3, MOST))
def test_as_many_as_the_quorum_can_spare_are_replaced_one_after_another(voters: int) -> None:
    cluster = made(quorum.quorum(voters), voters - quorum.quorum(voters))
    for lost in [one for one in cluster.machines if not one.runs]:
        assert cluster.may_be_removed_as_lost(lost)
        cluster = cluster.without(lost)
        assert cluster.has_quorum
    assert cluster.voting == cluster.voters


def test_one_voter_can_only_be_restarted() -> None:
    one = made(1, 0)
    (machine,) = one.machines
    assert not one.may_leave(machine)
    assert not one.may_rejoin(machine)
    assert not one.may_be_removed_as_lost(machine)
    assert one.may_restart(machine)


def test_of_two_voters_one_may_leave_and_none_may_be_lost() -> None:
    both = made(2, 0)
    assert all(both.may_leave(one) and both.may_restart(one) for one in both.machines)
    half = made(1, 1)
    for machine in half.machines:
        assert not half.may_leave(machine)
        assert not half.may_be_removed_as_lost(machine)
        assert not half.may_restart(machine)


def test_of_four_voters_with_one_down_only_that_one_may_go_or_any_healthy_one_leave() -> None:
    four = made(3, 1)
    down = four.machines[-1]
    assert four.may_be_removed_as_lost(down)
    assert four.may_leave(down)
    for machine in four.machines[:3]:
        # Two healthy ones and one that is down stay: a quorum of three.
        assert four.may_leave(machine)
        assert four.without(machine).has_quorum
        assert not four.may_rejoin(machine)
        assert not four.may_restart(machine)
