"""Declared access: roles, users and clients as they are read, and which mistakes are found."""

from collections.abc import Callable
from typing import Any

import pytest

from etcd_component.mistake import Mistake
from etcd_component.model import Client, Cluster, Permission, Role, User

Mistakes = Callable[..., tuple[Mistake, ...]]
MakeCluster = Callable[..., Cluster]

APP = {"etcd_roles": {"app": [{"permission": "readwrite", "prefix": "/app/"}]}}


def group(**vars_: Any) -> dict[str, Any]:
    """An inventory of one cluster."""
    return {"etcd": {"hosts": {"10.10.10.10": {"etcd_seq": 1}}, "vars": vars_}}


def test_a_role_may_read_and_write_a_key_a_prefix_and_a_range(cluster: MakeCluster) -> None:
    made = cluster(
        etcd_roles={
            "app": [
                {"permission": "readwrite", "prefix": "/app/"},
                {"permission": "read", "key": "/a b/ü"},
                {"permission": "write", "range": ["/a", "/b"]},
                {"permission": "read", "prefix": ""},
            ],
            "Idle_1": [],
        }
    )
    assert made.settings.roles == (
        Role("Idle_1", ()),
        Role(
            "app",
            (
                Permission("readwrite", "prefix", "/app/"),
                Permission("read", "key", "/a b/ü"),
                Permission("write", "range", "/a", "/b"),
                Permission("read", "prefix", ""),
            ),
        ),
    )


def test_a_user_has_roles_and_a_password_of_its_own_or_none_yet(cluster: MakeCluster) -> None:
    made = cluster(
        **APP,
        etcd_clients={"tool": {"kind": "plain", "prefix": "/tool/"}},
        etcd_users={
            "app": {"roles": ["tool", "app"], "password": "wörd {with} 'all' \"of it\" \\"},
            "ops.me@example": {"roles": ["root"], "password_generation": 2},
            "idle": {"roles": []},
        },
    )
    assert made.settings.users == (
        User("app", ("app", "tool"), "wörd {with} 'all' \"of it\" \\"),
        User("idle", ()),
        User("ops.me@example", ("root",), password_generation=2),
    )


@pytest.mark.parametrize(
    ("written", "permission"),
    [
        ({"kind": "patroni", "prefix": "/pg/main/"}, ("readwrite", "prefix", "/pg/main/")),
        ({"kind": "vip-manager", "key": "/pg/main/leader"}, ("read", "key", "/pg/main/leader")),
        ({"kind": "vip-manager", "prefix": "/pg/main/"}, ("read", "key", "/pg/main/leader")),
        ({"kind": "plain", "prefix": "/tool/"}, ("readwrite", "prefix", "/tool/")),
        (
            {"kind": "plain", "prefix": "/tool/", "permission": "read"},
            ("read", "prefix", "/tool/"),
        ),
    ],
)
def test_a_client_may_do_the_least_that_its_kind_needs(
    cluster: MakeCluster, written: dict[str, Any], permission: tuple[Any, ...]
) -> None:
    (client,) = cluster(etcd_clients={"one": written}).settings.clients
    assert client == Client("one", written["kind"], Permission(*permission))


def test_a_client_brings_a_role_and_a_user_of_its_name(cluster: MakeCluster) -> None:
    made = cluster(
        **APP,
        etcd_users={"zoe": {"roles": ["app"]}},
        etcd_clients={
            "pg-main": {
                "kind": "patroni",
                "prefix": "/pg/main/",
                "password_generation": 3,
                "cert_generation": 4,
                "revoked": [3, 1, 3],
            }
        },
    )
    (client,) = made.settings.clients
    assert (client.cert_generation, client.revoked) == (4, (1, 3))
    assert [one.name for one in made.all_roles] == ["app", "pg-main"]
    assert made.all_roles[1] == Role("pg-main", (Permission("readwrite", "prefix", "/pg/main/"),))
    assert made.all_users == (
        User("pg-main", ("pg-main",), None, 3),
        User("zoe", ("app",)),
    )


def test_serial_numbers_are_told_apart_by_their_value(cluster: MakeCluster) -> None:
    found = cluster(etcd_revoked=["0A:1B", "a1b", "00ff"]).settings.revoked
    assert found == ("a1b", "ff")


PERMISSION = "etcd.vars.etcd_roles.app[1]"
USER = "etcd.vars.etcd_users.app"
CLIENT = "etcd.vars.etcd_clients.one"


def plain(**fields: Any) -> dict[str, Any]:
    return {"etcd_clients": {"one": {"kind": "plain", "prefix": "/app/"} | fields}}


