"""When a member may be away for a moment. Every row refuses alone, and passes on its other side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from etcd_component.agent.decide.gate import Pass, Seen, View, Wait, decide, heir_among, unseen
from etcd_component.etcd_api.members import Alarm, Member, MemberStatus

STATUS = MemberStatus(
    member_id=1,
    cluster_id=77,
    leader=2,
    term=5,
    index=5000,
    applied=5000,
    size=1 << 20,
    is_learner=False,
    errors=(),
    downgrade_target="",
)


def member(number: int, **changes: Any) -> Member:
    one = Member(
        number,
        f"etcd-{number}",
        (f"https://10.0.0.{number}:2380",),
        (f"https://10.0.0.{number}:2379",),
    )
    return replace(one, **changes)


def learner(**changes: Any) -> Member:
    return member(3, is_learner=True, **changes)


UNSTARTED: dict[str, Any] = {"name": "", "client_urls": ()}


def seen(one: Member, status: MemberStatus | None = STATUS, **changes: Any) -> Seen:
    return Seen(one, status, **{"ready": True, **changes})


def view(*others: Seen, own: Member | None = None, **changes: Any) -> View:
    own = own or member(1)
    return replace(
        View(
            "etcd-1",
            own.peer_urls,
            own.client_urls[0],
            (own, *(one.member for one in others)),
            (),
            STATUS,
            others,
        ),
        **changes,
    )


TWO, THREE = seen(member(2)), seen(member(3))
HEALTHY = view(TWO, THREE)


def reason(of: View) -> str:
    decision = decide(of)
    assert isinstance(decision, Wait), decision
    return decision.reason


def passed(of: View) -> Pass:
    decision = decide(of)
    assert isinstance(decision, Pass), decision
    return decision


def test_a_healthy_cluster_spares_a_follower() -> None:
    assert passed(HEALTHY) == Pass(member(1), leads=False, heir=member(2))


def test_the_leader_hands_over_to_the_lowest_number() -> None:
    leading = replace(STATUS, leader=1)
    ten, nine = seen(member(10), leading), seen(member(9), leading)
    assert passed(view(ten, nine, reference=leading)) == Pass(member(1), leads=True, heir=member(9))


def test_a_cluster_of_one_has_nobody_to_ask() -> None:
    alone = view(reference=replace(STATUS, leader=1))
    assert passed(alone) == Pass(member(1), leads=True, heir=None)
    assert reason(view(reference=replace(STATUS, leader=0))) == "there is no leader"


@pytest.mark.parametrize(
    ("blind", "expected"),
    [
        ({"members": None}, "https://10.0.0.1:2379 gives no member list: broken"),
        ({"alarms": None}, "the alarms cannot be read: broken"),
        ({"reference": None}, "https://10.0.0.1:2379 gives no status: broken"),
        ({"reference": replace(STATUS, leader=0)}, "there is no leader"),
        (
            {"members": (member(2), member(3))},
            "https://10.0.0.1:2379 does not list etcd-1 as a member",
        ),
        # Nobody was looked at.
        ({"others": ()}, "etcd-2 at https://10.0.0.2:2379 does not answer: nothing"),
        ({"others": (TWO,)}, "etcd-3 at https://10.0.0.3:2379 does not answer: nothing"),
    ],
)
def test_what_cannot_be_seen_is_not_healthy(blind: dict[str, Any], expected: str) -> None:
    assert reason(replace(HEALTHY, error="broken", **blind)) == expected


def test_a_list_without_this_member_is_refused_also_when_it_is_empty() -> None:
    assert "does not list etcd-1" in reason(replace(HEALTHY, members=(), others=()))


@pytest.mark.parametrize(
    ("third", "expected"),
    [
        (
            seen(member(3, **UNSTARTED), None),
            "member 3 at https://10.0.0.3:2380 never started",
        ),
        (
            seen(member(3), None, error="connection refused"),
            "etcd-3 at https://10.0.0.3:2379 does not answer: connection refused",
        ),
        # What excuses a learner excuses no voter.
        (
            seen(member(3), None, error="invalid auth token", token_refused=True),
            "etcd-3 at https://10.0.0.3:2379 does not answer: invalid auth token",
        ),
        (seen(member(3), replace(STATUS, cluster_id=78)), "etcd-3 is in another cluster"),
        (seen(member(3), replace(STATUS, leader=3)), "etcd-3 follows another leader"),
        (seen(member(3), replace(STATUS, leader=0)), "etcd-3 follows another leader"),
        (
            seen(member(3), replace(STATUS, errors=("etcdserver: no leader",))),
            "etcd-3 reports: etcdserver: no leader",
        ),
        (
            seen(
                member(3),
                replace(STATUS, errors=("memberID:3 alarm:NOSPACE ", "memberID:3 alarm:CORRUPT ")),
            ),
            "etcd-3 reports: memberID:3 alarm:CORRUPT ",
        ),
        (seen(member(3), replace(STATUS, applied=4000)), "etcd-3 is 1000 entries behind"),
        (seen(member(3), ready=False), "etcd-3 is not ready"),
    ],
)
def test_a_voter_that_is_not_healthy_holds_the_restart_up(third: Seen, expected: str) -> None:
    assert reason(view(TWO, third)) == expected
    # Whoever comes first in the list.
    assert reason(view(third, TWO)) == expected


@pytest.mark.parametrize(
    "third",
    [
        seen(member(3), replace(STATUS, applied=4001)),
        seen(member(3), replace(STATUS, applied=9000)),
        seen(member(3), replace(STATUS, errors=("memberID:3 alarm:NOSPACE ",))),
    ],
)
def test_what_is_within_bounds_does_not(third: Seen) -> None:
    passed(view(TWO, third))


# ---- alarms


def alarmed(*kinds: str, **changes: Any) -> View:
    return replace(HEALTHY, alarms=tuple(Alarm(2, kind) for kind in kinds), **changes)


@pytest.mark.parametrize(
    "quotas",
    [
        {},
        {"quota": None, "wanted_quota": 9000},
        {"quota": 0.0, "wanted_quota": 9000},
        {"quota": 9000.0, "wanted_quota": 9000},
        {"quota": 9001.0, "wanted_quota": 9000},
        {"quota": 8000.0, "wanted_quota": 0},
    ],
)
def test_without_space_only_a_larger_quota_is_rolled_out(quotas: dict[str, Any]) -> None:
    assert reason(alarmed("NOSPACE", **quotas)) == (
        "the alarm NOSPACE is raised: compact and defragment, then `etcdctl alarm disarm`; or raise"
        " etcd_quota"
    )
    passed(alarmed("NOSPACE", quota=8999.0, wanted_quota=9000))


def test_no_quota_cures_another_alarm() -> None:
    expected = "the alarm CORRUPT is raised: `etcdctl alarm list` says where"
    larger: dict[str, Any] = {"quota": 8000.0, "wanted_quota": 9000}
    assert reason(alarmed("CORRUPT", **larger)) == expected
    assert reason(alarmed("NOSPACE", "CORRUPT", **larger)) == expected
    assert reason(alarmed("CORRUPT", "NOSPACE", **larger)) == expected


# ---- learners


def test_a_learner_that_never_started_is_abandoned_and_no_ailment() -> None:
    one = learner(**UNSTARTED)
    assert passed(view(TWO, seen(one, None))) == Pass(
        member(1), leads=False, heir=member(2), abandoned=(one,)
    )


@pytest.mark.parametrize(
    ("third", "ailing"),
    [
        (seen(learner()), ()),
        # That it is not ready, being a learner, is no fault of it.
        (seen(learner(), ready=False), ()),
        (seen(learner(), None, error="token", token_refused=True), ()),
        (
            seen(learner(), None, error="token", token_refused=True, ready=False),
            ("etcd-3 at https://10.0.0.3:2379 does not answer: token",),
        ),
        (
            seen(learner(), None, error="away"),
            ("etcd-3 at https://10.0.0.3:2379 does not answer: away",),
        ),
        (seen(learner(), replace(STATUS, applied=1)), ("etcd-3 is 4999 entries behind",)),
    ],
)
def test_a_learner_holds_nothing_up_and_inherits_nothing(
    third: Seen, ailing: tuple[str, ...]
) -> None:
    for order in (view(TWO, third), view(third, TWO)):
        assert passed(order) == Pass(member(1), leads=False, heir=member(2), ailing=ailing)
    assert passed(view(third)).heir is None


def test_a_learner_that_restarts_has_all_voters_looked_at() -> None:
    own = member(1, is_learner=True)
    assert passed(view(TWO, THREE, own=own)).own == own
    assert reason(view(TWO, seen(member(3), ready=False), own=own)) == "etcd-3 is not ready"


def test_it_is_found_by_either_of_its_peer_urls() -> None:
    new = "https://10.0.0.1:2390"
    former = "https://10.0.0.1:2380"
    assert passed(replace(HEALTHY, peer_urls=(former, new))).own.id == 1
    assert passed(replace(HEALTHY, peer_urls=(new, former))).own.id == 1
    # Then it is one that would have to be asked.
    assert "etcd-1 at" in reason(replace(HEALTHY, peer_urls=(new,)))


@pytest.mark.parametrize(
    ("names", "heir"),
    [
        (["etcd-10", "etcd-9"], "etcd-9"),
        (["etcd-9", "etcd-10"], "etcd-9"),
        (["other", "pg-main-12"], "pg-main-12"),
        (["other"], "other"),
        ([], None),
    ],
)
def test_members_are_restarted_by_their_numbers_so_the_lowest_inherits(
    names: list[str], heir: str | None
) -> None:
    found = heir_among([member(8, name=name) for name in names])
    assert (found.name if found else None) == heir


# ---- behind the restart


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        ([], ""),
        ([("etcd-2", 1), ("etcd-3", 2)], ""),
        ([("etcd-2", None), ("etcd-3", 1)], ""),
        ([("etcd-2", 1), ("etcd-3", 0)], "etcd-3 has no connection to it"),
        ([("etcd-2", None), ("etcd-3", 0)], "etcd-3 has no connection to it"),
        (
            [("etcd-2", None), ("etcd-3", None)],
            "no other voter says whether it has a connection to it",
        ),
    ],
)
def test_the_others_must_see_a_restarted_member(
    streams: list[tuple[str, int | None]], expected: str
) -> None:
    assert unseen(streams) == expected
