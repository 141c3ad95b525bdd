"""How an instance becomes a member: each row of the decision, without a machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from etcd_component.agent.client import FORMED, FORMING, NOT_RUNNING, UNREACHABLE, PeerState
from etcd_component.agent.decide.joining import (
    AskFounders,
    BeginAnew,
    Bootstrap,
    ComeBack,
    Decision,
    Examine,
    Join,
    Look,
    Observed,
    SetAside,
    Wait,
    decide,
    founders_to_come,
)
from etcd_component.agent.decide.verdict import Refuse
from etcd_component.agent.instance import Peer
from etcd_component.agent.peers import PeerReport, PeerReports

ONE, TWO, THREE = (Peer(f"etcd-{seq}", f"https://10.0.0.{seq}:2380") for seq in (1, 2, 3))
FOUNDERS = ",".join(f"{peer.name}={peer.url}" for peer in (ONE, TWO, THREE))
HERE = Observed("etcd-1", "etcd", "/data/etcd", ONE.url, names_peers=True, knows_peers=True)
FOUNDER = replace(HERE, founders=FOUNDERS)
DATA = replace(HERE, holds_member=True, has_membership=True, has_joined=True)

BEGUN = replace(DATA, has_joined=False, founders=FOUNDERS, began_with_others=True)


def saying(two: str, three: str | None = None) -> PeerReports:
    reports = [PeerReport(TWO, PeerState(two, "no route" if two == UNREACHABLE else ""))]
    if three:
        reports.append(PeerReport(THREE, PeerState(three)))
    return PeerReports(tuple(reports))


IDLE = saying(NOT_RUNNING, FORMING)


def looked(seen: Observed, reports: PeerReports = IDLE, **more: Any) -> Observed:
    """After all patience."""
    return replace(seen, reports=reports, may_wait=False, **more)


@pytest.mark.parametrize(
    ("seen", "decision"),
    [
        # Its data are here.
        (DATA, ComeBack()),
        (replace(DATA, has_joined=False), ComeBack()),
        (replace(DATA, reports=saying(FORMED)), ComeBack()),
        (replace(DATA, has_membership=False, owns_data=True), ComeBack(restore_membership=True)),
        (replace(DATA, owns_data=True), ComeBack()),
        # A rejoin is asked for.
        (replace(DATA, rejoin=1), Examine()),
        (replace(DATA, rejoin=1, has_membership=False, owns_data=True), Examine()),
        (replace(DATA, rejoin=1, verdict=""), ComeBack()),
        (replace(DATA, rejoin=1, verdict="it failed"), SetAside("it failed")),
        (replace(DATA, rejoin=2, rejoin_done=1), Examine()),
        (replace(DATA, rejoin=1, rejoin_done=1), ComeBack()),
        (replace(DATA, rejoin=1, rejoin_done=2), ComeBack()),
        (replace(DATA, rejoin=1, rejoin_done=1, verdict="it failed"), ComeBack()),
        # What is here has replaced what was here when the number was raised.
        (replace(DATA, rejoin=1, has_copy=True), ComeBack()),
        # It began with other founders than are wanted now.
        (replace(BEGUN, objection=None), AskFounders()),
        (replace(BEGUN, objection=""), BeginAnew()),
        (replace(BEGUN, objection="a peer is in a formed cluster"), ComeBack()),
        # No data: the peers are asked first, whatever it is.
        (HERE, Look()),
        (FOUNDER, Look()),
        (replace(HERE, has_joined=True), Look()),
        (replace(DATA, has_left=True), Look()),
        # A formed cluster is joined, whatever it is.
        (looked(HERE, saying(FORMED)), Join(TWO)),
        (looked(FOUNDER, saying(NOT_RUNNING, FORMED)), Join(THREE)),
        (looked(FOUNDER, saying(UNREACHABLE, FORMED)), Join(THREE)),
        (looked(FOUNDER, saying(FORMED, FORMED)), Join(TWO)),
        (looked(HERE, saying(FORMED), has_joined=True), Join(TWO)),
        (looked(HERE, saying(FORMED), has_left=True), Join(TWO)),
        (looked(DATA, saying(FORMED), has_left=True), Join(TWO)),
        (looked(FOUNDER, saying(FORMED), has_begun=True), Join(TWO)),
        # Only a founder that has never begun does not wait for one.
        (replace(HERE, reports=IDLE), Wait()),
        (replace(HERE, reports=saying(UNREACHABLE)), Wait()),
        (replace(HERE, reports=PeerReports()), Wait()),
        (replace(FOUNDER, reports=IDLE, has_joined=True), Wait()),
        (replace(FOUNDER, reports=IDLE, has_left=True), Wait()),
        (replace(FOUNDER, reports=IDLE, has_begun=True), Wait()),
        # It has seen the cluster that it was joining.
        (replace(FOUNDER, reports=IDLE, was_joining=True), Wait()),
        (looked(FOUNDER, saying(FORMED), was_joining=True), Join(TWO)),
        (replace(DATA, has_joined=False, was_joining=True), ComeBack()),
        (replace(FOUNDER, reports=IDLE), Bootstrap()),
        (looked(FOUNDER, saying(NOT_RUNNING, NOT_RUNNING)), Bootstrap()),
        (looked(FOUNDER, saying(FORMING, FORMING)), Bootstrap()),
        (
            looked(replace(FOUNDER, founders=f"{ONE.name}={ONE.url}"), PeerReports()),
            Bootstrap(),
        ),
    ],
)
def test_what_is_done(seen: Observed, decision: Decision) -> None:
    assert decide(seen) == decision


@pytest.mark.parametrize(
    ("seen", "texts"),
    [
        (
            replace(DATA, has_membership=False),
            ["/data/etcd holds a member that did not take its seat through etcd-node"],
        ),
        (
            replace(DATA, has_membership=False, rejoin=1),
            ["did not take its seat through etcd-node"],
        ),
        (
            looked(FOUNDER, has_left=True, has_joined=True),
            [
                "etcd-1 has left cluster etcd, and no member of it answers:\n  - etcd-2 at",
                "never founds a cluster again",
            ],
        ),
        (looked(FOUNDER, PeerReports(), has_left=True), ["\n  - it was the last\n"]),
        (
            looked(FOUNDER, has_joined=True, has_begun=True),
            [
                "etcd-1 has lost its data: /data/etcd is empty, but it has been a member before",
                f"\n  - etcd-2 at {TWO.url}: not-running\n  - etcd-3 at {THREE.url}: forming\n",
            ],
        ),
        (
            looked(FOUNDER, PeerReports(), has_joined=True),
            ["\n  - it was the only one; restore a snapshot\n"],
        ),
        (
            looked(HERE, PeerReports(), names_peers=False, knows_peers=False, rejoin=3),
            ["it was wiped, or is another machine", "set etcd_reseat on this host to 4"],
        ),
        (looked(HERE, PeerReports()), ["is not one of the founders", "- no peer is known\n"]),
        (looked(HERE, names_peers=False), ["is not one of the founders"]),
        (looked(HERE, knows_peers=False), ["is not one of the founders"]),
        (
            looked(HERE, has_begun=True),
            ["etcd-1 is not one of the founders of cluster etcd", "never founds a second cluster"],
        ),
        (
            looked(replace(HERE, founders=f"{TWO.name}={TWO.url}"), names_peers=False),
            ["is not one of the founders"],
        ),
        (
            looked(
                replace(HERE, founders=f"{TWO.name}={TWO.url}"),
                names_peers=False,
                knows_peers=False,
            ),
            ["is not one of the founders"],
        ),
        (
            looked(replace(HERE, founders=f"{ONE.name}={ONE.url}0")),
            ["is not one of the founders"],
        ),
        (
            looked(replace(FOUNDER, name="etcd-9")),
            ["etcd-9 is not one of the founders"],
        ),
        (
            looked(replace(FOUNDER, peer_url="https://10.0.0.9:2380")),
            ["is not one of the founders"],
        ),
        (
            looked(FOUNDER, has_begun=True),
            [
                "began as a founder before",
                f"\n  - etcd-2 at {TWO.url}: not-running\n",
                "remove /etc/etcd/etcd/identity",
            ],
        ),
        (looked(FOUNDER, PeerReports(), has_begun=True), ["\n  - it is the only one\n"]),
        (
            looked(FOUNDER, was_joining=True),
            [
                "etcd-1 was joining cluster etcd, and no member of it answers:\n  - etcd-2 at",
                "never founds a second cluster",
            ],
        ),
        (
            looked(FOUNDER, saying(UNREACHABLE, NOT_RUNNING)),
            [
                "can found the cluster only when every other member can be asked",
                f"twice:\n  - etcd-2 at {TWO.url}: unreachable (no route)\n  Bring",
            ],
        ),
        (
            looked(FOUNDER, saying(NOT_RUNNING)),
            [f"etcd-1 founds no cluster: etcd-3 at {THREE.url} is a founder too"],
        ),
        (
            looked(replace(FOUNDER, founders=f"{FOUNDERS},nonsense")),
            ["the list of founders cannot be read"],
        ),
    ],
)
def test_what_is_refused(seen: Observed, texts: list[str]) -> None:
    decision = decide(seen)
    assert isinstance(decision, Refuse)
    for text in texts:
        assert text in decision.reason


@pytest.mark.parametrize(
    ("reports", "names"),
    [
        (saying(NOT_RUNNING, NOT_RUNNING), ("etcd-2", "etcd-3")),
        (saying(NOT_RUNNING, FORMING), ("etcd-2",)),
        (saying(FORMING, FORMING), ()),
        # Something else is wrong, or on its way.
        (saying(NOT_RUNNING, FORMED), ()),
        (saying(UNREACHABLE, NOT_RUNNING), ()),
        (PeerReports(), ()),
    ],
)
def test_a_founder_leaves_the_rest_to_those_that_have_not_begun(
    reports: PeerReports, names: tuple[str, ...]
) -> None:
    assert founders_to_come(FOUNDERS, reports) == names


def test_one_that_is_no_founder_is_not_waited_for() -> None:
    two = ",".join(FOUNDERS.split(",")[:2])
    assert founders_to_come(two, saying(NOT_RUNNING, NOT_RUNNING)) == ("etcd-2",)
    assert founders_to_come(two, saying(FORMING, NOT_RUNNING)) == ()


def test_what_peers_are_for_bootstrapping() -> None:
    reports = saying(UNREACHABLE, FORMED)
    assert [one.peer for one in reports.hindrances] == [TWO]
    assert (reports.formed, reports.idle, reports.not_begun) == ((THREE,), (), ())
    assert [one.peer for one in IDLE.idle] == [TWO, THREE]
    assert reports.asked == {TWO.url, THREE.url}
