"""What is done so that roles and users become what is wanted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from etcd_component.agent.decide.access import (
    Names,
    Step,
    drop_role,
    drop_user,
    goes_in_this_update,
    role_steps,
    unmanaged,
    user_steps,
)
from etcd_component.agent.permissions import Permission, Span
from etcd_component.etcd_api.errors import AlreadyExists, NotFound, NotGranted
from etcd_component.etcd_api.members import Member
from tests.unit.agent.fake_etcd import member

READ_A = Permission("READ", Span(b"/a"))
WRITE_A = Permission("WRITE", Span(b"/a"))
READ_B = Permission("READ", Span(b"/b", b"/c"))


@pytest.mark.parametrize("present", [[READ_A, READ_B], [READ_B, READ_A]])
def test_nothing_is_written_where_nothing_differs(present: Sequence[Permission]) -> None:
    assert role_steps("app", [READ_A, READ_B], present) == []
    assert user_steps("app", ["a", "b"], ["b", "a"]) == []
    assert user_steps("app", [], []) == []


def test_a_role_that_is_not_there_is_made() -> None:
    made = Step("auth/role/add", {"name": "app"}, "made", AlreadyExists)
    assert role_steps("app", [], None) == [made]
    assert role_steps("app", [READ_A], None) == [
        made,
        Step(
            "auth/role/grant",
            {"name": "app", "perm": {"permType": "READ", "key": "L2E="}},
            "read on /a given",
        ),
    ]
    # One without a permission is there.
    assert role_steps("app", [], []) == []


def test_what_is_gained_comes_before_what_is_lost() -> None:
    assert role_steps("app", [READ_B], [READ_A]) == [
        Step(
            "auth/role/grant",
            {"name": "app", "perm": {"permType": "READ", "key": "L2I=", "range_end": "L2M="}},
            "read on /b... given",
        ),
        Step("auth/role/revoke", {"role": "app", "key": "L2E="}, "/a taken", NotGranted),
    ]
    assert user_steps("app", ["new", "kept"], ["kept", "old"]) == [
        Step("auth/user/grant", {"user": "app", "role": "new"}, "role new given"),
        Step("auth/user/revoke", {"name": "app", "role": "old"}, "role old taken", NotGranted),
    ]


def test_another_right_to_the_same_span_replaces_the_one_that_is_there() -> None:
    (step,) = role_steps("app", [WRITE_A], [READ_A])
    assert (step.method, step.change) == ("auth/role/grant", "write on /a given")


def test_what_is_gone_already_is_dropped() -> None:
    assert drop_user("app") == Step("auth/user/delete", {"name": "app"}, "removed", NotFound)
    assert drop_role("app") == Step("auth/role/delete", {"role": "app"}, "removed", NotFound)


PRESENT = Names(("root", "app", "by hand"), ("root", "app", "loose"))


@pytest.mark.parametrize(
    ("wanted", "former", "remove", "found"),
    [
        (PRESENT, Names(), False, Names()),
        (Names(("app",), ("app",)), Names(), False, Names(("by hand",), ("loose",))),
        (Names(("app",), ("app",)), Names(("by hand",)), False, Names((), ("loose",))),
        (Names(("app",), ("app",)), Names((), ("loose",)), False, Names(("by hand",))),
        # A user does not make a role of that name wanted.
        (Names(("app", "loose"), ()), Names(), False, Names(("by hand",), ("app", "loose"))),
        (Names(("app",), ("app",)), PRESENT, True, Names(("by hand",), ("loose",))),
    ],
)
def test_what_nobody_wants_is_unmanaged(
    wanted: Names, former: Names, remove: bool, found: Names
) -> None:
    assert unmanaged(PRESENT, wanted, former, remove=remove) == found


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (Names(("a", "b")), "user a, b"),
        (Names((), ("c",)), "role c"),
        (Names(("a",), ("c", "d")), "user a and role c, d"),
    ],
)
def test_names_are_said_to_a_person(names: Names, text: str) -> None:
    assert names
    assert str(names) == text
    assert not Names()


TWO = [member(1), member(2)]


@pytest.mark.parametrize(
    ("members", "staying", "wanted", "former", "going"),
    [
        (TWO, ["etcd-1", "etcd-2"], Names(), Names(), []),
        (TWO, ["etcd-1"], Names(), Names(), ["member etcd-2"]),
        # A newcomer has no name yet, and stays.
        ([member(1), member(2, started=False)], ["etcd-1"], Names(), Names(), []),
        (TWO, ["etcd-1", "etcd-2"], Names(("app",)), Names(("app",)), []),
        (TWO, ["etcd-1", "etcd-2"], Names(), Names(("app",), ("app",)), ["user app", "role app"]),
        # What is not there any more needs no password to go.
        (TWO, ["etcd-1", "etcd-2"], Names(), Names(("gone",), ("gone",)), []),
    ],
)
def test_what_goes_with_the_former_password_is_named(
    members: list[Member], staying: list[str], wanted: Names, former: Names, going: list[str]
) -> None:
    assert goes_in_this_update(members, staying, PRESENT, wanted, former) == going
