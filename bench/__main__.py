"""The command line: `python -m bench`, which `make bench` calls."""

import argparse
import dataclasses
import fcntl
import json
import os
import sys
import tempfile
from pathlib import Path

from bench import bare, machine
from bench.client import Access
from bench.process import Failed
from bench.report import as_text
from bench.site import SIZES, Site, bench_lab
from bench.writer import Writer
from lab import LabError

LOCK = Path("/run/lock/etcd-bench")
QUIET_SECONDS = 1.5
UP = ("up", "--yes", "--skip-preview")
CHANGE = {"etcd_snapshot_count": 20000}

Figures = dict[str, list[float]]


def say(line: str) -> None:
    """Tell how far it is; standard output is for the figures."""
    print(line, file=sys.stderr, flush=True)


def measure_once(site: Site, size: int, figures: Figures) -> None:
    """One life of a cluster, from fresh machines to none; its figures are added."""

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    inventory = site.configure(size)
    site.fresh(size)
    note("bare", bare.put_cluster(site, inventory))
    site.fresh(size)

    runs = {"preview": site.pulumi("preview"), "create": site.pulumi(*UP)}
    before = site.started()
    runs["no change"] = site.pulumi(*UP)
    if site.started() != before:
        raise Failed("an update without a change restarted a member")
    writer = Writer(Access(site.directory, site.outputs()))
    site.configure(size, **CHANGE)
    writer.start(QUIET_SECONDS)
    runs["change"] = site.pulumi(*UP)
    noticed = writer.stop()
    if set(site.started()) & set(before):
        raise Failed("the changed setting did not restart every member")
    runs["destroy"] = site.pulumi("destroy", "--yes", "--skip-preview")

    for name, run in runs.items():
        note(name, run.seconds)
    note("memory", max(run.peak_mib for run in runs.values()))
    for name, value in dataclasses.asdict(noticed).items():
        if name != "reasons":
            note(name, value)
    say(f"  writer: {noticed}")


def measure(sizes: list[int], runs: int) -> tuple[dict[str, str], dict[int, Figures]]:
    """Everything, and the facts of the machine."""
    figures: dict[int, Figures] = {size: {} for size in sizes}
    with bench_lab(say) as lab, tempfile.TemporaryDirectory(prefix="etcd-bench-") as directory:
        site = Site(lab, Path(directory))
        site.configure(1)
        site.pulumi("preview")  # so that the first run finds everything warm, too
        facts = machine.facts(site.etcd_version())
        # One after another instead of a size at a time, so that a busy minute is seen as a spread.
        for run in range(1, runs + 1):
            for size in sizes:
                say(f"run {run} of {runs}, {SIZES[size]}: load {os.getloadavg()[0]:.1f}")
                measure_once(site, size, figures[size])
    return facts, figures


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench", description="How long things take.")
    parser.add_argument("--json", action="store_true", help="every single figure, as JSON")
    parser.add_argument("--nodes", type=int, choices=SIZES, action="append", help="only this size")
    parser.add_argument("--runs", type=int, default=int(os.environ.get("BENCH_RUNS", "3")))
    given = parser.parse_args()
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another bench is running; two would measure each other.")
            return 1
        try:
            facts, figures = measure(given.nodes or list(SIZES), given.runs)
        except (Failed, LabError) as problem:
            say(str(problem))
            return 1
    print(
        json.dumps({"facts": facts, "figures": figures}) if given.json else as_text(facts, figures)
    )
    return 0


sys.exit(main())
