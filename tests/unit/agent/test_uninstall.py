"""What is not known to be stopped keeps its data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from etcd_component.agent import commands, data_directory, exporter, frame, locking, uninstall
from etcd_component.agent.options import Options
from etcd_component.agent.output import Refusal
from etcd_component.agent.waits import Waits
from tests.unit.agent.fake_machine import Machine, machine

__all__ = ["machine"]


@pytest.fixture
def member(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with a member that runs."""
    units = machine.root / "units"
    monkeypatch.setattr(exporter, "UNITS", units)
    for name in ("_remove_uploads", "_remove_what_is_shared"):
        monkeypatch.setattr(uninstall, name, lambda _: None)
    monkeypatch.setattr(locking, "forget", lambda *_: None)
    machine.configure("membership\n")
    machine.have_data()
    machine.write(machine.paths.unit_file, "# Written by etcd-node\n")
    machine.unit = dataclasses.replace(machine.unit, active="active", main_pid=7)
    return machine


def test_data_are_not_removed_from_below_a_member(member: Machine) -> None:
    member.failing = "disable"
    command = commands.COMMANDS["uninstall"]
    options = Options(remove_data=True, yes=True)
    with pytest.raises(Refusal, match=r"disable -q --now etcd\.service` failed"):
        uninstall.run(frame.Run(commands.NODE, "uninstall", command, options, Waits()))
    assert (member.root / "data/member/wal/0.wal").exists()
    assert member.paths.unit_file.exists()


def test_what_a_unit_of_others_runs_with_stays(
    member: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody has replaced the unit, which is theirs now."""
    member.write(member.paths.unit_file, "[Service]\n")
    run = frame.Run(
        commands.NODE,
        "uninstall",
        commands.COMMANDS["uninstall"],
        Options(remove_data=True, yes=True),
        Waits(),
    )
    uninstall.run(run)
    assert (member.root / "data/member/wal/0.wal").exists()
    assert "because etcd.service, which is not etcd-node's, runs" in capsys.readouterr().out
    member.unit = dataclasses.replace(member.unit, active="inactive")
    member.configure()
    uninstall.run(run)
    assert list((member.root / "data").iterdir()) == []


@pytest.mark.parametrize("active", ["active", ""])
def test_data_are_not_set_aside_from_below_a_member(member: Machine, active: str) -> None:
    """Nor where systemd does not say whether it runs."""
    member.failing = "stop"
    member.unit = dataclasses.replace(member.unit, active=active, main_pid=7 if active else 0)
    with pytest.raises(Refusal, match=r"could not be stopped|does not say"):
        data_directory.set_aside(Path(member.root / "data"), "etcd.service", "left")
    assert (member.root / "data/member/wal/0.wal").exists()
