"""What all tests share: a summary by part, because a part left out looks like one that passed.

The parts are the directories of tests/. On a build machine (CI=true) a test that could not run, and
a part of which nothing ran, fail the whole run.
"""

from __future__ import annotations

import functools
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from lab import check

# Many images set it. Each of some thousand programs would then compile itself again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

TESTS = Path(__file__).parent
OUTCOMES = ("passed", "failed", "error", "skipped")
FROM_SKIPPED = "Skipped: "


class Parts:
    """Counts outcomes by part, and remembers why tests were skipped."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self.reasons: dict[str, Counter[str]] = defaultdict(Counter)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.are_asked_for(item.nodeid for item in session.items)

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self.are_asked_for(ids)

    def are_asked_for(self, nodeids: Iterable[str]) -> None:
        for nodeid in nodeids:
            self.outcomes[part_of(nodeid)].update()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        part = part_of(report.nodeid)
        if report.skipped:
            self.outcomes[part]["skipped"] += 1
            if isinstance(report.longrepr, tuple):
                self.reasons[part][report.longrepr[2].removeprefix(FROM_SKIPPED)] += 1
        elif report.when == "call":
            self.outcomes[part][report.outcome] += 1
        elif report.failed:
            self.outcomes[part]["error"] += 1

    def did_not_run(self) -> list[str]:
        """The parts that were asked for and of which nothing ran."""
        return [
            part
            for part, outcome in self.outcomes.items()
            if not any(outcome[name] for name in OUTCOMES if name != "skipped")
        ]

    def left_out(self) -> list[str]:
        """The parts of which not every test ran, those of which none ran included."""
        skipped = {part for part, outcome in self.outcomes.items() if outcome["skipped"]}
        return sorted(skipped.union(self.did_not_run()))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if os.environ.get("CI") == "true" and self.left_out() and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("parts")
        for part, outcome in self.outcomes.items():
            counts = ", ".join(f"{outcome[name]} {name}" for name in OUTCOMES if outcome[name])
            terminalreporter.write_line(f"{part:10} {counts or 'nothing ran'}")
            for reason, count in self.reasons[part].items():
                terminalreporter.write_line(f"{'':10} {count} not run: {reason}")
        left_out = sorted(
            each.name
            for each in TESTS.iterdir()
            if each.is_dir() and each.name not in self.outcomes and any(each.rglob("test_*.py"))
        )
        if left_out:
            terminalreporter.write_line(f"not asked for: {', '.join(left_out)}")
        if os.environ.get("CI") == "true" and (parts := self.left_out()):
            terminalreporter.write_line(
                f"FAILED, because on a build machine every test must run: {', '.join(parts)}",
                red=True,
            )


def part_of(nodeid: str) -> str:
    """The part a test belongs to: the first directory below tests/."""
    words = nodeid.split("::", maxsplit=1)[0].split("/")
    return words[1] if len(words) > 2 and words[0] == TESTS.name else TESTS.name


def pytest_configure(config: pytest.Config) -> None:
    # Of several processes one only sees all parts.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Parts(), "parts")


class LiveBesideOthers(LoadScopeScheduling):
    """The live part goes beside all others; who has done those, takes over a part of it.

    It goes file by file, those that look at one cluster together. Each process has a lab of its
    own, see tests/live/conftest.py. Units are begun in the order in which tests are collected.
    """

    def _split_scope(self, nodeid: str) -> str:
        if part_of(nodeid) != "live":
            return "others"
        return live_unit(TESTS.parent / nodeid.split("::", maxsplit=1)[0])


@functools.cache
def live_unit(file: Path) -> str:
    """What one process does of the live part, together and in order, that this file belongs to."""
    return "live, on one cluster" if "three: Stack" in file.read_text() else file.name


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return LiveBesideOthers(config, log)


@pytest.fixture(scope="session")
def lab_or_fail() -> None:
    """Tests behind this need a machine on which a lab can run; a build machine must be one."""
    check.install_packages(print)
    problems = "; ".join(check.findings())
    if problems and os.environ.get("CI") == "true":
        pytest.fail(f"a lab cannot run here: {problems}")
    if problems:
        pytest.skip(f"a lab cannot run here: {problems}")
