"""A machine that hangs: its kernel accepts connections, and nobody answers on them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab import Lab
from tests.live.nodes import FIRST
from tests.live.stack import Stack


@pytest.fixture
def hanging(three: Stack, lab: Lab) -> Iterator[str]:
    """The second machine's address; its SSH server is stopped in its tracks."""
    unit = ("systemctl", "kill", "ssh.service")
    lab.exec(FIRST + 1, *unit, "--signal=STOP")
    try:
        yield lab.address(1)
    finally:
        lab.exec(FIRST + 1, *unit, "--signal=CONT")


def test_a_machine_that_hangs_is_named_before_anything_is_changed(
    three: Stack, hanging: str
) -> None:
    said = f"etcd-2 at {hanging}:22 accepts connections but shows no SSH banner within 2 seconds"
    preview = three.preview()
    assert said in preview.text
    assert "An update is refused" in preview.text

    began = time.monotonic()
    failed = three.up(check=False, seconds=60)
    assert time.monotonic() - began < 30
    assert failed.status != 0
    assert said in failed.text
    assert failed.changed == {}
    for noise in ("Traceback", "unhandled error", "non-zero exit code"):
        assert noise not in failed.text


def test_and_when_it_is_back_nothing_has_changed(three: Stack) -> None:
    assert three.up().changed == {}
