"""The command line: `python -m bench`, which `make bench` calls."""

import argparse
import fcntl
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import bare, machine
from bench.client import Access
from bench.fleet import fleet, steps
from bench.members import SIZE, members
from bench.process import Failed
from bench.report import as_text, facts_as_text
from bench.site import CHANGE, SIZES, Site, bench_lab
from bench.tokens import compare
from bench.upgrade import TO, upgrade
from bench.writer import Writer
from lab import LabError

LOCK = Path("/run/lock/etcd-bench")
QUIET_SECONDS = 1.5

Figures = dict[str, float]


def say(line: str) -> None:
    """Tell how far it is; standard output is for the figures."""
    print(line, file=sys.stderr, flush=True)


def measure_once(site: Site, size: int) -> Figures:
    """One life of a cluster, from fresh machines to none."""
    inventory = site.configure(size)
    site.fresh(size)
    plain_ssh = bare.put_cluster(site, inventory)
    site.fresh(size)

    runs = {"preview": site.pulumi("preview"), "create": site.up()}
    before = site.started()
    runs["no change"] = site.up()
    if site.started() != before:
        raise Failed("an update without a change restarted a member")
    access = Access.of(site.directory, site.outputs())
    site.configure(size, None, **CHANGE)
    with Writer(access) as writer:
        time.sleep(QUIET_SECONDS)
        changed = time.monotonic()
        runs["change"] = site.up()
        end = time.monotonic()
    if set(site.started()) & set(before):
        raise Failed("the changed setting did not restart every member")
    missing = len(writer.lost())
    upgraded = upgrade(site, size, access, CHANGE)
    life = members(site, access, {**CHANGE, "etcd_version": TO}) if size == SIZE else {}
    runs["destroy"] = site.pulumi("destroy", "--yes", "--skip-preview")

    say(f"  failed writes: {writer.failed}, because: {', '.join(writer.reasons) or 'none'}")
    return {
        "bare": plain_ssh,
        **{name: run.seconds for name, run in runs.items()},
        "memory": max(run.peak_mib for run in runs.values()),
        "gap_ms": 1000 * writer.longest_gap(changed, end),
        "quiet_gap_ms": 1000 * writer.longest_gap(end=changed),
        "writes": len(writer.acknowledged),
        "failed": writer.failed,
        "lost": missing,
        **upgraded,
        **life,
    }


def measure(sizes: list[int], runs: int, facts: dict[str, str]) -> Iterator[tuple[int, Figures]]:
    """Measure each size so many times; `facts` of the machine are added first.

    One size after another, again and again, so that a busy minute is seen as a spread.
    """
    with _site() as site:
        site.configure(1)
        site.pulumi("preview")  # so that the first run finds everything warm, too
        facts.update(machine.facts(site.etcd_version()))
        for run in range(1, runs + 1):
            for size in sizes:
                say(f"run {run} of {runs}, {SIZES[size]}: load {os.getloadavg()[0]:.1f}")
                yield size, measure_once(site, size)


def compare_tokens(runs: int) -> str:
    """What clients notice of simple and of signed tokens."""
    with _site() as site:
        return compare(site, runs)


def measure_fleet(nodes: int) -> str:
    """How what clusters cost grows with their nodes."""
    with _site() as site:
        facts = machine.facts(site.etcd_version())
        return f"{facts_as_text(facts)}\n\n{fleet(site, nodes, say)}"


@contextmanager
def _site() -> Iterator[Site]:
    with bench_lab(say) as lab, tempfile.TemporaryDirectory(prefix="etcd-bench-") as directory:
        yield Site(lab, Path(directory))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench", description="How long things take.")
    parser.add_argument("--json", action="store_true", help="every single figure, as JSON")
    parser.add_argument("--nodes", type=int, choices=SIZES, action="append", help="only this size")
    parser.add_argument(
        "--tokens", action="store_true", help="instead: what clients notice of the kind of token"
    )
    parser.add_argument(
        "--fleet",
        type=int,
        metavar="NODES",
        default=int(os.environ.get("FLEET") or 0),
        help="instead: clusters of three in one stack, up to so many nodes",
    )
    parser.add_argument("--runs", type=int, default=int(os.environ.get("BENCH_RUNS", "3")))
    given = parser.parse_args()
    if given.fleet:
        try:
            steps(given.fleet)
        except ValueError as mistake:
            parser.error(str(mistake))
    facts: dict[str, str] = {}
    figures: dict[int, dict[str, list[float]]] = {}
    status = 0
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if given.tokens:
                print(compare_tokens(given.runs))
                return 0
            if given.fleet:
                print(measure_fleet(given.fleet))
                return 0
            for size, measured in measure(given.nodes or list(SIZES), given.runs, facts):
                of_size = figures.setdefault(size, {})
                for name, value in measured.items():
                    of_size.setdefault(name, []).append(value)
        except BlockingIOError:
            say("Another bench is running; two would measure each other.")
            return 1
        except (Failed, LabError) as problem:
            say(str(problem))
            status = 1
    if given.json:
        print(json.dumps({"facts": facts, "figures": figures}))
    elif figures:
        print(as_text(facts, figures))
    return status


sys.exit(main())
