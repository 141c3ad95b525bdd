"""The monitor: what VictoriaMetrics on the lab knows of the clusters that the stack declares."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from lab.monitor import NUMBER
from tests.live.conftest import inventory
from tests.live.monitor import Labels, Watcher, hurry
from tests.live.nodes import process, processes, shell
from tests.live.secrets import Sampler, found_on_node, marks
from tests.live.stack import Project, Stack

LABELS = ("cls", "ins", "ip", "job")
OF_INSTANCES = "etcd_.*|etcd:ins:.*|up|scrape_.*|go_.*|process_.*|grpc_.*|os_.*|promhttp_.*"
OF_CLUSTERS = "etcd:cls:.*"
DEFINITION = 'max by (cls, ins, ip, job) (up{job="etcd"})'
"""Of `etcd_up`: what was scraped, a rule's time earlier."""

THREE = ("etcd-1", "etcd-2", "etcd-3")
UNITS = ("etcd-monitor", "etcd-monitor-alerts")


def test_a_monitor_sees_every_instance_as_the_model_names_it_and_goes_without_a_trace(
    watched: Lab, project: Project, tmp_path: Path
) -> None:
    stack = project.stack(two_clusters(watched) | {"etcd_monitor": {"host": watched.address(4)}})
    refuse_one_that_is_too_old(watched, stack)

    # The one that the site file names, and its creation is killed while the package is unpacked.
    stack.write(two_clusters(watched))
    stack.killed_when(f"monitor-{watched.naming.address(NUMBER)}-software creating")
    stack.up()
    assert stack.up().changed == {}

    monitor = Watcher.of(stack)
    hurry(watched)
    monitor.until("etcd_up", lambda found: found == up(watched, *THREE, "dev-1"))
    assert_all_have_the_labels(monitor)
    assert_every_panel_shows_something(monitor)

    # A member dies and a whole cluster goes; then it comes back, and an instance comes. Nobody
    # reloads anything by hand, and what collects is not restarted.
    collecting = [process(watched, NUMBER, unit) for unit in UNITS]
    shell(watched, 12, "systemctl kill -s KILL etcd; systemctl stop etcd")
    monitor.until('up{ins="etcd-3", job="etcd"} == 0', bool)
    stack.write(inventory(watched, 3))
    with Sampler(marks(project.secrets)) as sampler:
        done = stack.up()
    assert sampler.found == set()
    assert f"{watched.address(2)}:2379: " in done.text
    dead = up(watched, *THREE) | up(watched, "etcd-3", value=0)
    monitor.until("etcd_up", lambda found: found == dead)
    assert shell(watched, NUMBER, "ls /etc/etcd-monitor/pki") == "etcd"

    shell(watched, 12, "systemctl start etcd")
    stack.write(inventory(watched, 4))
    stack.up()
    monitor.until(DEFINITION, lambda found: found == unnamed(up(watched, *THREE, "etcd-4")))
    assert [process(watched, NUMBER, unit) for unit in UNITS] == collecting
    assert found_on_node(marks(project.secrets), watched, NUMBER) == []

    take_away(watched, stack, tmp_path)


def two_clusters(lab: Lab) -> dict[str, Any]:
    """A stack with a cluster of three and one of a single instance."""
    config: dict[str, Any] = inventory(lab, 3)
    dev = {"hosts": {lab.address(4): {"etcd_seq": 1}}, "vars": {"etcd_cluster": "dev"}}
    return {"inventory": {**config["inventory"], "dev": dev}}


def refuse_one_that_is_too_old(lab: Lab, stack: Stack) -> None:
    """Debian 12's does not do; the clusters are there all the same."""
    refused = stack.up(check=False)
    assert refused.status != 0
    assert "cannot be the monitor yet; nothing was changed" in refused.text
    assert "use a machine with Debian 13 or newer" in refused.text
    for name in ("etcd", "dev"):
        assert f"{name}-access created" in refused.text
    assert shell(lab, 14, "ls -d /etc/etcd-monitor /usr/local/sbin/etcd-monitor || :") == ""


def assert_all_have_the_labels(monitor: Watcher) -> None:
    """No series of etcd lacks one, and who has no password gets none."""
    for names, labels in ((OF_INSTANCES, LABELS), (OF_CLUSTERS, ("cls", "job"))):
        monitor.until(f'count({{__name__=~"{names}"}})', bool)
        for label in labels:
            assert monitor.query(f'{{__name__=~"{names}", {label}=""}}') == {}
    # A scrape that was due when the machine was busy leaves a gap.
    monitor.until('{__name__="up", job="etcd"}', lambda found: len(found) == 4)
    monitor.until('{__name__=~"grpc_.*", job="etcd"}', lambda found: len(found) > 100)
    # Nodes tell it what etcd does not know, and have an `up` of their own.
    for told in (
        'etcd_node_seat{job="etcd", state="taken", exported_ins=""}',
        'up{job="etcd-node"}',
    ):
        monitor.until(told, lambda found: list(found.values()) == [1] * 4)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        monitor.get("/api/v1/query", login=False, query="up")


def assert_every_panel_shows_something(monitor: Watcher) -> None:
    """No expression of a dashboard is refused, and none is without an answer when all is well."""
    boards = monitor.get("/vmui/custom-dashboards")["dashboardsSettings"]
    assert [one["title"] for one in boards] == ["all clusters", "dev", "etcd", "dev-1", *THREE]
    for board in boards:
        for row in board["rows"]:
            for panel in row["panels"]:
                for expression in panel["expr"]:
                    monitor.until(expression, bool)


def take_away(lab: Lab, stack: Stack, place: Path) -> None:
    """The key is taken out: the clusters do not notice, and what was collected stays."""
    site = place / "site.yaml"
    lines = lab.site_file.read_text().splitlines(keepends=True)
    site.write_text("".join(line for line in lines if not line.startswith("etcd_monitor")))
    stack.environment["ETCD_SITE"] = str(site)
    before = processes(lab, 4)
    assert stack.up().changed.keys() == {"deleted"}
    assert processes(lab, 4) == before
    assert remains(lab) == ["/var/lib/etcd-monitor"]


def up(lab: Lab, *names: str, value: float = 1) -> dict[Labels, float]:
    """`etcd_up` of these instances, as the cluster model writes it."""
    places = {"dev-1": 4} | {f"etcd-{seq}": seq - 1 for seq in range(1, 6)}
    return {
        frozenset(
            {
                "__name__": "etcd_up",
                "cls": name.rpartition("-")[0],
                "ins": name,
                "ip": lab.address(places[name]),
                "job": "etcd",
            }.items()
        ): value
        for name in names
    }


def unnamed(series: dict[Labels, float]) -> dict[Labels, float]:
    """The same without the name, which an expression's result does not have."""
    return {
        frozenset(one for one in labels if one[0] != "__name__"): value
        for labels, value in series.items()
    }


def remains(lab: Lab) -> list[str]:
    """Whatever of the monitor is on its machine, less the package."""
    return shell(
        lab,
        NUMBER,
        "ls -d /etc/etcd-monitor /run/etcd-monitor /usr/local/sbin/etcd-monitor"
        " /etc/systemd/system/etcd-monitor* /etc/systemd/system/*/etcd-monitor*"
        " /usr/sbin/policy-rc.d /var/lib/etcd-monitor 2>/dev/null;"
        " systemctl list-units --all --plain --no-legend 'etcd-monitor*' 'victoria-metrics*';"
        " pgrep -a 'victoria|vmalert'; :",
    ).splitlines()
