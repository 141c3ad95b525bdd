"""What a dashboard is made of, for every program that draws one: rows of panels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

WHERE = "$where"
"""Stands in expressions for what a dashboard looks at; always inside braces."""


class Colour(StrEnum):
    """How well things are."""

    WELL = "green"
    WATCH = "yellow"
    ILL = "red"
    PLAIN = "text"


class Kind(Enum):
    """How a panel is best drawn, where there is a choice."""

    LINES = "lines"
    NOW = "now"
    """The value of this moment, in its colour."""
    STATES = "states"
    """A band for each series, in the colours of its values."""
    MEMBERS = "members"
    """A table with a line for each instance, to which each query gives a column."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How a value is written."""

    grafana: str
    """Grafana's name of the unit."""
    plain: str = ""
    """The unit for a program that shows bare numbers."""
    factor: str = ""
    """What brings a value into that unit, as the end of an expression."""


class Unit(Enum):
    """What the values of a panel are."""

    COUNT = Scale("short")
    PER_SECOND = Scale("cps", "/s")
    PER_MINUTE = Scale("cpm", "/min")
    SHARE = Scale("percentunit", "%", " * 100")
    BYTES = Scale("bytes", "MiB", " / 1048576")
    BYTES_PER_SECOND = Scale("Bps", "KiB/s", " / 1024")
    SECONDS = Scale("s", "ms", " * 1000")
    AGE = Scale("s", "h", " / 3600")
    DAYS = Scale("d", "days")


class Needs(StrEnum):
    """What a cluster must have for a panel to show anything, and what stands there without it."""

    PEERS = "one member has no peers"
    EXPORTER = "the nodes tell nothing: etcd_exporter_port"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and the name of each of its series, which may hold `{{label}}`."""

    expr: str
    legend: str
    unit: Unit | None = None
    """Where it is not that of the panel."""
    words: tuple[str, ...] = ()
    """What 0, 1 and so on mean."""

    def where(self, labels: str) -> str:
        """The expression for what a dashboard looks at."""
        return self.expr.replace(WHERE, labels)


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture, and the sentences that say how to read it."""

    title: str
    says: str
    unit: Unit
    queries: tuple[Query, ...]
    kind: Kind = Kind.LINES
    below: Colour = Colour.WELL
    """The colour below the first step."""
    steps: tuple[tuple[float, Colour], ...] = ()
    """Colours and the values from which on they hold."""
    needs: Needs | None = None
    width: int = 4
    """Of twelve."""

    def but(self, **changes: Any) -> Panel:
        """The same with something else."""
        return dataclasses.replace(self, **changes)

    def by_cluster(self, pick: str) -> Panel:
        """The same with one series for each cluster: the `max` or `min` of its members."""
        queries = tuple(
            dataclasses.replace(
                one,
                expr=f"{pick} by (cls) ({one.expr})",
                legend=one.legend.replace("{{ins}}", "{{cls}}"),
            )
            for one in self.queries
        )
        return self.but(queries=queries)


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that answer one question."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard: rows in the order in which a person asks."""

    name: str
    """Of its file, and its address in Grafana."""
    title: str
    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    """What a person chooses by, where that can be chosen."""
