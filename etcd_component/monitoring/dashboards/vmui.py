"""Dashboards for vmui, what VictoriaMetrics shows in a browser: `-vmui.customDashboardsPath`.

It draws lines only and lets nobody choose a cluster, so there is a file for each cluster and each
instance. What a cluster cannot show is left out, and its neighbours take the room.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from etcd_component.monitoring.dashboards import boards
from etcd_component.monitoring.dashboards.shape import Board, Kind, Needs, Panel, Query, Row
from etcd_component.monitoring.watched import JOB, Watched, WatchedMember

_WIDTH = 12


def vmui(watched: Sequence[Watched]) -> dict[str, str]:
    """The files' texts by their names, which sort as they are shown: the larger things first."""
    return {f"{name}.json": json.dumps(board, indent=1) + "\n" for name, board in _boards(watched)}


def _boards(watched: Sequence[Watched]) -> Iterator[tuple[str, dict[str, Any]]]:
    everything = [member for one in watched for member in one.members]
    peers = any(len(one.members) > 1 for one in watched)
    of_all = f'job="{JOB}"'
    yield "0-all", _board(boards.OVERVIEW, "all clusters", of_all, _has(everything, peers=peers))
    for one in watched:
        peers = len(one.members) > 1
        where = f'{of_all},cls="{one.cluster}"'
        has = _has(one.members, peers=peers)
        yield f"1-{one.cluster}", _board(boards.CLUSTER, one.cluster, where, has)
        for member in one.members:
            of_member = f'{where},ins="{member.ins}"'
            has = _has([member], peers=peers)
            yield f"2-{member.ins}", _board(boards.INSTANCE, member.ins, of_member, has)


def _has(members: Sequence[WatchedMember], *, peers: bool) -> set[Needs | None]:
    told = any(one.exporter for one in members)
    return {None, *([Needs.PEERS] if peers else []), *([Needs.EXPORTER] if told else [])}


def _board(board: Board, title: str, where: str, has: set[Needs | None]) -> dict[str, Any]:
    return {
        "title": title,
        "rows": [
            {"title": row.title, "panels": [_panel(one, where) for one in _shown(row, has)]}
            for row in board.rows
        ],
    }


def _shown(row: Row, has: set[Needs | None]) -> Iterator[Panel]:
    left = [one for one in row.panels if one.needs in has and one.kind is not Kind.MEMBERS]
    while left:
        line = [one for n, one in enumerate(left) if sum(p.width for p in left[: n + 1]) <= _WIDTH]
        left = left[len(line) :]
        for one in line:
            yield one.but(width=_WIDTH // len(line))


def _panel(panel: Panel, where: str) -> dict[str, Any]:
    return {
        "title": panel.title,
        "description": panel.says,
        "unit": panel.unit.value.plain,
        "expr": [_scaled(one, panel, where) for one in panel.queries],
        "alias": [one.legend for one in panel.queries],
        "showLegend": True,
        "width": panel.width,
    }


def _scaled(query: Query, panel: Panel, where: str) -> str:
    factor = panel.unit.value.factor
    expr = query.where(where)
    return f"({expr}){factor}" if factor else expr
