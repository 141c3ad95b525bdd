"""What has a node tell of itself: its units, and that it is asked for."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from etcd_component import exporter, inventory
from etcd_component.inventory.site import Site, settle
from etcd_component.mistake import Findings
from etcd_component.model import Cluster
from etcd_component.monitoring import Watched
from tests.unit.conftest import Read
from tests.unit.golden import check
from tests.unit.recording import Recording, cluster, record
from tests.unit.test_render import at

NAMES = [f"etcd_exporter{end}" for end in (".service", ".timer", ".socket", "@.service")]


def telling(size: int = 1, **more: Any) -> Cluster:
    """A cluster whose first instance's node tells of itself."""
    model = cluster(size)
    first, *others = model.instances
    return dataclasses.replace(model, instances=(dataclasses.replace(first, **more), *others))


def units(**more: Any) -> dict[str, str]:
    model = telling(**more)
    return exporter.units(model, model.instances[0])


def test_the_units_are_the_golden_ones() -> None:
    found = units(exporter_port=2381, textfile_dir="/var/lib/node-exporter")
    assert list(found) == NAMES
    for name, text in found.items():
        check(name, text)


def test_nobody_listens_where_only_a_textfile_is_wanted() -> None:
    assert list(units(textfile_dir="/var/lib/node-exporter")) == NAMES[:2]
    assert "--textfile" not in units(exporter_port=2381)[NAMES[0]]
    assert units() == {}


@pytest.mark.parametrize(
    ("address", "listens"),
    [("fd00::1", "[fd00::1]:2381"), ("node.example", "0.0.0.0:2381")],
)
def test_it_listens_where_etcd_does(address: str, listens: str) -> None:
    instance = dataclasses.replace(at(address), exporter_port=2381)
    found = exporter.units(cluster(1), instance)["etcd_exporter.socket"]
    assert f"\nListenStream={listens}\n" in found


@pytest.fixture(scope="module")
def found() -> Recording:
    return record(telling(2, exporter_port=2381))


def test_only_a_node_that_is_asked_tells(found: Recording) -> None:
    made = found.command("etcd-1-exporter")
    assert made.parent == "etcd-1"
    assert "etcd-node exporter" in made.inputs["create"]
    assert made.inputs["delete"].endswith("--remove")
    assert "--- etcd_exporter.socket\n" in made.inputs["stdin"]
    # When the instance goes, everything of it is taken off its machine by one command.
    assert made.deleted_with == "etcd-1-node"
    assert "etcd-2-exporter" not in found.commands
    # It holds up nobody.
    assert not any("etcd-1-exporter" in one.depends_on for one in found.node_commands.values())


def test_nothing_else_changes_when_a_node_begins_to_tell(found: Recording) -> None:
    before = record(telling(2)).commands
    assert found.commands.keys() - before.keys() == {"etcd-1-exporter"}
    for name in ("etcd-1-node", "etcd-1-config", "etcd-1-member", "etcd-1-rollout"):
        assert "exporter" not in json.dumps({**found.command(name).inputs, "stdin": None}), name


def test_a_raised_repair_puts_it_back() -> None:
    again = record(telling(exporter_port=2381, repair=3))
    assert "--repair 3" in again.command("etcd-1-exporter").inputs["create"]


def test_whoever_watches_is_told_where(found: Recording) -> None:
    watched = Watched.read(found.outputs["etcd"]["monitoring"])
    assert [one.exporter for one in watched.members] == ["10.10.10.10:2381", None]


# ---- the inventory

HOSTS = {"10.10.10.10": {"etcd_seq": 1}}


def ports(read: Read, site: Site, hosts: Any = HOSTS, **vars_: Any) -> list[int]:
    (only,), _ = inventory.read({"etcd": {"hosts": hosts, "vars": vars_}}, site=site)
    return [one.exporter_port for one in only.instances]


def test_nodes_tell_their_monitor_unless_they_are_told_not_to(read: Read, site: Site) -> None:
    monitored = dataclasses.replace(site, monitored=True)
    assert ports(read, site) == [0]
    assert ports(read, site, etcd_exporter_port=9999) == [9999]
    assert ports(read, monitored) == [2381]
    assert ports(read, monitored, etcd_peer_port=3380) == [3381]
    assert ports(read, monitored, etcd_exporter_port=0) == [0]
    own = {"10.10.10.10": {"etcd_seq": 1, "etcd_exporter_port": 7}, "10.10.10.11": {"etcd_seq": 2}}
    assert ports(read, monitored, own) == [7, 2381]


@pytest.mark.parametrize("monitor", [None, {"host": "10.10.10.20"}])
def test_a_monitor_in_the_settings_is_noticed(monitor: dict[str, str] | None) -> None:
    answers: dict[str, Any] = {"inventory": {"etcd": {}}, "etcd_monitor": monitor}
    assert settle(answers.get, {}, Findings()).site.monitored is bool(monitor)


def test_a_port_has_one_owner(mistakes: Any) -> None:
    (own,) = mistakes({"etcd": {"hosts": HOSTS, "vars": {"etcd_exporter_port": 2380}}})
    assert own.place == "etcd.hosts.10.10.10.10.etcd_exporter_port"
    assert own.problem == "etcd itself has port 2380"
    other = {"etcd_cluster": "other", "etcd_data": "/data/other", "etcd_port": 2381}
    (shared,) = mistakes(
        {
            "etcd": {"hosts": HOSTS, "vars": {"etcd_exporter_port": 2381}},
            "other": {"hosts": HOSTS, "vars": {**other, "etcd_peer_port": 3380}},
        }
    )
    assert shared.place.endswith("etcd_port")
    assert shared.problem.startswith("port 2381 is used by etcd-1 at ")


def test_a_textfile_directory_is_a_plain_absolute_path(mistakes: Any) -> None:
    for path in ("relative", "/a b", "/a/../b", '/a"'):
        (one,) = mistakes({"etcd": {"hosts": HOSTS, "vars": {"etcd_textfile_dir": path}}})
        assert one.place.endswith("etcd_textfile_dir"), path
    assert not mistakes({"etcd": {"hosts": HOSTS, "vars": {"etcd_textfile_dir": "/var/lib/x"}}})
