"""Root's session: which password, which member, and what is tried again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etcd_component.agent.output import Refusal
from etcd_component.agent.session import Credentials
from etcd_component.etcd_api.errors import (
    AlreadyExists,
    ApiError,
    AuthNotEnabled,
    ConnectionRefused,
    EtcdError,
    NoLogin,
    Passing,
    TokenInvalid,
    UnexpectedAnswer,
    WrongPassword,
)
from tests.unit.agent.fake_etcd import ROOT, Answer, Call, FakeClient, session


def failing(*errors: ApiError, method: str = "kv/put") -> Callable[[Call], Answer]:
    """One error after another for this method, then success; logins succeed."""
    left = list(errors)

    def answer(call: Call) -> Answer:
        if call.method == "auth/authenticate":
            return {"token": f"of {call.url}"}
        if left and call.method == method:
            raise left.pop(0)
        return {"done": True}

    return answer


def only(password: str) -> Callable[[Call], Answer]:
    def answer(call: Call) -> Answer:
        if call.body.get("password") != password:
            raise WrongPassword("wrong")
        return {"token": "t"}

    return answer


def test_credentials_are_lines_of_json() -> None:
    user = '{"name": "app", "password": "p"}\n'
    read = Credentials(ROOT + "\n" + user)
    assert [login["password"] for login in read.root] == ["wanted", "former"]
    assert read.others == [{"name": "app", "password": "p"}]
    assert read.wanted["password"] == "wanted"
    assert "wanted" not in f"{read!r}{read}"
    assert Credentials(ROOT).others == []


@pytest.mark.parametrize("text", ["", "\n", '{"name": "app", "password": "secret"}'])
def test_without_root_s_nothing_is_done(text: str) -> None:
    with pytest.raises(Refusal, match="root's credentials are missing on standard input"):
        Credentials(text)


@pytest.mark.parametrize("text", ["secret", '{"password": "secret"}', '["secret"]', "7"])
def test_what_is_no_login_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Refusal, match="not lines of JSON") as refused:
        Credentials(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("password", ["wanted", "former"])
def test_either_password_lets_root_in(password: str) -> None:
    root = session(FakeClient(only(password)))
    root.choose(["https://one:2379"])
    assert (root.token, root.login["password"]) == ("t", password)


def test_where_no_password_is_right_it_stops_at_once() -> None:
    client = FakeClient(only("another"))
    with pytest.raises(Refusal, match="neither the one in the stack's configuration"):
        session(client, login=60).choose(["https://one:2379", "https://two:2379"])
    assert len(client.calls) == 2


def test_without_authentication_there_is_no_token() -> None:
    def off(_call: Call) -> Answer:
        raise AuthNotEnabled("off")

    root = session(FakeClient(off))
    root.choose(["https://one:2379"])
    assert (root.token, root.endpoint) == ("", "https://one:2379")


def test_a_login_without_a_token_is_none() -> None:
    with pytest.raises(UnexpectedAnswer):
        session(FakeClient(lambda _call: {})).log_in("https://one:2379")


def test_the_first_member_that_answers_is_talked_to() -> None:
    def answer(call: Call) -> Answer:
        if call.url == "https://one:2379":
            raise ConnectionRefused("connection refused")
        return {"token": "t"}

    root = session(FakeClient(answer))
    root.choose(["https://one:2379", "https://two:2379"])
    assert root.endpoint == "https://two:2379"
    with pytest.raises(Refusal, match=r"asked: https://one:2379; the last answer: connection ref"):
        root.choose(["https://one:2379"])
    with pytest.raises(Refusal, match=r"asked: nobody; the last answer: nothing"):
        root.choose([])


@pytest.mark.parametrize("error", [TokenInvalid("old"), NoLogin("user name is empty")])
def test_a_token_that_does_not_count_is_replaced_at_the_member_itself(error: EtcdError) -> None:
    client = FakeClient(failing(error))
    root = session(client)
    assert root.call("kv/put", {}, "https://two:2379") == {"done": True}
    assert client.methods == ["kv/put", "auth/authenticate", "kv/put"]
    assert [call.token for call in client.calls] == ["token", "", "of https://two:2379"]


@pytest.mark.parametrize("error", [EtcdError("no"), Passing("leader changed")])
def test_a_call_itself_tries_nothing_again(error: EtcdError) -> None:
    client = FakeClient(failing(error))
    with pytest.raises(type(error)):
        session(client).call("kv/put", {})
    assert client.methods == ["kv/put"]


def test_what_may_pass_is_tried_again_after_a_new_login() -> None:
    client = FakeClient(failing(Passing("leader changed"), ConnectionRefused("refused")))
    root = session(client, access=60, login=1)
    root.choose(["https://one:2379"])
    assert root.settle("kv/put", {}) == {"done": True}
    assert client.methods.count("kv/put") == 3
    assert client.methods.count("auth/authenticate") == 3


def test_what_does_not_pass_is_refused_with_etcd_s_words() -> None:
    client = FakeClient(failing(EtcdError("etcdserver: permission denied")))
    with pytest.raises(Refusal, match="etcd refuses kv/put: etcdserver: permission denied"):
        session(client, access=60).settle("kv/put", {})
    client = FakeClient(failing(Passing("leader changed")))
    with pytest.raises(Refusal, match="leader changed"):
        session(client, access=0).settle("kv/put", {})


def test_what_is_done_already_is_done() -> None:
    client = FakeClient(failing(AlreadyExists("there")))
    assert session(client).settle("kv/put", {}, AlreadyExists) is None
    client = FakeClient(failing(AlreadyExists("there")))
    with pytest.raises(Refusal, match="there"):
        session(client).settle("kv/put", {})
