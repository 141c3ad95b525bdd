"""Declared roles and users: they become what is declared, and nothing is written twice."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from itertools import pairwise
from typing import Any

import pytest

from tests.authority import token_keys
from tests.node.conftest import Cluster
from tests.node.members import Done, Members, credentials, eventually

MANY = 150
SECRET = "pässwörd \"'\\ $(id) `id` 密码 🔑 %s {}"


@pytest.fixture
def members(three: Members) -> Members:
    """Three members whose cluster has no user and no role but root."""
    token = three.token()
    for user in three.call(1, "auth/user/list", token=token).get("users", []):
        if user != "root":
            three.call(1, "auth/user/delete", {"name": user}, token)
    for role in three.call(1, "auth/role/list", token=token).get("roles", []):
        if role != "root":
            three.call(1, "auth/role/delete", {"role": role}, token)
    three.shell(1, "rm -f /etc/etcd/etcd/declared")
    return three


def role(name: str, *grants: tuple[str, ...]) -> tuple[str, ...]:
    return ("--role", name, *(word for one in grants for word in ("--role-grant", name, *one)))


def user(name: str, *roles: str) -> tuple[str, ...]:
    return ("--user", name, *(word for one in roles for word in ("--user-role", name, one)))


APP = role("app", ("readwrite", "prefix", "/app/"))
OTHERS = "all users and roles are declared"
"""Said last, where there is nobody else."""


def logins(*names: str, password: str = SECRET) -> str:
    lines = (json.dumps({"name": name, "password": password}) + "\n" for name in names)
    return credentials() + "".join(lines)


def declare(
    members: Members, *options: str, password: str = SECRET, check: bool = True
) -> list[str]:
    """Declare roles and users, all of them with this password; return what was said."""
    names = [name for word, name in pairwise(options) if word == "--user"]
    stdin = logins(*names, password=password)
    done = members.run(1, "declare", *options, stdin=stdin, check=check)
    assert check or done.returncode == 1
    return (done.stdout if check else done.stderr).splitlines()


def drop(members: Members, what: str, name: str) -> str:
    return members.run(1, f"drop-{what}", "--name", name, stdin=credentials()).stdout


def revision(members: Members) -> str:
    """Of access: each write of a user or a role makes another."""
    found = members.call(1, "auth/status", token=members.token())["authRevision"]
    assert isinstance(found, str)
    return found


def lets_in(members: Members, name: str, password: str = SECRET) -> str | None:
    """The token of a login; None when it is refused."""
    answer = members.call(1, "auth/authenticate", {"name": name, "password": password})
    return answer.get("token")


def metric(members: Members, name: str) -> float:
    connection = members.connect(1)
    connection.request("GET", "/metrics")
    said = connection.getresponse().read().decode()
    connection.close()
    (value,) = [line.split()[1] for line in said.splitlines() if line.startswith(f"{name} ")]
    return float(value)


def permissions(members: Members, name: str) -> list[tuple[str, bytes, bytes]]:
    answer = members.call(1, "auth/role/get", {"role": name}, members.token())
    return sorted(
        (
            one.get("permType", "READ"),
            base64.b64decode(one["key"]),
            base64.b64decode(one.get("range_end", "")),
        )
        for one in answer.get("perm", [])
    )


def roles_of(members: Members, name: str) -> list[str]:
    answer = members.call(1, "auth/user/get", {"name": name}, members.token())
    found = answer.get("roles", [])
    assert isinstance(found, list)
    return found


def test_a_role_has_what_is_declared_and_no_more(members: Members) -> None:
    app = role(
        "app",
        ("readwrite", "prefix", "/app/"),
        ("read", "key", "/a b/ü"),
        ("write", "range", "/c", "/f"),
        ("read", "prefix", "ü"),
    )
    assert declare(members, *app)[0].startswith("role app: made, ")
    assert permissions(members, "app") == [
        ("READ", "/a b/ü".encode(), b""),
        ("READ", "ü".encode(), b"\xc3\xbd"),
        ("READWRITE", b"/app/", b"/app0"),
        ("WRITE", b"/c", b"/f"),
    ]

    # A key that is written otherwise, one that comes, and one that goes.
    said = declare(members, *role("app", ("read", "prefix", "/app/"), ("write", "prefix", "")))
    assert permissions(members, "app") == [("READ", b"/app/", b"/app0"), ("WRITE", b"\0", b"\0")]
    changes = (
        "role app: read on /app/... given, write on every key given, /a b/ü taken, /c to /f taken,"
        " ü... taken"
    )
    assert said == [changes, OTHERS]


def test_every_key_means_every_key(members: Members) -> None:
    declare(members, *role("all", ("readwrite", "prefix", "")), *user("app", "all"))
    token = lets_in(members, "app")
    for key in (b"\x00", b"/app/a", b"\xff\xff"):
        body = {"key": base64.b64encode(key).decode(), "value": ""}
        assert "header" in members.call(1, "kv/put", body, token)


def test_nothing_is_written_where_nothing_differs(members: Members) -> None:
    declare(members, *APP, *user("app", "app"))
    before = revision(members)
    token = lets_in(members, "app")

    said = declare(members, *APP, *user("app", "app"))
    assert said == ["roles and users are as declared", OTHERS]
    assert revision(members) == before
    assert "header" in members.call(
        1, "kv/range", {"key": base64.b64encode(b"/app/a").decode()}, token
    )


def test_one_run_sets_up_all_that_is_declared(members: Members) -> None:
    options = (
        *(*APP, "--role-grant", "app", "read", "key", "/shared", "--role", "empty"),
        *(*user("app", "app"), "--user", "ops"),
    )
    stdin = logins("app") + json.dumps({"name": "ops", "password": "other"}) + "\n"

    def run(*more: str, check: bool = True) -> Done:
        return members.run(1, "declare", *options, *more, stdin=stdin, check=check)

    assert run().stdout.splitlines() == [
        "role app: made, readwrite on /app/... given, read on /shared given",
        "role empty: made",
        "user app: made, role app given",
        "user ops: made",
        OTHERS,
    ]
    assert lets_in(members, "app")
    assert lets_in(members, "ops", "other")
    before = revision(members)
    assert run().stdout.startswith("roles and users are as declared\n")
    assert revision(members) == before

    members.call(1, "auth/role/add", {"name": "by hand"}, members.token())
    assert "nobody declared role by hand" in run().stdout
    assert "removed, since nobody declared role by hand" in run("--remove").stdout

    # What is wrong is said before anything is done, else with the name that it is about.
    for more, message in (
        (("--user", "zoe"), "the login of user zoe is missing"),
        (("--user-role", "zoe", "app"), "--user-role zoe needs --user zoe"),
        (("--role-grant", "other", "read", "key", "/a"), "--role-grant other needs --role other"),
        (("--role-grant", "app", "own", "key", "/a"), "read, write or readwrite, and not `own`"),
        (("--role", "root"), "role root is always there"),
        (("--user-role", "ops", "gone"), "user ops: etcd refuses auth/user/grant"),
    ):
        assert message in run(*more, check=False).stderr


@pytest.mark.parametrize("password", [SECRET, "a" * 72, " ", "\\", '"', "ü" * 36])
def test_any_printable_password_works(members: Members, password: str) -> None:
    declare(members, *user("app"), password=password)
    assert lets_in(members, "app", password)
    assert not lets_in(members, "app", "x" + password[1:])


def test_another_password_works_and_the_old_one_is_refused(members: Members) -> None:
    declare(members, *APP, *user("app", "app"))
    token = lets_in(members, "app")
    said = declare(members, *APP, *user("app", "app"), password="new")
    assert said == ["user app: its password changed", OTHERS]
    assert lets_in(members, "app", "new")
    assert not lets_in(members, "app", SECRET)
    refused = members.call(1, "kv/range", {"key": "L2FwcC9h"}, token)
    assert "invalid auth token" in refused["message"]


def test_a_user_that_somebody_made_by_hand_is_taken_over(members: Members) -> None:
    token = members.token()
    roles = [word for name in ("own", "other") for word in role(name, ("read", "key", f"/{name}"))]
    declare(members, *roles)
    members.call(1, "auth/user/add", {"name": "app", "password": "of a person"}, token)
    members.call(1, "auth/user/grant", {"user": "app", "role": "other"}, token)
    members.call(1, "auth/user/add", {"name": "nobody", "options": {"no_password": True}}, token)

    assert declare(members, *roles, *user("app", "own"), *user("nobody", "own")) == [
        "user app: its password changed, role own given, role other taken",
        "user nobody: its password changed, made, role own given",
        OTHERS,
    ]
    assert (lets_in(members, "app", "of a person"), roles_of(members, "app")) == (None, ["own"])
    assert lets_in(members, "app")

    # etcd never gives a password to a user that was made without one.
    assert lets_in(members, "nobody")
    assert roles_of(members, "nobody") == ["own"]


def test_a_role_that_goes_says_who_had_it(members: Members) -> None:
    declare(members, *APP, *user("app", "app"), *user("other", "app"))
    assert drop(members, "user", "app") == "user app is removed\n"
    said = drop(members, "role", "app")
    assert "user other had role app, and is left without it" in said
    assert roles_of(members, "other") == []
    # Again, as after a half-done run.
    assert drop(members, "user", "app") == "user app is removed\n"
    assert drop(members, "role", "app") == "role app is removed\n"


def test_what_nobody_declared_is_told_and_removed_only_when_asked(members: Members) -> None:
    declared = (*APP, *user("app", "app"))
    assert declare(members, *declared)[-1] == OTHERS

    token = members.token()
    for name in ("of a, person", "zoë"):
        members.call(1, "auth/user/add", {"name": name, "password": "p"}, token)
    members.call(1, "auth/role/add", {"name": "by hand"}, token)
    as_declared, said = declare(members, *declared)
    assert as_declared == "roles and users are as declared"
    assert said.startswith(
        "warning: nobody declared user of a, person, zoë and role by hand; declare"
    )
    assert "etcd_undeclared_access: remove" in said
    assert lets_in(members, "zoë", "p")

    said = declare(members, *declared, "--remove")[-1]
    assert said == "removed, since nobody declared user of a, person, zoë and role by hand"
    token = members.token()
    assert sorted(members.call(1, "auth/user/list", token=token)["users"]) == ["app", "root"]
    assert sorted(members.call(1, "auth/role/list", token=token)["roles"]) == ["app", "root"]


def test_what_was_declared_until_now_is_not_called_undeclared(members: Members) -> None:
    declare(members, *APP, *user("app", "app"))
    # Its own delete comes right after.
    assert declare(members, *APP)[-1] == OTHERS
    assert "nobody declared user app" in declare(members, *APP)[-1]


@pytest.mark.parametrize(
    ("subcommand", "options", "message"),
    [
        ("declare", role("root"), "role root is always there"),
        ("declare", user("root"), "user root is always there"),
        ("drop-role", ("--name", "root"), "role root is always there"),
        ("drop-user", ("--name", "root"), "user root is always there"),
        ("declare", role(""), "`` is not the name of a role"),
        ("drop-role", (), "`` is not the name of a role"),
        ("declare", user('a"b'), '`a"b` is not the name of a user'),
        ("declare", user("app", "a b"), "`a b` is not the name of a role"),
        ("declare", role("app", ("read", "range", "/a")), "needs key KEY, prefix PREFIX or range"),
        ("declare", role("app", ("read", "keys", "/a")), "not for a `keys`"),
        ("declare", user("other"), "the login of user other is missing"),
    ],
)
def test_what_cannot_be_is_refused(
    members: Members, subcommand: str, options: tuple[str, ...], message: str
) -> None:
    refused = members.run(1, subcommand, *options, stdin=logins("app"), check=False)
    assert refused.returncode == 1
    assert message in refused.stderr


def test_a_role_that_is_not_there_is_no_role_to_give(members: Members) -> None:
    refused = declare(members, *user("app", "app"), check=False)[-1]
    assert "etcd refuses auth/user/grant: etcdserver: role name not found" in refused
    assert declare(members, *APP, *user("app", "app")) == [
        "role app: made, readwrite on /app/... given",
        "user app: role app given",
        OTHERS,
    ]


def test_a_run_that_was_killed_half_way_is_completed(members: Members) -> None:
    declare(members, *APP)
    for path, body in (
        ("auth/user/add", {"name": "app", "password": SECRET}),
        ("auth/role/add", {"name": "half"}),
    ):
        members.call(1, path, body, members.token())
    half = role("half", ("read", "key", "/a"), ("read", "key", "/b"))
    assert declare(members, *APP, *half, *user("app", "app")) == [
        "role half: read on /a given, read on /b given",
        "user app: role app given",
        OTHERS,
    ]
    assert len(permissions(members, "half")) == 2

    # Killed at any moment, it leaves nothing that the next run does not finish.
    many = role("many", *(("read", "key", f"/k{n}") for n in range(MANY)))
    declared = (*many, *user("app", "many"))
    before = metric(members, "etcd_debugging_auth_revision")
    begun = members.begin(1, "declare", *declared, stdin=logins("app"))
    # No login here, which could cross the changes and be refused until all are made.
    eventually("it has begun", lambda: metric(members, "etcd_debugging_auth_revision") > before + 5)
    members.kill_program(1, "declare")
    begun.wait(timeout=20)
    assert 3 < len(permissions(members, "many")) < MANY
    assert roles_of(members, "app") == ["app"]
    declare(members, *declared)
    assert len(permissions(members, "many")) == MANY
    assert roles_of(members, "app") == ["many"]


def test_elections_and_changes_by_others_do_not_disturb_it(members: Members) -> None:
    done = threading.Event()
    moves: list[float] = []

    def disturb() -> None:
        token: Any = members.token(2)
        while not done.is_set():
            members.call(2, "auth/role/add", {"name": "noise"}, token)
            members.call(2, "auth/role/delete", {"role": "noise"}, token)
            members.make_leader(2 + len(moves) % 2)
            moves.append(time.monotonic())

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        for turn in range(10):
            app = role("app", ("readwrite", "prefix", f"/app{turn}/"))
            declare(members, *app, *user("app", "app"), password=f"{SECRET}{turn}")
    finally:
        done.set()
        disturber.join()
    assert len(moves) > 3
    assert permissions(members, "app") == [("READWRITE", b"/app9/", b"/app90")]
    assert lets_in(members, "app", f"{SECRET}9")


def test_it_goes_on_while_the_member_s_own_etcd_is_restarted(members: Members) -> None:
    restart = subprocess.Popen(
        members.lab.exec_command(members.node(1), ["systemctl", "restart", "etcd"])
    )
    declare(members, *APP, *user("app", "app"))
    restart.wait(timeout=30)
    eventually("the user is let in", lambda: lets_in(members, "app"))


@pytest.mark.parametrize("version", ["3.5.35", "3.7.3"])
def test_it_is_the_same_with_every_line_of_releases_and_with_signed_tokens(
    cluster: Cluster, version: str
) -> None:
    one = cluster(1, version=version, token_keys=token_keys()).found(access=True)
    many = role(
        "app",
        ("readwrite", "prefix", "/app/"),
        ("read", "key", "/a"),
        ("write", "range", "/c", "/f"),
    )
    declare(one, *many, *user("app", "app"))
    assert len(permissions(one, "app")) == 3
    assert declare(one, *many, *user("app", "app")) == ["roles and users are as declared", OTHERS]

    declare(one, *APP, *user("app"), password="new")
    one.call(1, "auth/user/add", {"name": "zoë", "password": "p"}, one.token())
    said = declare(one, *APP, *user("app"), password="new")
    assert said[0] == "roles and users are as declared"
    assert "nobody declared user zoë;" in said[1]
    assert permissions(one, "app") == [("READWRITE", b"/app/", b"/app0")]
    assert (roles_of(one, "app"), lets_in(one, "app", SECRET)) == ([], None)
    assert lets_in(one, "app", "new")
    assert "is removed" in drop(one, "user", "app") + drop(one, "role", "app")
