"""The figures as a person reads them. Pure."""

from collections.abc import Mapping, Sequence

from bench.table import spread, table

_NUMBERS = {1: "one node", 3: "three nodes", 5: "five nodes"}

_ROWS = (
    ("preview of an empty stack", "preview", "s"),
    ("create, until RBAC is on", "create", "s"),
    ("  the same with plain ssh", "bare", "s"),
    ("no change", "no change", "s"),
    ("one setting changed", "change", "s"),
    ("  longest gap between writes", "gap_ms", "ms"),
    ("  the same before the change", "quiet_gap_ms", "ms"),
    ("  writes acknowledged", "writes", ""),
    ("  attempts that failed", "failed", ""),
    ("  acknowledged writes lost", "lost", ""),
    ("minor upgrade, 3.6 to 3.7", "upgrade", "s"),
    ("  longest gap between writes", "upgrade_gap_ms", "ms"),
    ("  attempts that failed", "upgrade_failed", ""),
    ("three grow to five", "grow", "s"),
    ("  longest gap between writes", "grow_gap_ms", "ms"),
    ("  attempts that failed", "grow_failed", ""),
    ("five shrink to three", "shrink", "s"),
    ("  longest gap between writes", "shrink_gap_ms", "ms"),
    ("  attempts that failed", "shrink_failed", ""),
    ("a dead machine is replaced", "replace", "s"),
    ("  longest gap between writes", "replace_gap_ms", "ms"),
    ("  attempts that failed", "replace_failed", ""),
    ("destroy", "destroy", "s"),
    ("peak memory", "memory", "MiB"),
)

_LEGEND = """\
Medians, with the smallest and the largest. Each run starts on machines with an empty disk.
preview           pulumi preview
create, no change, one setting changed, minor upgrade, members
                  pulumi up --yes --skip-preview
destroy           pulumi destroy --yes --skip-preview
plain ssh         the bare limit: one ssh to each machine at once, a script that fetches etcd,
                  writes the same files, starts etcd and switches RBAC on, and checks nothing
gap               over all of six clients that write all the time while members are restarted
attempts          writes that got an error or no answer; each was sent again to the next member
peak memory       of pulumi and all processes below it, in the hungriest of the five commands"""


def as_text(facts: Mapping[str, str], figures: Mapping[int, Mapping[str, Sequence[float]]]) -> str:
    """Facts, table and legend."""
    heads = ["", *(_NUMBERS[size] for size in figures)]
    rows = [
        (title, [spread(of_size.get(name, []), unit) for of_size in figures.values()])
        for title, name, unit in _ROWS
    ]
    return f"{facts_as_text(facts)}\n\n{table(heads, rows)}\n\n{_LEGEND}"


def facts_as_text(facts: Mapping[str, str]) -> str:
    """A line for each fact about the machine."""
    return "\n".join(f"{name:9} {value}" for name, value in facts.items())
