"""Dashboards: what Grafana and vmui read, and what the expressions ask for."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from etcd_component.monitoring import Watched, WatchedMember, bundle
from etcd_component.monitoring.dashboards import boards, grafana, vmui
from etcd_component.monitoring.dashboards.shape import WHERE, Needs, Panel

HOW_IT_WORKS = (Path(__file__).parents[2] / "docs/how-it-works.md").read_text()


def watched(count: int, *, exporter: bool = False, cluster: str = "etcd") -> Watched:
    members = tuple(
        WatchedMember(
            f"{cluster}-{n}",
            f"10.10.10.{n}",
            f"10.10.10.{n}:2379",
            "voter",
            f"10.10.10.{n}:2381" if exporter else None,
        )
        for n in range(1, count + 1)
    )
    return Watched(cluster, "3.6.16", members, "ca", "cert", "key")


@pytest.fixture(params=sorted(grafana()))
def board(request: pytest.FixtureRequest) -> Any:
    return json.loads(grafana()[request.param])


register_default_plugins()


def test_grafana_s_own_library_knows_all_that_stands_in_a_dashboard(board: Any) -> None:
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    assert lost(board, read) == []


def lost(given: Any, read: Any, at: str = "") -> list[str]:
    """Where something given was not read, or read as something else."""
    if isinstance(given, dict):
        if not isinstance(read, dict):
            return [at]
        missing = [f"{at}.{key}" for key in given if key not in read]
        both = [key for key in given if key in read]
        return missing + [
            each for key in both for each in lost(given[key], read[key], f"{at}.{key}")
        ]
    if isinstance(given, list):
        if not isinstance(read, list) or len(given) != len(read):
            return [at]
        pairs = enumerate(zip(given, read, strict=True))
        return [each for n, (one, other) in pairs for each in lost(one, other, f"{at}[{n}]")]
    return [] if given == read else [at]


def test_the_library_loses_what_grafana_does_not_know() -> None:
    board = json.loads(grafana()["etcd-cluster.json"])
    board["panels"][1]["gridPos"]["depth"] = 1
    board["panels"][1]["options"]["colourMode"] = "background"
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    assert lost(board, read) == [
        ".panels[1].gridPos.depth",
        ".panels[1].options.colourMode",
    ]


def test_panels_have_numbers_of_their_own(board: Any) -> None:
    numbers = [one["id"] for one in board["panels"]]
    assert len(numbers) == len(set(numbers))


def test_no_panel_lies_on_another_or_beyond_the_edge(board: Any) -> None:
    places = [one["gridPos"] for one in board["panels"]]
    for one in places:
        assert one["x"] + one["w"] <= 24
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


def test_every_variable_that_is_asked_for_can_be_chosen(board: Any) -> None:
    chosen = {one["name"] for one in board["templating"]["list"]}
    text = json.dumps([one for one in board["panels"] if one["type"] != "row"])
    assert set(re.findall(r"\$\{?(cls|ins|datasource)\b", text)) <= chosen


def panels() -> Iterator[Panel]:
    return (panel for board in boards.BOARDS for row in board.rows for panel in row.panels)


def expressions() -> list[str]:
    return sorted({query.expr for panel in panels() for query in panel.queries})


@functools.cache
def recorded() -> set[str]:
    """The names that rules give."""
    model = bundle.files([watched(1)], "/etc/etcd-monitoring")["rules/model.yml"]
    files = [yaml.safe_load(bundle.rules("recording")), yaml.safe_load(model)]
    return {one["record"] for file in files for group in file["groups"] for one in group["rules"]}


def is_there(name: str) -> bool:
    """Whether anybody gives a series of this name; of etcd's own, tests/node asks real members."""
    if ":" in name or name == "etcd_up":
        return name in recorded()
    if name.startswith("etcd_node_"):
        return f"`{name}`" in HOW_IT_WORKS
    return name == "ALERTS" or name.partition("_")[0] in {"etcd", "grpc", "process", "go"}


@pytest.mark.parametrize("expr", expressions())
def test_an_expression_asks_for_series_that_exist_and_says_which(expr: str) -> None:
    selectors = re.findall(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}", expr)
    assert selectors
    for name, labels in selectors:
        assert is_there(name), name
        assert labels.endswith(WHERE)
    assert expr.count(WHERE) == len(selectors)


def test_what_needs_the_nodes_own_metrics_says_so() -> None:
    for panel in panels():
        asks = any(
            name in one.expr
            for one in panel.queries
            for name in ("etcd_node_", "certificate_days", "ca_days")
        )
        assert not asks or panel.needs is Needs.EXPORTER or len(panel.queries) > 5, panel.title


def test_vmui_has_all_clusters_then_each_cluster_then_each_instance() -> None:
    found = vmui([watched(2), watched(1, cluster="other")])
    titles = [json.loads(found[name])["title"] for name in sorted(found)]
    assert titles == ["all clusters", "etcd", "other", "etcd-1", "etcd-2", "other-1"]


def shown(text: str) -> set[str]:
    return {panel["title"] for row in json.loads(text)["rows"] for panel in row["panels"]}


def test_vmui_leaves_out_what_a_cluster_cannot_show() -> None:
    alone, three = vmui([watched(1)]), vmui([watched(3)])
    assert {one.title for one in panels() if one.needs is Needs.PEERS} <= shown(
        three["1-etcd.json"]
    ) | shown(three["2-etcd-1.json"])
    silent = {one.title for one in panels() if one.needs}
    assert not any(silent & shown(text) for text in alone.values())
    told = vmui([watched(1, exporter=True)])
    assert {one.title for one in panels() if one.needs is Needs.EXPORTER} <= shown(
        told["1-etcd.json"]
    )


@pytest.mark.parametrize("exporter", [False, True])
def test_the_rows_of_vmui_are_as_wide_as_the_page(exporter: bool) -> None:
    for text in vmui([watched(3, exporter=exporter)]).values():
        for row in json.loads(text)["rows"]:
            assert sum(one["width"] for one in row["panels"]) % 12 == 0, row["title"]


def test_a_name_stands_for_each_expression_of_vmui() -> None:
    for text in vmui([watched(3, exporter=True)]).values():
        for row in json.loads(text)["rows"]:
            for panel in row["panels"]:
                assert len(panel["expr"]) == len(panel["alias"])
                assert not any(WHERE in one for one in panel["expr"])
