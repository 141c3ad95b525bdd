"""Dashboards for Grafana 10 and newer, before Prometheus or VictoriaMetrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from etcd_component.monitoring.dashboards.boards import BOARDS, INSTANCE
from etcd_component.monitoring.dashboards.shape import Board, Colour, Kind, Panel, Query, Unit

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24
_HEIGHTS = {Kind.LINES: 8, Kind.NOW: 5, Kind.STATES: 6, Kind.MEMBERS: 9}
_TYPES = {
    Kind.LINES: "timeseries",
    Kind.NOW: "stat",
    Kind.STATES: "state-timeline",
    Kind.MEMBERS: "table",
}


def grafana() -> dict[str, str]:
    """The files' texts by their names. A person chooses the data source, cluster and instance."""
    return {f"{one.name}.json": json.dumps(_board(one), indent=1) + "\n" for one in BOARDS}


def _board(board: Board) -> dict[str, Any]:
    return {
        "uid": board.name,
        "title": board.title,
        "tags": ["etcd"],
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [_source(), *_variables(board)]},
        "links": [_link()],
        "panels": list(_panels(board)),
    }


def _source() -> dict[str, Any]:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "data source",
        "query": "prometheus",
    }


def _variables(board: Board) -> Iterator[dict[str, Any]]:
    chosen = ""
    for label in board.labels:
        query = f"label_values(etcd_up{{{chosen}}}, {label})"
        yield {
            "type": "query",
            "name": label,
            "label": {"cls": "cluster", "ins": "instance"}[label],
            "datasource": _SOURCE,
            "query": {"query": query, "refId": label},
            "refresh": 2,  # with the time range
            "sort": 1,
            # An overview of all clusters is what it is for; the others show one thing well.
            **({"multi": True, "includeAll": True, "allValue": ".+"} if board is BOARDS[0] else {}),
        }
        chosen += f'{label}=~"${label}"'


def _link() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "etcd",
        "tags": ["etcd"],
        "icon": "external link",
        "tooltip": "",
        "asDropdown": False,
        "targetBlank": False,
        "includeVars": True,
        "keepTime": True,
    }


def _panels(board: Board) -> Iterator[dict[str, Any]]:
    """Panels beside each other as long as they fit, each row below its title."""
    where = ",".join(['job="etcd"', *(f'{one}=~"${one}"' for one in board.labels)])
    number = y = 0
    for row in board.rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": _COLUMNS, "h": 1},
        }
        y += 1
        x = tallest = 0
        for one in row.panels:
            width = one.width * 2
            if x + width > _COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            number += 1
            place = {"x": x, "y": y, "w": width, "h": _HEIGHTS[one.kind]}
            yield {"id": number, "gridPos": place, **_panel(one, where)}
            x += width
            tallest = max(tallest, place["h"])
        y += tallest


def _panel(panel: Panel, where: str) -> dict[str, Any]:
    table = panel.kind is Kind.MEMBERS
    return {
        "type": _TYPES[panel.kind],
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": one.where(where),
                "legendFormat": one.legend,
                **({"instant": True, "range": False, "format": "table"} if table else {}),
            }
            for number, one in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": _defaults(panel),
            "overrides": list(_columns(panel)) if table else [],
        },
        "options": _OPTIONS[panel.kind],
        **({"transformations": _one_table(panel)} if table else {}),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    lines = panel.kind is Kind.LINES
    return {
        "unit": panel.unit.value.grafana,
        "noValue": panel.needs.value if panel.needs else "nothing known",
        "mappings": _mappings(panel.queries[0].words),
        "color": {"mode": "palette-classic" if lines else "thresholds"},
        "thresholds": {
            "mode": "absolute",
            "steps": [
                {"value": None, "color": panel.below.value},
                *({"value": value, "color": colour.value} for value, colour in panel.steps),
            ],
        },
        **({"min": 0} if lines else {}),
        "custom": _CUSTOM[panel.kind]
        | ({"thresholdsStyle": {"mode": "dashed" if panel.steps else "off"}} if lines else {}),
    }


_CUSTOM: dict[Kind, dict[str, Any]] = {
    Kind.LINES: {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 8,
        "showPoints": "never",
        "spanNulls": False,
    },
    Kind.NOW: {},
    Kind.STATES: {"fillOpacity": 75, "lineWidth": 0},
    Kind.MEMBERS: {},
}

_LEGEND = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}
_TOOLTIP = {"mode": "multi", "sort": "desc"}

_OPTIONS: dict[Kind, dict[str, Any]] = {
    Kind.LINES: {"legend": _LEGEND | {"calcs": ["lastNotNull"]}, "tooltip": _TOOLTIP},
    Kind.NOW: {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "value_and_name",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    Kind.STATES: {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.9,
        "legend": _LEGEND | {"showLegend": False},
        "tooltip": _TOOLTIP | {"mode": "single"},
    },
    Kind.MEMBERS: {"showHeader": True, "cellHeight": "sm"},
}


def _mappings(words: tuple[str, ...]) -> list[dict[str, Any]]:
    if not words:
        return []
    options = {str(number): {"text": one, "index": number} for number, one in enumerate(words)}
    return [{"type": "value", "options": options}]


def _columns(panel: Panel) -> Iterator[dict[str, Any]]:
    """How each column of the table is written."""
    for one in panel.queries:
        yield _override(one.legend, [*_written(one, panel.unit)])
    address = (
        f"/d/{INSTANCE.name}?var-datasource=${{datasource}}&var-cls=${{__data.fields.cls}}"
        "&var-ins=${__value.text}&${__url_time_range}"
    )
    yield _override("ins", [("links", [{"title": "this instance", "url": address}])])


def _written(query: Query, unit: Unit) -> Iterator[tuple[str, Any]]:
    yield "unit", (query.unit or unit).value.grafana
    if query.words:
        yield "mappings", _mappings(query.words)
    if query.legend == "answers":
        steps = [{"value": None, "color": Colour.ILL}, {"value": 1, "color": Colour.WELL}]
        yield "thresholds", {"mode": "absolute", "steps": steps}
        yield "custom.cellOptions", {"type": "color-background"}


def _override(column: str, properties: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        "matcher": {"id": "byName", "options": column},
        "properties": [{"id": name, "value": value} for name, value in properties],
    }


def _one_table(panel: Panel) -> list[dict[str, Any]]:
    """Each query is a table of its own until they are put together by their labels."""
    named = {f"Value #{chr(ord('A') + n)}": one.legend for n, one in enumerate(panel.queries)}
    return [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True},
                "indexByName": {name: n for n, name in enumerate(["cls", "ins", *named])},
                "renameByName": named,
            },
        },
    ]
