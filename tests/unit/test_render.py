"""The texts that go to nodes, against golden files."""

import dataclasses

import pytest
import yaml

from etcd_component import render
from etcd_component.model import Instance, Login, Node
from tests.unit.golden import check
from tests.unit.recording import cluster


@pytest.mark.parametrize("version", ["3.5.35", "3.6.14", "3.7.3"])
def test_configuration(version: str) -> None:
    model = cluster(3, version=version)
    check(f"etcd-{model.settings.minor}.yaml", render.etcd_config(model, model.instances[0]))


def test_gates_of_the_inventory_stand_beside_those_that_look_for_corrupted_data() -> None:
    options = {"feature-gates": "InitialCorruptCheck=false,LeaseCheckpoint=true"}
    model = cluster(1, options=options)
    config = yaml.safe_load(render.etcd_config(model, model.instances[0]))
    assert config["feature-gates"] == (
        "CompactHashCheck=true,InitialCorruptCheck=false,LeaseCheckpoint=true"
    )


def test_unit() -> None:
    model = cluster(3)
    check("etcd.service", render.unit(model, model.instances[0]))


def at(address: str) -> Instance:
    login = Login(address, 22, "root", False, None, None, True, None)
    return Instance("etcd", 1, Node(address, login))


@pytest.mark.parametrize(
    ("address", "peers", "clients", "advertised"),
    [
        (
            "fd00::1",
            "https://[fd00::1]:2380",
            "https://[fd00::1]:2379,https://127.0.0.1:2379",
            "https://[fd00::1]:2379",
        ),
        (
            "node.example",
            "https://0.0.0.0:2380",
            "https://0.0.0.0:2379",
            "https://node.example:2379",
        ),
    ],
)
def test_addresses(address: str, peers: str, clients: str, advertised: str) -> None:
    config = yaml.safe_load(render.etcd_config(cluster(1), at(address)))
    assert config["listen-peer-urls"] == peers
    assert config["listen-client-urls"] == clients
    assert config["advertise-client-urls"] == advertised


def test_options_of_etcd_itself_are_written_as_they_stand() -> None:
    model = cluster(1, options={"max-request-bytes": 2_000_000})
    config = yaml.safe_load(render.etcd_config(model, model.instances[0]))
    assert config["max-request-bytes"] == 2_000_000


def test_a_cluster_of_another_name_has_places_of_its_own() -> None:
    model = cluster(1, name="other")
    text = render.unit(model, model.instances[0])
    assert "/opt/etcd/clusters/other/bin/etcd" in text
    assert "stamp --cluster other" in text


def test_what_the_ca_and_the_files_are_names_a_rollout() -> None:
    names = {
        render.fingerprint("config", "unit", "ca"),
        render.fingerprint("config", "unit", "other ca"),
        render.fingerprint("other config", "unit", "ca"),
    }
    assert len(names) == 3


def test_settings_reach_the_configuration() -> None:
    model = cluster(1)
    settings = dataclasses.replace(
        model.settings, heartbeat_interval=250, election_timeout=2500, quota_bytes=2**31
    )
    changed = type(model)("etcd", model.instances, settings)
    config = yaml.safe_load(render.etcd_config(changed, changed.instances[0]))
    assert config["heartbeat-interval"] == 250
    assert config["election-timeout"] == 2500
    assert config["quota-backend-bytes"] == 2**31
