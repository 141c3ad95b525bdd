"""What a person typed is read from the processes above, and what is asked for is done."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pulumi
import pytest

from etcd_component.command_line import command_lines_above, nearest_pulumi
from etcd_component.debug_lines import leave_out_unless_asked

ABOVE = [
    ("/opt/python", "-u", "pulumi-language-python-exec", "--replace", "other"),
    ("/usr/bin/pulumi-language-python", "127.0.0.1:1"),
    ("/usr/bin/pulumi", "up", "--replace", "one", "--yes"),
    ("pulumi", "up", "--replace", "a wrapper's"),
]


def test_it_is_the_nearest_pulumi() -> None:
    assert nearest_pulumi(ABOVE) == ABOVE[2]
    assert nearest_pulumi(ABOVE[:2]) == ()


@pytest.mark.parametrize("proc", [True, False])
def test_the_processes_above_are_known(monkeypatch: pytest.MonkeyPatch, proc: bool) -> None:
    """This one asks a child of its own, which has it above."""
    program = "import etcd_component.command_line as r, json\n"
    if not proc:
        program += "r._process = r._process_by_ps\n"
    program += "print(json.dumps(list(r.command_lines_above())))"
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    nearest, *_ = json.loads(shown)
    own = Path("/proc/self/cmdline").read_text().replace("\0", " ")
    assert " ".join(nearest).split() == own.split()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert list(command_lines_above()) == []


@pytest.mark.parametrize(
    ("words", "environment", "sent"),
    [
        (["pulumi", "up", "--yes"], {}, False),
        (["pulumi", "up", "--debug"], {}, True),
        (["pulumi", "up", "-v=9", "--logtostderr"], {}, True),
        (["pulumi", "up"], {"PULUMI_OPTION_DEBUG": "true"}, True),
        ([], {}, False),
    ],
)
def test_debug_lines_of_the_sdk_are_sent_to_who_asks(
    monkeypatch: pytest.MonkeyPatch, words: Sequence[str], environment: dict[str, str], sent: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "debug", said.append)
    leave_out_unless_asked(words, environment)
    pulumi.log.debug("resource registration prepared")
    assert bool(said) == sent
