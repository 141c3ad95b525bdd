"""Declared access as it is registered: one Command for all, and a row for each role and user."""

import itertools
import json
from typing import Any

import pytest

from etcd_component.model import Client, Permission, Role, User
from tests.unit.recording import OWNER, PASSWORD, Recording, cluster, record

SECRET = "s3cret \"of\" a 'üser' 🔑"
APP = Role("app", (Permission("readwrite", "prefix", "/app/"), Permission("read", "key", "/a b")))
RANGE = Role("range", (Permission("write", "range", "/a", "/b"),))
PATRONI = Client("pg-main", "patroni", Permission("readwrite", "prefix", "/pg/main/"))

ORDER = [
    "etcd-access",
    "etcd-role-app",
    "etcd-role-pg-main",
    "etcd-role-range",
    "etcd-user-ops",
    "etcd-user-pg-main",
    "etcd-user-zoe",
    "etcd-declared",
]


def declaring(**settings: Any) -> Recording:
    users = (User("ops", ("root",)), User("zoe", ("app", "pg-main"), SECRET))
    wanted = {"roles": (APP, RANGE), "users": users, "clients": (PATRONI,)}
    return record(cluster(3, **{**wanted, **settings}))


@pytest.fixture(scope="module")
def declared() -> Recording:
    return declaring()


def test_what_is_declared_adds_its_commands_and_no_other(declared: Recording) -> None:
    assert set(declared.commands) - set(record(cluster(3)).commands) == set(ORDER[1:])


def test_one_command_says_what_is_declared_with_a_line_for_each_fact(declared: Recording) -> None:
    said = declared.command("etcd-declared").inputs["create"].split(" \\\n  ")
    assert said == [
        "sudo -n /usr/local/sbin/etcd-node declare",
        "--cluster etcd",
        f"--owner {OWNER}",
        "--instance etcd-1",
        "--role app",
        "--role-grant app readwrite prefix /app/",
        "--role-grant app read key '/a b'",
        "--role pg-main",
        "--role-grant pg-main readwrite prefix /pg/main/",
        "--role range",
        "--role-grant range write range /a /b",
        "--user ops",
        "--user-role ops root",
        "--user pg-main",
        "--user-role pg-main pg-main",
        "--user zoe",
        "--user-role zoe app",
        "--user-role zoe pg-main",
    ]


def test_no_number_of_users_makes_more_than_one_login(declared: Recording) -> None:
    assert [name for name in ORDER[1:] if name in declared.node_commands] == ["etcd-declared"]
    # A Command without `create` is logged like any other, so no run of it is found to be missing.
    for name in ORDER[1:-1]:
        assert not {"create", "update", "logging"} & declared.command(name).inputs.keys()


def test_they_come_one_after_another_when_authentication_is_on(declared: Recording) -> None:
    for before, after in itertools.pairwise(ORDER):
        assert before in declared.command(after).depends_on
    first = declared.command("etcd-access").inputs["connection"]
    assert all(declared.command(name).inputs["connection"] == first for name in ORDER)


def test_they_are_removed_before_the_member_leaves_by_way_of_which_they_are(
    declared: Recording,
) -> None:
    for name in ORDER[1:]:
        assert "etcd-1-member" in declared.command(name).depends_on


def test_what_is_no_longer_declared_is_removed_by_its_own_delete(declared: Recording) -> None:
    for name, subcommand in (("role-app", "drop-role"), ("user-zoe", "drop-user")):
        said = declared.command(f"etcd-{name}").inputs["delete"]
        assert f"etcd-node {subcommand} \\\n  --cluster etcd \\\n  --owner " in said
        # A cluster that is taken down does not lose its users one by one.
        assert declared.command(f"etcd-{name}").deleted_with == "etcd-genesis"
    assert "delete" not in declared.command("etcd-declared").inputs


def test_the_logins_are_lines_of_json_that_only_the_node_sees(declared: Recording) -> None:
    found = declared.command("etcd-declared")
    assert found.is_secret("stdin")
    root, ops, client, zoe = found.inputs["stdin"]["value"].splitlines()
    assert json.loads(root) == {"name": "root", "password": PASSWORD}
    assert json.loads(zoe) == {"name": "zoe", "password": SECRET}
    assert [json.loads(one)["name"] for one in (ops, client)] == ["ops", "pg-main"]
    assert zoe.isascii()
    for name, one in declared.commands.items():
        assert name not in ORDER or one.is_secret("stdin")
        for secret in (SECRET, json.dumps(SECRET)[1:-1], "s3cret"):
            assert secret not in one.script, name


def test_a_password_that_is_not_given_is_made_once_for_each_generation(
    declared: Recording,
) -> None:
    kept = declared.stash("etcd-password-pg-main-1")
    assert kept.is_secret("input")
    assert kept.ignore_changes == ("input",)
    assert ("pulumi:index:Stash", "etcd-password-zoe-1") not in declared.resources

    passwords = declared.outputs["etcd"]["user_passwords"]
    assert passwords["zoe"] == SECRET
    assert len(passwords["pg-main"]) == len(passwords["ops"]) == 32
    assert passwords["pg-main"] != passwords["ops"]
    assert "user_passwords" in declared.secret_outputs

    later = declaring(users=(User("ops", (), password_generation=2),))
    assert ("pulumi:index:Stash", "etcd-password-ops-2") in later.resources
    assert ("pulumi:index:Stash", "etcd-password-ops-1") not in later.resources


def test_only_who_changes_has_a_row_in_the_preview(declared: Recording) -> None:
    roles = (Role("app", APP.permissions[:1]), RANGE, Role("new", ()))
    users = (User("ops", ("app",)), User("zoe", ("app", "pg-main"), "another"))
    later = declaring(roles=roles, users=users)

    def content(of: Recording, name: str) -> tuple[Any, ...]:
        one = of.command(name)
        generated = name == "etcd-user-pg-main"
        return one.inputs.get("create"), one.inputs["delete"], generated or one.inputs["stdin"]

    rows = ORDER[1:-1]
    changed = {name for name in rows if content(declared, name) != content(later, name)}
    assert changed == {"etcd-role-app", "etcd-user-ops", "etcd-user-zoe"}
    assert "etcd-role-new" in later.commands


def test_undeclared_access_is_removed_only_where_that_is_said() -> None:
    assert "--remove" not in declaring().command("etcd-declared").inputs["create"]
    found = declaring(undeclared_access="remove")
    assert "--remove" in found.command("etcd-declared").inputs["create"]
    # Also where nothing is declared any more.
    nothing = record(cluster(1, undeclared_access="remove"))
    assert "--remove" in nothing.command("etcd-declared").inputs["create"]
