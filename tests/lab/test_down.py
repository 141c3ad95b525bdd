"""`down` leaves a machine as it was, whatever happened before."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from lab import Lab, archive, node
from tests.lab.conftest import program, traces


@pytest.fixture
def lab(one_run_at_a_time: None) -> Iterator[Lab]:
    lab = Lab.named("labcrash", "10.10.253")
    lab.down()
    assert traces(lab) == []
    yield lab
    lab.down()


def test_down_leaves_no_trace(lab: Lab) -> None:
    lab.up(1)
    assert len(traces(lab)) > 10
    lab.down()
    assert traces(lab) == []


def test_down_again_is_no_error(lab: Lab) -> None:
    lab.down()


@pytest.mark.parametrize("moment", ["nodes: starting", "archive server"])
def test_an_up_that_was_killed_half_way_is_cleared_away(lab: Lab, moment: str) -> None:
    names = lab.naming
    killed = program("--lab", names.name, "--subnet", names.subnet, "up", "2")
    assert killed.stdout is not None
    assert any(line.startswith(moment) for line in killed.stdout)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    assert traces(lab) != []
    lab.down()
    assert traces(lab) == []


def test_an_up_that_was_interrupted_is_continued_by_the_next(lab: Lab) -> None:
    names = lab.naming
    stopped = program("--lab", names.name, "--subnet", names.subnet, "up", "2")
    assert stopped.stdout is not None
    assert any(line.startswith("nodes: starting") for line in stopped.stdout)
    stopped.send_signal(signal.SIGINT)
    stopped.stdout.close()
    stopped.wait()
    assert all(each.running for each in lab.up(2))


def test_a_node_and_a_server_that_died_alone_are_cleared_away(lab: Lab) -> None:
    lab.up(1)
    supervisor = node.supervisor(lab.naming, 10)
    assert supervisor
    supervisor.kill()
    archive.stop(lab.naming)
    lab.down()
    assert traces(lab) == []
