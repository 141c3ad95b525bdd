"""Inventories as Pigsty's own samples are (its conf/*.yml): they are read without an edit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etcd_component import inventory
from etcd_component.mistake import Mistake

SAMPLES = Path(__file__).parent / "data" / "pigsty"
WITHOUT_ETCD = "infra.yml"
PASSWORD = "Pigsty's published default"
RETIRED = "etcd_clean is passed over"

ONE = ["10.10.10.10"]
THREE = ["10.10.10.10", "10.10.10.11", "10.10.10.12"]

EXPECTED: dict[str, tuple[list[str], list[str]]] = {
    "meta.yml": (ONE, [PASSWORD]),
    "rich.yml": (ONE, []),
    "full.yml": (ONE, [PASSWORD]),
    "trio.yml": (THREE, []),
    "safe.yml": (THREE, [RETIRED]),
    "slim.yml": (ONE, []),
    "build.yml": (["10.10.10.9"], [RETIRED]),
    "demo.yml": (ONE, []),
    "simu.yml": (["10.10.10.21", "10.10.10.22", "10.10.10.23"], []),
    "wool.yml": (ONE, [PASSWORD]),
}
"""The members' addresses, and a part of each warning."""


def test_every_sample_is_tried() -> None:
    assert {file.name for file in SAMPLES.iterdir()} == {*EXPECTED, WITHOUT_ETCD}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_is_read_without_an_edit(read: Callable[..., Any], name: str) -> None:
    members, parts = EXPECTED[name]
    (cluster,), warnings = read(inventory.read_file(SAMPLES / name), source=name)
    assert cluster.name == "etcd"
    assert [one.node.address for one in cluster.instances] == members
    assert [one.seq for one in cluster.instances] == list(range(1, len(members) + 1))
    assert len(warnings) == len(parts)
    assert all(part in warning for part, warning in zip(parts, warnings, strict=True))


def test_a_way_in_that_another_group_knows_is_taken(read: Callable[..., Any]) -> None:
    (cluster,), _ = read(inventory.read_file(SAMPLES / "build.yml"))
    assert cluster.instances[0].node.login.host == "el9"


def test_a_sample_without_etcd_is_said_to_have_none(mistakes: Callable[..., Any]) -> None:
    (mistake,) = mistakes(inventory.read_file(SAMPLES / WITHOUT_ETCD), source=WITHOUT_ETCD)
    assert mistake.problem == "no host has an etcd_seq, so there is no cluster"


# --- hosts that say on their own line, in any group, of which cluster they are


def _by_host(**more: Any) -> dict[str, Any]:
    line = {"etcd_seq": 1, "etcd_cluster": "events", "etcd_port": 12379, **more}
    return {"nodes": {"hosts": {"a": line, "b": {}}}, "events": {"hosts": {"a": {}}}}


def test_a_host_may_say_its_cluster_where_the_group_of_that_name_lists_it(
    read: Callable[..., Any],
) -> None:
    (cluster,), _ = read(_by_host())
    (instance,) = cluster.instances
    assert (instance.name, instance.client_port) == ("events-1", 12379)


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        ({"hosts": {"a": {"etcd_seq": 2}}}, "says something else"),
        ({"hosts": {"a": {}}, "vars": {"etcd_cluster": "other"}}, "says something else"),
        ({"hosts": {"b": {}}}, "belongs to the cluster, not to one host"),
        ({"hosts": {"a": {}, "b": {}}}, "it is missing, though other hosts of the group have one"),
    ],
)
def test_two_places_that_contradict_each_other_are_refused(
    mistakes: Callable[..., Any], group: dict[str, Any], problem: str
) -> None:
    assert problem in " ".join(one.problem for one in mistakes({**_by_host(), "events": group}))


# --- retired parameters


@pytest.mark.parametrize("name", ["etcd_clean", "etcd_api", "etcd_exists"])
@pytest.mark.parametrize("place", ["vars", "host", "group without etcd"])
def test_a_retired_parameter_is_warned_about_once(
    read: Callable[..., Any], name: str, place: str
) -> None:
    hosts = {
        f"10.10.10.{n}": {"etcd_seq": n, **({name: True} if place == "host" else {})}
        for n in (1, 2, 3)
    }
    made: dict[str, Any] = {"etcd": {"hosts": hosts}, "infra": {"hosts": {"x": {}}}}
    if place != "host":
        made["etcd" if place == "vars" else "infra"]["vars"] = {name: True}
    _, (warning,) = read(made)
    assert warning.startswith(f"{name} is passed over: ")


def test_a_retired_parameter_may_have_any_value(mistakes: Callable[..., Any]) -> None:
    made = {"etcd": {"hosts": {"a": {"etcd_seq": 1}}, "vars": {"etcd_clean": None}}}
    assert mistakes(made) == tuple[Mistake]()
