"""The client of etcd's API: errors, and what members say as types."""

from __future__ import annotations

from typing import Any

import pytest

from etcd_component.etcd_api.errors import (
    MESSAGES,
    AnswerTimeout,
    ApiError,
    ConnectionLost,
    EtcdError,
    HandshakeFailed,
    LearnerBusy,
    NotALearner,
    Passing,
    TokenInvalid,
    UnexpectedAnswer,
    UnhealthyCluster,
    Unreachable,
    WrongPassword,
    etcd_error,
    may_pass,
)
from etcd_component.etcd_api.members import (
    Alarm,
    Member,
    Versions,
    at_peer_url,
    parse_alarms,
    parse_members,
    parse_status,
    parse_versions,
    started_voters,
)

# ---- errors


@pytest.mark.parametrize(("text", "kind"), MESSAGES)
def test_each_text_of_etcd_is_one_kind_of_error(text: str, kind: type[EtcdError]) -> None:
    found = etcd_error(f"etcdserver: {text}", 9)
    assert type(found) is kind
    assert str(found) == f"etcdserver: {text}"
    assert found.code == 9


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        # As the releases say them, api/v3rpc/rpctypes/error.go.
        ("etcdserver: can only promote a learner member", NotALearner),
        (
            "etcdserver: can only promote a learner member which is in sync with leader",
            LearnerBusy,
        ),
        ("etcdserver: too many learner members in cluster", LearnerBusy),
        ("etcdserver: unhealthy cluster", UnhealthyCluster),
        (
            "etcdserver: re-configuration failed due to not enough started members",
            UnhealthyCluster,
        ),
        ("etcdserver: request timed out, possibly due to previous leader failure", Passing),
        ("etcdserver: leader changed", Passing),
        ("raft: stopped", Passing),
        (
            "etcdserver: authentication failed, invalid user ID or password",
            WrongPassword,
        ),
        (
            "auth: authentication failed, password was given for no password user",
            WrongPassword,
        ),
        ("etcdserver: permission denied", EtcdError),
    ],
)
def test_what_etcd_says_is_understood(message: str, kind: type[EtcdError]) -> None:
    assert type(etcd_error(message)) is kind


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (Unreachable("x"), True),
        (ConnectionLost("x"), True),
        (AnswerTimeout("x"), True),
        (HandshakeFailed("x"), True),
        (TokenInvalid("x"), True),
        (Passing("x"), True),
        (UnexpectedAnswer("x"), False),
        (EtcdError("x"), False),
        (UnhealthyCluster("x"), False),
        (LearnerBusy("x"), False),
        (WrongPassword("x"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: ApiError, passes: bool) -> None:
    assert may_pass(error) is passes


# ---- what etcd says

RECORD = {"ID": "1", "name": "etcd-1", "peerURLs": ["p1"], "clientURLs": ["c1"]}


def test_member_lists_of_both_ports_are_read() -> None:
    gateway = {"header": {"member_id": "9"}, "members": [RECORD, {"ID": "2", "peerURLs": ["p2"]}]}
    # The peer port's has numbers that Python keeps whole.
    peer = [{"id": 14841639068965178418, "peerURLs": ["p", "q"], "isLearner": True}]
    assert parse_members(gateway) == (
        Member(1, "etcd-1", ("p1",), ("c1",)),
        Member(2, "", ("p2",), ()),
    )
    assert parse_members(peer) == (Member(14841639068965178418, "", ("p", "q"), (), True),)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"members": []},
        {"members": "x"},
        {"members": [RECORD, {"name": "without an ID", "peerURLs": ["p"]}]},
        {"members": [RECORD, {"ID": "x", "peerURLs": ["p"]}]},
        {"members": [RECORD, {"ID": "2"}]},
        {"members": [RECORD, "x"]},
        None,
        "x",
    ],
)
def test_a_list_that_cannot_be_read_is_none_in_which_all_is_well(answer: Any) -> None:
    with pytest.raises(UnexpectedAnswer, match="cannot be read"):
        parse_members(answer)


def test_a_member_is_asked_for_by_what_is_known_of_it() -> None:
    one, new = parse_members([RECORD, {"ID": "2", "peerURLs": ["p2"], "isLearner": True}])
    assert (one.label, new.label) == ("etcd-1", "member-2")
    assert (one.client_url, new.client_url) == ("c1", "")
    assert (one.is_voter, one.started, new.is_voter, new.started) == (True, True, False, False)
    assert at_peer_url([one, new], ["x", "p2"]) is new
    assert at_peer_url([one, new], ["x"]) is None
    assert started_voters([one, new]) == [one]
    assert started_voters([one, new], ["p1"]) == []
    learner = Member(3, "etcd-3", ("p3",), ("c3",), True)
    assert started_voters([learner, Member(4, "", ("p4",), ())]) == []


STATUS = {
    "header": {"cluster_id": "7", "member_id": "1"},
    "leader": "2",
    "raftTerm": "3",
    "raftIndex": "40",
    "raftAppliedIndex": "39",
    "dbSize": "20480",
}


def test_a_status_is_read() -> None:
    status = parse_status(STATUS)
    assert (status.cluster_id, status.member_id, status.leader) == (7, 1, 2)
    assert (status.term, status.index, status.applied, status.size) == (3, 40, 39, 20480)
    assert (status.is_learner, status.errors, status.downgrade_target) == (False, (), "")
    more = parse_status(
        {
            **STATUS,
            "leader": "",
            "isLearner": True,
            "errors": ["memberID:1 alarm:NOSPACE "],
            "downgradeInfo": {"enabled": True, "targetVersion": "3.5.0"},
        }
    )
    assert more.leader == 0
    assert more.errors == ("memberID:1 alarm:NOSPACE ",)
    assert (more.is_learner, more.downgrade_target) == (True, "3.5.0")


@pytest.mark.parametrize("missing", ["header", "raftAppliedIndex"])
def test_a_status_without_what_steers_us_is_none(missing: str) -> None:
    answer = {name: value for name, value in STATUS.items() if name != missing}
    with pytest.raises(UnexpectedAnswer, match="the status cannot be read"):
        parse_status(answer)


def test_versions_and_alarms_are_read() -> None:
    said = {"etcdserver": "3.6.16", "etcdcluster": "3.6.0", "storage": "3.6.0"}
    assert parse_versions(said) == Versions("3.6.16", "3.6.0", "3.6.0")
    assert parse_versions({"etcdserver": "3.5.35"}) == Versions("3.5.35", "", "")
    nothing: list[Any] = [{}, [], "x", {"etcdserver": ""}]
    for wrong in nothing:
        with pytest.raises(UnexpectedAnswer):
            parse_versions(wrong)
    alarms = {"alarms": [{"memberID": "5", "alarm": "NOSPACE"}, {"alarm": "CORRUPT"}]}
    assert parse_alarms(alarms) == (Alarm(5, "NOSPACE"), Alarm(0, "CORRUPT"))
    assert parse_alarms({}) == ()
    with pytest.raises(UnexpectedAnswer):
        parse_alarms({"alarms": [{"memberID": "5"}]})
