"""Root is made and proved, and users get their passwords: with a cluster that needs no network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from etcd_component.agent import access, users
from etcd_component.agent.output import Refusal
from etcd_component.etcd_api.errors import (
    AlreadyExists,
    AnswerTimeout,
    ApiError,
    EtcdError,
    NoLogin,
    NotFound,
    Passing,
    WrongPassword,
)
from tests.unit.agent.fake_etcd import Answer, Call, FakeClient, session

LOGIN = {"name": "app", "password": "right"}


@dataclass
class Etcd:
    """Keeps users; one whose password is None was made without one, and never gets one."""

    passwords: dict[str, str | None] = field(default_factory=dict)
    roles: dict[str, list[str]] = field(default_factory=dict)

    def __call__(self, call: Call) -> Answer:
        handler = getattr(self, call.method.replace("auth/", "").replace("/", "_"), None)
        return handler(call.body) if handler else {}

    def authenticate(self, body: Any) -> Answer:
        if body["name"] != "root" and self.passwords.get(body["name"]) != body["password"]:
            raise WrongPassword("wrong")
        return {"token": "t"}

    def user_add(self, body: Any) -> Answer:
        if body["name"] in self.passwords:
            raise AlreadyExists("there")
        self.passwords[body["name"]] = body["password"]
        return {}

    def user_changepw(self, body: Any) -> Answer:
        if self.passwords[body["name"]] is not None:
            self.passwords[body["name"]] = body["password"]
        return {}

    def user_delete(self, body: Any) -> Answer:
        del self.passwords[body["name"]]
        return {}

    def user_list(self, _body: Any) -> Answer:
        return {"users": list(self.passwords)}

    def user_get(self, body: Any) -> Answer:
        if body["name"] not in self.roles:
            raise NotFound("not there")
        return {"roles": self.roles[body["name"]]}


@pytest.mark.parametrize(
    ("password", "changes", "is_new"),
    [
        ("right", [], False),
        ("wrong", ["its password changed"], False),
        (None, ["its password changed", "made"], True),
    ],
)
def test_a_password_is_set_only_where_it_differs(
    password: str | None, changes: list[str], is_new: bool
) -> None:
    etcd = Etcd({"app": password})
    client = FakeClient(etcd)
    assert users._set_password(session(client), LOGIN) == (changes, is_new)
    assert etcd.passwords == {"app": "right"}
    writes = [method for method in client.methods if method.startswith("auth/user/")]
    assert len(writes) == {"right": 0, "wrong": 1, None: 3}[password]


def test_whoever_has_a_role_is_named() -> None:
    etcd = Etcd(
        dict.fromkeys(["a", "b", "c", "gone"], "p"), {"a": ["x", "app"], "b": ["apps"], "c": []}
    )
    assert users._holders(session(FakeClient(etcd)), "app") == ["a"]


def test_a_password_that_etcd_says_nothing_about_is_not_changed() -> None:
    def silent(_call: Call) -> Answer:
        raise AnswerTimeout("no answer in time")

    client = FakeClient(silent)
    with pytest.raises(Refusal, match="does not say whether the password of user app is right"):
        users._set_password(session(client), LOGIN)
    assert client.methods == ["auth/authenticate"]


def test_root_is_made_whatever_an_interrupted_run_has_left() -> None:
    etcd = Etcd({"root": "of an earlier run"})
    client = FakeClient(etcd)
    access._make_root(session(client))
    assert etcd.passwords == {"root": "wanted"}
    assert client.methods == [
        "auth/user/add",
        "auth/user/changepw",
        "auth/role/add",
        "auth/user/grant",
        "auth/enable",
    ]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([NoLogin("user name is empty")], None),
        ([Passing("leader changed"), NoLogin("user name is empty")], None),
        ([AnswerTimeout("no answer in time")] * 9, "etcd does not answer: no answer in time"),
        ([EtcdError("permission denied")], "authentication is not on: permission denied"),
        ([None], "authentication is not on: it gives its keys"),
    ],
)
def test_only_a_refusal_without_a_login_proves_authentication(
    answers: list[ApiError | None], reason: str | None
) -> None:
    left = list(answers)

    def answer(call: Call) -> Answer:
        assert not call.token
        error = left.pop(0)
        if error:
            raise error
        return {"kvs": [{"value": "secret"}]}

    root = session(FakeClient(answer), access=0.5)
    if reason is None:
        access._prove(root)
        return
    with pytest.raises(Refusal, match=reason) as refused:
        access._prove(root)
    assert "secret" not in str(refused.value)