def patroni(**fields: Any) -> dict[str, Any]:
    return {"etcd_clients": {"one": {"kind": "patroni"} | fields}}


def user(**fields: Any) -> dict[str, Any]:
    return APP | {"etcd_users": {"app": {"roles": ["app"]} | fields}}


def role(*permissions: Any) -> dict[str, Any]:
    return {"etcd_roles": {"app": list(permissions)}}


@pytest.mark.parametrize(
    ("vars_", "place", "problem", "cure"),
    [
        ({"etcd_roles": []}, "etcd.vars.etcd_roles", "it is a list, not a mapping", "one `name:"),
        (
            {"etcd_roles": {"root": []}},
            "etcd.vars.etcd_roles.root",
            "root is not declared",
            "its password is etcd_root_password",
        ),
        ({"etcd_users": {"root": {"roles": []}}}, "etcd.vars.etcd_users.root", "root is not", ""),
        ({"etcd_users": {"a:b": {"roles": []}}}, "etcd.vars.etcd_users.a:b", "not a name", "ASCII"),
        ({"etcd_users": {"-x": {"roles": []}}}, "etcd.vars.etcd_users.-x", "not a name", "ASCII"),
        ({"etcd_users": {"a" * 65: {"roles": []}}}, "", "has 65 characters", "64 or fewer"),
        ({"etcd_users": {12: {"roles": []}}}, "etcd.vars.etcd_users.12", "12 is not text", '"12"'),
        ({"etcd_roles": {"app": None}}, "etcd.vars.etcd_roles.app", "it has no value", ""),
        ({"etcd_roles": {"app": {}}}, "etcd.vars.etcd_roles.app", "a mapping, not a list", "[{"),
        (role("/app/"), PERMISSION, "it is text, not a mapping", "key, prefix and range"),
        (role({"permission": "read"}), PERMISSION, "does not say for which keys", "one of key"),
        (role({"prefix": "/a/"}), PERMISSION, "what may be done", "read, write or readwrite"),
        (
            role({"permission": "read", "key": "/a", "prefix": "/a/"}),
            PERMISSION,
            "it has key and prefix",
            "one of key, prefix and range",
        ),
        (
            role({"permission": "readwrit", "prefix": "/a/"}),
            f"{PERMISSION}.permission",
            '"readwrit" is not one of read, write, readwrite',
            "did you mean readwrite?",
        ),
        (
            role({"permision": "read", "prefix": "/a/"}),
            f"{PERMISSION}.permision",
            "there is no such field",
            "did you mean permission?",
        ),
        (role({"permission": "read", "key": ""}), f"{PERMISSION}.key", "it is empty", ""),
        (role({"permission": "read", "key": 7}), f"{PERMISSION}.key", "7 is not text", "quotes"),
        (
            role({"permission": "read", "key": "/a\nb"}),
            f"{PERMISSION}.key",
            "do not print",
            "printable",
        ),
        (
            role({"permission": "read", "range": ["/b", "/a"]}),
            f"{PERMISSION}.range",
            '"/b" does not come before "/a"',
            "the first key",
        ),
        (
            role({"permission": "read", "range": ["/b"]}),
            f"{PERMISSION}.range",
            "is not a list of two keys",
            "",
        ),
        (
            role({"permission": "read", "key": "/a"}, {"permission": "write", "key": "/a"}),
            "etcd.vars.etcd_roles.app[2]",
            'the key "/a" stands in this role twice',
            "readwrite is both",
        ),
        (
            role(
                {"permission": "read", "prefix": "/a"},
                {"permission": "write", "range": ["/a", "/b"]},
            ),
            "etcd.vars.etcd_roles.app[2]",
            'the range "/a" stands in this role twice',
            "readwrite is both",
        ),
        ({"etcd_users": {"app": {}}}, USER, "not said what this user may do", "roles: [app]"),
        (user(roles="app"), f"{USER}.roles", '"app" is not a list', "[app]"),
        (user(roles=["app", "app"]), f"{USER}.roles", "has a name twice", "once"),
        (user(roles=["ap"]), f"{USER}.roles", "no role ap is declared", "did you mean app?"),
        (user(roles=["zzz"]), f"{USER}.roles", "no role zzz", "declare it in etcd_roles"),
        (user(pasword="secret"), f"{USER}.pasword", "no such field", "did you mean password?"),
        (user(password=""), f"{USER}.password", "it is empty", "to have one generated"),
        (user(password="a\tb"), f"{USER}.password", "does not print", "printable"),
        (user(password="é" * 37), f"{USER}.password", "it has 74 bytes", "bcrypt takes no more"),
        (user(password="a", password_generation=2), USER, "password and password_gen", "keep one"),
        (plain(password="a", password_generation=2), CLIENT, "password and password_gen", "keep"),
        (user(password=1234), f"{USER}.password", "it is not text", "quotes"),
        (user(password_generation=0), f"{USER}.password_generation", "not between 1 and", ""),
        (plain(cert_generation=101), f"{CLIENT}.cert_generation", "not between 1 and 100", ""),
        (
            APP | {"etcd_clients": {"app": {"kind": "plain", "prefix": "/a/"}}},
            "etcd.vars.etcd_clients.app",
            "etcd.vars.etcd_roles has a role of that name too",
            "call one of them otherwise",
        ),
        (
            {
                "etcd_users": {"app": {"roles": []}},
                "etcd_clients": {"app": {"kind": "plain", "prefix": "/a/"}},
            },
            "etcd.vars.etcd_clients.app",
            "etcd.vars.etcd_users has a user of that name too",
            "call one of them otherwise",
        ),
        ({"etcd_clients": {"one": {}}}, CLIENT, "it has no kind", "patroni, vip-manager or plain"),
        (plain(kind="patron"), f"{CLIENT}.kind", "is not one of patroni", "did you mean patroni?"),
        (patroni(), CLIENT, "a client of kind patroni needs a prefix", "prefix: /pg/main/"),
        (patroni(prefix="/pg/main"), f"{CLIENT}.prefix", "covers /pg/main2", "/pg/main/"),
        (patroni(prefix="pg/main/"), f"{CLIENT}.prefix", "not begin with a slash", "/pg/main/"),
        (patroni(prefix="/pg//main/"), f"{CLIENT}.prefix", "has an empty part", "slashes out"),
        (patroni(prefix=""), f"{CLIENT}.prefix", "covers the keys of all others", "etcd_roles"),
        (patroni(prefix="/"), f"{CLIENT}.prefix", "covers the keys of all others", "etcd_roles"),
        (
            patroni(prefix="/p/", permission="read"),
            CLIENT,
            "permission is not for kind patroni",
            "",
        ),
        (plain(key="/app/x"), CLIENT, "key is not for kind plain", "only vip-manager has one"),
        (
            {"etcd_clients": {"one": {"kind": "vip-manager", "key": "/a", "prefix": "/a/"}}},
            CLIENT,
            "it has key and prefix",
            "one of the two",
        ),
        (
            plain(revoked=[2], cert_generation=2),
            CLIENT,
            "generation 2 is the one in use",
            "such as to 3",
        ),
        (plain(revoked=1), f"{CLIENT}.revoked", "1 is not a list", "[1]"),
        ({"etcd_revoked": ["xyz"]}, "etcd.vars.etcd_revoked", "not a serial number", "openssl"),
        ({"etcd_revoked": [12]}, "etcd.vars.etcd_revoked", "not a serial number", "in quotes"),
        ({"etcd_revoked": "0a"}, "etcd.vars.etcd_revoked", "is not a list", "openssl"),
        ({"etcd_undeclared_access": "keep"}, "", "is not one of report, remove", ""),
    ],
)
def test_what_cannot_stand_is_said_where_it_stands(
    mistakes: Mistakes, vars_: dict[str, Any], place: str, problem: str, cure: str
) -> None:
    (mistake,) = mistakes(group(**vars_))
    assert mistake.place == (place or mistake.place)
    assert problem in mistake.problem
    assert cure in mistake.cure


def test_all_mistakes_of_all_entries_are_told_together(mistakes: Mistakes) -> None:
    found = mistakes(
        group(
            etcd_roles={
                "app": [{"permission": "x", "prefix": "/a/"}, {"prefix": "/b/"}],
                "root": [],
            },
            etcd_users={"a": {"roles": ["nobody"], "password": "\n"}, "b": {}},
            etcd_clients={"c": {"kind": "patroni", "prefix": "pg", "typo": 1}},
        )
    )
    assert [one.place.removeprefix("etcd.vars.etcd_") for one in found] == [
        "clients.c.prefix",
        "clients.c.typo",
        "roles.app[1].permission",
        "roles.app[2]",
        "roles.root",
        "users.a.password",
        "users.a.roles",
        "users.b",
    ]


def test_no_message_repeats_a_password(mistakes: Mistakes) -> None:
    secret = "s3cret-and-far-too-long-" * 4
    for vars_ in (user(password=secret), plain(password=[secret]), user(password={secret: 1})):
        (mistake,) = mistakes(group(**vars_))
        assert "s3cret" not in str(mistake)
