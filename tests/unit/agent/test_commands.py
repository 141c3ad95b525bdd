"""The tables of commands of both programs."""

from __future__ import annotations

from dataclasses import fields

import pytest

from etcd_component.agent import frame
from etcd_component.agent.commands import NODE
from etcd_component.agent.frame import Program
from etcd_component.agent.monitor.commands import MONITOR
from etcd_component.agent.options import Options
from etcd_component.agent.waits import Waits

COMMANDS = [(program, word) for program in (NODE, MONITOR) for word in program.commands]


@pytest.mark.parametrize(("program", "word"), COMMANDS)
def test_each_command_has_its_function_and_its_options(program: Program, word: str) -> None:
    command = program.commands[word]
    assert callable(command.load())
    known = {field.name.replace("_", "-").rstrip("s") for field in fields(Options)}
    taken = {*program.common.split(), *command.options.split()}
    assert {one.rstrip("s") for one in taken} <= known


def test_who_types_ctrl_c_sees_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: frame.Run) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(frame, "_execute", interrupted)
    assert frame.main(NODE, ["etcdctl"]) == 1
    assert "it is safe to run this again" in capsys.readouterr().err


def test_standard_input_is_not_shown() -> None:
    run = frame.Run(NODE, "tls", NODE.commands["tls"], Options(), Waits(), _read=["a key"])
    assert run.stdin == "a key"
    assert "a key" not in repr(run)
