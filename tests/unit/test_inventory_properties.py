"""Whatever stands in an inventory: clusters, or refusals with place and cure; never a traceback."""

import contextlib
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etcd_component import inventory
from etcd_component.inventory.monitor import FIELDS
from etcd_component.inventory.parameters import PARAMETERS, Level
from etcd_component.inventory.site import KEYS, Site
from etcd_component.inventory.values import Foreign
from etcd_component.mistake import InvalidInventory, Wrong

ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 10**20, 1.5, 2000.0, math.inf, math.nan, Foreign("!vault")),
    *(
        "",
        " ",
        "yes",
        "010",
        "0x10",
        "1_000",
        "1e3",
        "1" * 5000,
        "١",
        "8GiB",
        "24h",
        "9" * 30 + "h",
    ),
    *("10.10.10.10", "fd00::1", "[fd00::1]", "fe80::1%eth0", "a:1", "a[1:3]", "a[1:99999999]"),
    *("/", "/data/etcd", "../x", "~nobody/x", "a\0b", "a\nb", "{{ x }}", "{", "é", "given", "new"),
    *("http://[x", "https://[::1", "https://x/{version}", "http://a:b@c", "https://x:99999"),
    *("me@host:22", "[::1]:22", "host:99999", ":", "@", "127.0.0.1:99999", "[::g]:80", "1d", "3.6"),
]


@pytest.mark.parametrize("name", PARAMETERS)
def test_no_value_of_a_parameter_makes_a_traceback(site: Site, name: str) -> None:
    for value in ODD:
        for shape in (value, [value], {"amd64": value}):
            vars_ = {} if PARAMETERS[name].level is Level.INSTANCE else {name: shape}
            hosts = {"a": {"etcd_seq": 1, **({} if vars_ else {name: shape})}}
            with contextlib.suppress(InvalidInventory):
                inventory.read({"etcd": {"hosts": hosts, "vars": vars_}}, site=site)


@pytest.mark.parametrize("reader", [*KEYS.items(), *FIELDS.items()], ids=lambda one: one[0])
def test_no_value_of_a_setting_makes_a_traceback(reader: Any) -> None:
    for value in ODD:
        for shape in (value, [value], {"a": value}):
            with contextlib.suppress(Wrong):
                reader[1](shape)


@pytest.mark.parametrize("key", ODD, ids=str)
def test_no_name_of_a_host_or_group_makes_a_traceback(site: Site, key: Any) -> None:
    for tree in (
        {"etcd": {"hosts": {key: {"etcd_seq": 1}}}},
        {"etcd": {"hosts": {key: {}, "a": {"etcd_seq": 1}}}},
        {key: {"hosts": {"a": {"etcd_seq": 1}}}},
        {"all": {"children": {key: {"hosts": {"a": {"etcd_seq": 1}}}}}},
        {"etcd": {"hosts": {"a": {"etcd_seq": 1, key: 1}}, "vars": {key: 1}}},
        {"etcd": {"hosts": {"a": {"etcd_seq": 1}}, "vars": {"etcd_options": {key: 1}}}},
        {"etcd": {"hosts": {"a": {"etcd_seq": 1}}, "vars": {"etcd_users": {key: {key: key}}}}},
    ):
        with contextlib.suppress(InvalidInventory):
            inventory.read(tree, site=site)


NAMES = st.sampled_from([*PARAMETERS, "hosts", "vars", "children", "all", "ungrouped", "etcd", "a"])
TREES = st.recursive(
    st.sampled_from([one for one in ODD if not isinstance(one, float)]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.dictionaries(NAMES, TREES, max_size=3))
def test_no_tree_makes_a_traceback(site: Site, tree: dict[Any, Any]) -> None:
    with contextlib.suppress(InvalidInventory):
        inventory.read(tree, site=site)
