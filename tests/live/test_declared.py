"""Roles, users and clients are what the inventory declares, through all that a cluster lives."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import Any

from lab import Lab
from tests.live.cluster import Asked
from tests.live.conftest import Ask, inventory
from tests.live.hosts import names, write_hosts
from tests.live.nodes import FIRST, shell
from tests.live.secrets import files_with, marks
from tests.live.stack import Outcome, Project, Stack

PASSWORD = "pässwörd \"of\" a 'person' $(id) \\ 密码 🔑"
OTHER = "an0ther pässwörd {of} `it` %s"
PATH = "inventory.etcd.vars.etcd_users.app.password"

DECLARED: dict[str, Any] = {
    "etcd_roles": {
        "app": [
            {"permission": "readwrite", "prefix": "/app/"},
            {"permission": "read", "key": "/shared"},
        ],
        "old": [{"permission": "read", "prefix": ""}],
    },
    "etcd_users": {"app": {"roles": ["app"]}, "old": {"roles": ["old"]}},
    "etcd_clients": {
        "pg-main": {"kind": "patroni", "prefix": "/pg/main/"},
        "vip-main": {"kind": "vip-manager", "prefix": "/pg/main/"},
        "tool": {"kind": "plain", "prefix": "/tool/"},
    },
}


class Login:
    """The cluster as one of its users."""

    def __init__(self, asked: Asked, stack: Stack, name: str, password: str = "") -> None:
        self._asked = asked
        self._name = name
        self._password = password or stack.output("user_passwords")[name]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._asked.run(*words, ETCDCTL_USER=self._name, ETCDCTL_PASSWORD=self._password)

    def may(self, *words: str) -> bool:
        done = self.run(*words)
        denied = "permission denied" in done.stderr
        assert denied or done.returncode == 0, done.stderr
        return not denied

    @property
    def is_refused(self) -> bool:
        done = self.run("get", "/app/a")
        return "invalid user ID or password" in done.stderr


def changes(preview: Outcome) -> set[tuple[str, str]]:
    """What a preview with `--diff` says of each Command and Stash: its name, and what happens."""
    kinds = "command:remote:Command|pulumi:index:Stash"
    found = re.findall(
        rf"(?:{kinds}): \((\w+)\)\n(?: +\[id=.*\]\n)? +\[urn=.*::(\S+)\]", preview.text
    )
    return {(name, what) for what, name in found}


def test_access_is_what_is_declared(nodes: Lab, project: Project, ask: Ask) -> None:
    stack = project.stack({"sshUser": "admin"} | inventory(nodes, 3, **DECLARED))
    give_password(stack, PASSWORD)
    stack.up()
    assert stack.output("user_passwords")["app"] == PASSWORD

    def as_user(name: str, password: str = "") -> Login:
        return Login(ask(stack), stack, name, password)

    everybody_may_do_what_is_declared(as_user)
    generated = stack.output("user_passwords")["tool"]
    ask(stack)("user", "add", "stranger", "--no-password")
    everything_changes_at_once(stack)
    assert as_user("app", PASSWORD).is_refused
    assert as_user("tool", generated).is_refused
    assert as_user("app").may("put", "/application/a", "1")
    assert not as_user("app").may("get", "/app/a")
    # Two users of one prefix, so that its clients change over without a gap.
    assert as_user("tool").may("put", "/tool/a", "1")
    assert as_user("next").may("put", "/tool/a", "2")
    there = ["app", "next", "pg-main", "root", "stranger", "tool", "vip-main"]
    assert ask(stack)("user", "list").splitlines() == there

    # Killed between two users, the next run does the rest; and what nobody declared goes.
    edit(stack, "etcd_users", **{name: {"roles": ["app"]} for name in ("a", "b", "c")})
    stack.edit(etcd_undeclared_access="remove")
    stack.killed_when("Command etcd-user-a created")
    assert "removed, since nobody declared user stranger" in stack.up().text
    assert as_user("c").may("put", "/application/c", "1")
    assert stack.up().changed == {}
    assert "stranger" not in ask(stack)("user", "list")
    assert files_with(marks(project.secrets), [project.printed]) == []


def everybody_may_do_what_is_declared(as_user: Callable[[str], Login]) -> None:
    app, patroni, vip = as_user("app"), as_user("pg-main"), as_user("vip-main")
    assert app.may("put", "/app/a", "1")
    assert app.may("get", "/shared")
    assert not app.may("put", "/shared", "1")
    assert not app.may("get", "--prefix", "/")
    assert patroni.may("put", "/pg/main/leader", "one")
    assert not patroni.may("get", "/pg/main2/leader")
    assert vip.may("get", "/pg/main/leader")
    assert not vip.may("get", "/pg/main/config")
    assert not vip.may("put", "/pg/main/leader", "two")
    assert as_user("tool").may("put", "/tool/a", "1")
    assert as_user("old").may("get", "--prefix", "")


def everything_changes_at_once(stack: Stack) -> None:
    """A given password, a generated one, rights, a user that goes, and one that comes."""
    edit(
        stack,
        "etcd_clients",
        tool={"kind": "plain", "prefix": "/tool/", "password_generation": 2},
    )
    edit(stack, "etcd_roles", app=[{"permission": "readwrite", "prefix": "/application/"}])
    edit(stack, "etcd_users", old=None, next={"roles": ["tool"]})
    give_password(stack, OTHER)
    seen = stack.preview()
    assert changes(seen) == {
        ("etcd-role-app", "update"),
        ("etcd-user-app", "update"),
        ("etcd-user-tool", "update"),
        ("etcd-user-next", "create"),
        ("etcd-user-old", "delete"),
        ("etcd-declared", "update"),
        *(("etcd-password-tool-2", "create"), ("etcd-password-tool-1", "delete")),
        *(("etcd-password-next-1", "create"), ("etcd-password-old-1", "delete")),
    }
    assert "--role-grant app readwrite prefix /app/" in seen.text
    assert "--role-grant app readwrite prefix /application/" in seen.text
    changed = stack.up().text
    assert "role app: readwrite on /application/... given, /app/... taken, /shared taken" in changed
    assert "user app: its password changed" in changed
    assert "user tool: its password changed" in changed
    assert "warning: nobody declared user stranger; declare" in changed
    assert "- nobody declared user stranger;" in stack.status().text


def test_access_outlives_the_member_that_sets_it_up(nodes: Lab, project: Project, ask: Ask) -> None:
    stack = project.stack(inventory(nodes, 3, **DECLARED))
    stack.up()
    kept = stack.output("user_passwords")

    # Lost, and somebody new and somebody who goes in the edit after.
    nodes.kill(FIRST)
    write_hosts(stack, nodes, {1: {"etcd_lost": True}, 2: {}, 3: {}, 4: {}}, **DECLARED)
    edit(stack, "etcd_users", new={"roles": ["app"]})
    stack.up()
    write_hosts(stack, nodes, {3: {}, 4: {}, 5: {}}, **DECLARED)
    edit(stack, "etcd_users", old=None)
    stack.up()
    asked = ask(stack)
    asked.assert_one_healthy_cluster(*names(3, 4, 5))
    assert asked("user", "list").splitlines() == ["app", "pg-main", "root", "tool", "vip-main"]
    assert asked("role", "list").splitlines() == [
        *("app", "old", "pg-main", "root", "tool", "vip-main")
    ]
    assert Login(asked, stack, "app", kept["app"]).may("put", "/app/a", "1")

    # The whole cluster goes, though nobody could be removed from it any more.
    for seq in (4, 5):
        shell(nodes, FIRST + seq - 1, "systemctl stop etcd")
    assert stack.destroy().counts["deleted"] > 0


def give_password(stack: Stack, password: str) -> None:
    """As the documentation says it is set in an inventory."""
    stack.project.secrets.add(password)
    stack.pulumi("config", "set", "--secret", "--path", f"etcd:{PATH}", stdin=password)


def edit(stack: Stack, variable: str, **entries: Any) -> None:
    """Edit entries of a mapping in the inventory; one of None is taken out."""
    config = stack.config
    there = config["inventory"]["etcd"]["vars"][variable]
    for name, entry in entries.items():
        if entry is None:
            del there[name]
        else:
            there[name] = entry
    stack.write(config)
