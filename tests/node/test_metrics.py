"""What rules and dashboards of the monitoring read is what every release of etcd exports."""

from __future__ import annotations

import re

import pytest
import yaml

from etcd_component.monitoring import bundle
from etcd_component.monitoring.dashboards.boards import BOARDS
from lab.releases import VERSIONS
from tests.node.conftest import Cluster
from tests.node.members import Members, eventually

SINCE = {
    "etcd_network_known_peers": "3.6",
    "etcd_debugging_server_alarms": "3.6",
    "etcd_server_request_duration_seconds_bucket": "3.7",
}
"""Metrics that older releases do not have; the rules have another way there."""

OF_OTHERS = r"etcd_up|etcd_model_instance|etcd_node_\w+"
"""Recorded by rules, and exported by nodes."""

LABELS = {
    "etcd_debugging_server_alarms": {"server_id", "alarm_type"},
    "etcd_network_active_peers": {"Local", "Remote"},
    "etcd_network_peer_round_trip_time_seconds_bucket": {"To", "le"},
    "etcd_server_id": {"server_id"},
    "etcd_server_request_duration_seconds_bucket": {"type", "success", "le"},
    "etcd_server_version": {"server_version"},
    "grpc_server_handled_total": {"grpc_service", "grpc_method", "grpc_type", "grpc_code"},
    "grpc_server_handling_seconds_bucket": {"grpc_service", "grpc_method", "grpc_type", "le"},
}
"""Those that the rules ask for."""


def read() -> set[str]:
    """The names of the metrics of etcd that rules and dashboards read."""
    rows = [row for board in BOARDS for row in board.rows]
    shown = [one.expr for row in rows for panel in row.panels for one in panel.queries]
    rules = [
        rule["expr"]
        for name in bundle.RULES
        for group in yaml.safe_load(bundle.rules(name))["groups"]
        for rule in group["rules"]
    ]
    # Names with a colon are the rules' own; what stands in quotes is a value.
    text = re.sub(r'"[^"]*"|\w+(:\w+)+', "", " ".join([*rules, *shown]))
    names = set(re.findall(r"\b(?:etcd|grpc|process|go)_\w+", text))
    names -= {"grpc_code", "grpc_method", "grpc_service", "grpc_type"}
    return {name for name in names if not re.fullmatch(OF_OTHERS, name)}


def exported(members: Members, seq: int) -> dict[str, set[str]]:
    """The metrics of a member, and the names of their labels."""
    connection = members.connect(seq)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_release_exports_what_is_read(cluster: Cluster, version: str) -> None:
    members = cluster(2, version=version).found(access=True)
    leader = members.leader()
    members.put(leader, "a", "b")
    assert members.get(leader, "a") == "b"
    raised = {"action": "ACTIVATE", "memberID": members.member_id(leader), "alarm": "NOSPACE"}
    members.call(leader, "maintenance/alarm", raised, members.token(leader))
    # The releases are of one major version, with minor ones of one digit.
    wanted = {name for name in read() if SINCE.get(name, "") <= version}
    assert len(wanted) > 20
    found = eventually(
        "the members have asked each other how far they are",
        lambda: wanted <= set(metrics := exported(members, leader)) and metrics,
        30,
    )
    for name, labels in LABELS.items():
        if name in wanted:
            assert labels <= found[name], name
    assert read() - set(found) == {name for name in SINCE if name not in wanted}
