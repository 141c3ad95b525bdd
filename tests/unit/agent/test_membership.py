"""Changes of membership: what is waited for, and who is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etcd_component.agent import membership
from etcd_component.agent.output import Refusal, being_done, doing
from etcd_component.etcd_api.errors import (
    AnswerTimeout,
    ApiError,
    EtcdError,
    LearnerBusy,
    NotFound,
    Passing,
    UnhealthyCluster,
)
from tests.unit.agent.fake_etcd import Answer, Call, FakeClient, instance, session

MEMBERS = {
    "members": [
        {
            "ID": str(number),
            "name": f"etcd-{number}",
            "peerURLs": [f"https://m{number}:2380"],
            "clientURLs": [f"https://m{number}:2379"],
            "isLearner": number == 4,
        }
        for number in (1, 2, 3, 4)
    ]
}
UNHEALTHY = UnhealthyCluster("etcdserver: unhealthy cluster")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "_PAUSE", 0.001)


def failing(*errors: ApiError) -> Callable[[Call], Answer]:
    """One error after another for changes, the last one for ever; everything else succeeds."""
    left = list(errors)

    def answer(call: Call) -> Answer:
        if call.method == "auth/authenticate":
            return {"token": "t"}
        if call.method == "cluster/member/list":
            return MEMBERS
        if left:
            raise left.pop(0)
        return {}

    return answer


def for_ever(error: ApiError) -> Callable[[Call], Answer]:
    return failing(*[error] * 100000)


def test_a_change_is_one_call() -> None:
    client = FakeClient(failing())
    membership.change(session(client), instance(), 9, "promote", {"ID": "1"})
    (call,) = client.calls
    assert (call.method, call.body) == ("cluster/member/promote", {"ID": "1"})


@pytest.mark.parametrize("error", [UNHEALTHY, LearnerBusy("in sync with leader")])
def test_what_etcd_waits_for_is_said_once(
    error: ApiError, capsys: pytest.CaptureFixture[str]
) -> None:
    client = FakeClient(failing(error, error, error))
    membership.change(session(client, distrust=9), instance(), 9, "add", {})
    assert capsys.readouterr().out == f"etcd-1: waiting, etcd says: {error}\n"
    # The same member was asked all the time.
    assert client.methods == ["cluster/member/add"] * 4


@pytest.mark.parametrize("error", [Passing("leader changed"), AnswerTimeout("no answer in time")])
def test_another_member_is_asked_where_one_goes(error: ApiError) -> None:
    client = FakeClient(failing(error))
    root = session(client, login=1)
    root.choose(["https://one:2379"])
    doing("being added")
    membership.change(root, instance(), 9, "add", {})
    assert client.methods[1:] == ["cluster/member/add", "auth/authenticate", "cluster/member/add"]
    assert being_done() == "being added"


@pytest.mark.parametrize("error", [EtcdError("no"), NotFound("member not found")])
def test_what_does_not_pass_is_raised_at_once(error: EtcdError) -> None:
    client = FakeClient(failing(error, error))
    with pytest.raises(type(error)):
        membership.change(session(client), instance(), 9, "add", {})
    assert len(client.calls) == 1


@pytest.mark.parametrize("error", [UNHEALTHY, LearnerBusy("too many learner members")])
def test_the_last_answer_is_raised_in_the_end(error: ApiError) -> None:
    client = FakeClient(for_ever(error))
    with pytest.raises(type(error)):
        membership.change(session(client, distrust=9), instance(), 0.05, "add", {})
    assert len(client.calls) > 3


def test_voters_that_are_away_are_named_after_the_time_of_distrust() -> None:
    absent = ("https://m3:2380", "https://m4:2380")
    client = FakeClient(for_ever(UNHEALTHY), absent)
    with pytest.raises(Refusal) as refused:
        membership.change(session(client, distrust=0.05), instance(), 9, "add", {})
    assert "These voters do not answer: etcd-3 at https://m3:2380. Bring" in str(refused.value)
    assert "etcdserver: unhealthy cluster" in str(refused.value)
    assert client.methods.count("cluster/member/add") > 3


def test_where_all_voters_answer_it_is_waited_on() -> None:
    client = FakeClient(failing(*[UNHEALTHY] * 5), absent=("https://m4:2380",))
    membership.change(session(client, distrust=0), instance(), 9, "add", {})
    assert client.methods.count("cluster/member/add") == 6


def test_a_removal_whose_answer_was_lost_is_done() -> None:
    client = FakeClient(failing(AnswerTimeout("lost"), NotFound("member not found")))
    root = session(client, login=1)
    root.choose(["https://one:2379"])
    membership.remove(root, instance(), 7, 9)
    removals = [call for call in client.calls if call.method == "cluster/member/remove"]
    assert [call.body for call in removals] == [{"ID": "7"}] * 2


@pytest.mark.parametrize(("seconds", "usual"), [(0, 9), (9, 0)])
def test_a_removal_waits_as_long_as_usual_unless_told_otherwise(
    seconds: float, usual: float
) -> None:
    client = FakeClient(failing(UNHEALTHY))
    membership.remove(session(client, remove=usual, distrust=9), instance(), 7, seconds)
    assert len(client.calls) == 2
