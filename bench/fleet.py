"""A fleet: clusters of three in one stack, and how what they cost grows with their nodes."""

from collections.abc import Callable, Mapping, Sequence

from bench.process import Failed, Measured
from bench.site import CHANGE, Site
from bench.table import bars, spread, table

SIZE = 3
"""Nodes of each cluster."""

ENVIRONMENT = {"PULUMI_DIY_BACKEND_ZSTD": "true", "GOGC": "400"}
"""As docs/teams.md advises for a fleet."""

_STEPS = (
    ("create", "create, until RBAC is on"),
    ("no change", "no change"),
    ("change", "one setting of one cluster changed"),
    ("destroy", "destroy"),
)

Figures = dict[str, float]


def steps(nodes: int) -> list[int]:
    """Numbers of nodes to measure up to that one, each a whole number of clusters.

    Raises ValueError where that one is none.
    """
    if nodes < SIZE or nodes % SIZE:
        raise ValueError(f"a fleet of clusters of {SIZE} cannot have {nodes} nodes")
    return sorted({SIZE, *(nodes // part // SIZE * SIZE for part in (4, 2, 1))} - {0})


def fleet(site: Site, nodes: int, say: Callable[[str], None]) -> str:
    """Measure fleets of more and more nodes; what a person reads."""
    site.environ |= ENVIRONMENT
    figures = {}
    for count in steps(nodes):
        say(f"{count} nodes in {count // SIZE} clusters")
        figures[count] = _measure(site, count)
    return as_text(figures)


def _measure(site: Site, nodes: int) -> Figures:
    clusters = nodes // SIZE
    site.configure_fleet(clusters, SIZE)
    site.fresh(nodes)
    runs: dict[str, Measured] = {"create": site.up()}
    state = site.state_kib()
    before = site.started()
    runs["no change"] = site.up()
    if site.started() != before:
        raise Failed("an update without a change restarted a member")
    site.configure_fleet(clusters, SIZE, {1: CHANGE})
    runs["change"] = site.up()
    kept = set(site.started()) & set(before)
    if len(kept) != nodes - SIZE:
        raise Failed(f"a change of {SIZE} members left {len(kept)} of {nodes} as they were")
    runs["destroy"] = site.pulumi("destroy", "--yes", "--skip-preview")
    return {
        **{name: run.seconds for name, run in runs.items()},
        "written": runs["create"].written_mib,
        "memory": max(run.peak_mib for run in runs.values()),
        "state": state,
    }


def as_text(figures: Mapping[int, Mapping[str, float]]) -> str:
    """A table, and under it how each of the figures grows."""
    rows = [
        *((title, name, "s") for name, title in _STEPS),
        ("state", "state", "KiB"),
        ("written while it was created", "written", "MiB"),
        ("peak memory", "memory", "MiB"),
    ]
    heads = ["", *(f"{count} nodes" for count in figures)]
    cells: list[tuple[str, Sequence[str]]] = [
        (title, [spread([one[name]], unit) for one in figures.values()])
        for title, name, unit in rows
    ]
    drawn = "\n\n".join(
        f"{title}, {unit}\n{bars({count: one[name] for count, one in figures.items()})}"
        for title, name, unit in rows
    )
    return f"{table(heads, cells)}\n\n{drawn}"
