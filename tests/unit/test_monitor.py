"""The monitor: what is registered for it, and the texts that go to its machine."""

from __future__ import annotations

import dataclasses

import pytest

from etcd_component.model import Monitor
from etcd_component.monitoring import units
from tests.unit.golden import check
from tests.unit.recording import Recording, cluster, node, record

LOCAL = Monitor(node("10.10.10.20"))
OPEN = Monitor(
    node("10.10.10.20"),
    listen_address="10.10.10.20",
    alertmanagers=("http://10.10.10.30:9093", "https://alerts.example.com"),
)
NAME = "monitor-10.10.10.20"
COPY = "command:remote:CopyToRemote"


@pytest.fixture(scope="module")
def watching() -> Recording:
    return record(cluster(3), monitor=OPEN)


@pytest.mark.parametrize(
    ("name", "monitor"), [("etcd-monitor", LOCAL), ("etcd-monitor-open", OPEN)]
)
def test_the_units_are_the_golden_ones(name: str, monitor: Monitor) -> None:
    check(name + ".service", units.store(monitor))
    check(name + "-alerts.service", units.alerts(monitor))


def test_its_names_can_be_told_from_their_parents() -> None:
    """`::` ends a part of a URN, and the last part is looked for in the state."""
    found = record(cluster(1), monitor=Monitor(node("fd00::20")))
    names = [name for _, name in found.resources if name.startswith("monitor")]
    assert len(names) > 5
    assert not [name for name in names if "::" in name]


def test_a_stack_without_a_monitor_has_nothing_of_one() -> None:
    found = record(cluster(3))
    assert not [name for _, name in found.resources if name.startswith("monitor")]


def test_it_waits_for_the_clusters_and_no_cluster_waits_for_it(watching: Recording) -> None:
    first = watching.command(f"{NAME}-login").depends_on
    assert f"{NAME}-login" in watching.resources[COPY, f"{NAME}-agent"].depends_on
    assert f"{NAME}-agent" in watching.command(f"{NAME}-node").depends_on
    assert {f"etcd-{seq}-rollout" for seq in (1, 2, 3)} <= first
    for (_, name), one in watching.resources.items():
        if not name.startswith("monitor"):
            assert not [needed for needed in one.depends_on if needed.startswith("monitor")], name


def test_nothing_is_put_on_a_machine_that_is_not_fit(watching: Recording) -> None:
    for step in ("software", "dashboards", "secrets", "config"):
        assert f"{NAME}-node" in watching.command(f"{NAME}-{step}").depends_on
        assert f"{NAME}-{step}" in watching.command(f"{NAME}-serve").depends_on


def test_no_secret_is_in_a_text_that_may_be_printed(watching: Recording) -> None:
    for name, one in watching.commands.items():
        if name.startswith("monitor"):
            assert "privateKeyPem" not in one.script, name
            assert one.is_secret("stdin") == (name == f"{NAME}-secrets")
    assert watching.stash("monitor-password").is_secret("input")
    assert {"monitor_password"} == {
        name for name in watching.secret_outputs if name.startswith("monitor_")
    }


def test_a_preview_shows_targets_and_rules_and_no_page_of_dashboards(watching: Recording) -> None:
    config = watching.command(f"{NAME}-config")
    assert not config.hide_diffs
    assert "--- targets/etcd.yml\n- targets:\n  - 10.10.10.10:2379\n" in config.inputs["stdin"]
    assert "--- rules/model.yml\n" in config.inputs["stdin"]
    assert config.inputs["stdin"].endswith("\n--- end\n")
    assert "pki/" not in config.inputs["stdin"].split("--- scrape.yml")[0]
    assert watching.command(f"{NAME}-dashboards").hide_diffs == ("stdin",)


def test_a_member_more_changes_the_configuration_and_what_is_served() -> None:
    before, after = record(cluster(3), monitor=LOCAL), record(cluster(4), monitor=LOCAL)
    for step in ("config", "serve", "dashboards"):
        assert before.command(f"{NAME}-{step}").inputs != after.command(f"{NAME}-{step}").inputs, (
            step
        )
    software = f"{NAME}-software"
    assert before.command(software).inputs == after.command(software).inputs


def test_what_was_collected_stays_unless_that_is_said() -> None:
    for monitor, removed in (
        (LOCAL, False),
        (dataclasses.replace(LOCAL, rm_data=True), True),
    ):
        delete = record(cluster(1), monitor=monitor).command(f"{NAME}-node").inputs["delete"]
        assert "sh -s -- uninstall" in delete
        assert ("--remove-data" in delete) is removed


def test_a_machine_that_is_lost_is_not_dialled_and_goes_without_a_word() -> None:
    found = record(cluster(1), monitor=dataclasses.replace(OPEN, lost=True))
    for step in ("node", "software", "secrets", "dashboards", "config", "serve"):
        one = found.command(f"{NAME}-{step}")
        assert one.script == ""
        assert one.retain_on_delete
        assert one.ignore_changes == ("*",)


def test_on_loopback_there_is_neither_tls_nor_password() -> None:
    found = record(cluster(1), monitor=LOCAL)
    assert ("tls:index/privateKey:PrivateKey", "monitor") not in found.resources
    assert found.outputs["monitor"]["monitor_url"] == "http://127.0.0.1:8428"
    assert found.outputs["monitor"]["monitor_password"] == ""


def test_elsewhere_there_are_both(watching: Recording) -> None:
    assert watching.outputs["monitor"]["monitor_url"] == "https://10.10.10.20:8428"
    assert watching.outputs["monitor"]["monitor_user"] == "monitor"
    request = watching.resources["tls:index/certRequest:CertRequest", "monitor"]
    assert request.inputs["ipAddresses"] == ["10.10.10.20", "127.0.0.1", "::1"]


@pytest.mark.parametrize(
    ("listen", "url", "own_url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8428", "http://127.0.0.1:8428"),
        ("::1", "http://[::1]:8428", "http://[::1]:8428"),
        ("10.10.10.20", "https://10.10.10.20:8428", "https://10.10.10.20:8428"),
        ("0.0.0.0", "https://10.10.10.20:8428", "https://127.0.0.1:8428"),
        ("fd00::20", "https://[fd00::20]:8428", "https://[fd00::20]:8428"),
    ],
)
def test_where_people_and_its_own_programs_reach_it(listen: str, url: str, own_url: str) -> None:
    monitor = dataclasses.replace(LOCAL, listen_address=listen)
    assert (monitor.url, monitor.own_url) == (url, own_url)
