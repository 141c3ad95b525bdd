"""What a member is started with, and what keeps it from starting as somebody new."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from etcd_component.agent import commands, files, frame, start, wal
from etcd_component.agent.instance import JOINED, Instance
from etcd_component.agent.options import Options
from etcd_component.agent.output import Refusal
from etcd_component.agent.waits import Waits
from tests.unit.agent.fake_machine import ALONE, Machine, machine

__all__ = ["machine"]

BOOTSTRAP = "initial-cluster-state: new\ninitial-cluster: etcd-1=https://10.0.0.1:2380\n"
TAKEN = f"{JOINED}. ...\ninitial-cluster-state: existing\n"


@pytest.fixture(autouse=True)
def own_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "data_of_another", lambda paths, data: False)


def stamp(machine: Machine) -> None:
    command = commands.COMMANDS["stamp"]
    start.stamp(frame.Run(commands.NODE, "stamp", command, Options(), Waits()))


def test_the_fingerprint_is_what_the_shell_s_was(machine: Machine) -> None:
    machine.configure()
    machine.write(machine.paths.unit_file, "[Unit]\n")
    machine.write(machine.paths.pki / "ca.crt", "CA\n")
    content = machine.paths.settings.read_text() + "[Unit]\nCA\n"
    assert start.fingerprint(machine.paths) == hashlib.sha256(content.encode()).hexdigest()[:12]
    before = start.fingerprint(machine.paths)
    machine.write(machine.paths.pki / "token.pub", "key\n")
    assert start.fingerprint(machine.paths) != before


def test_a_start_is_noted_with_settings_and_version(machine: Machine) -> None:
    machine.configure(TAKEN)
    machine.have_data()
    machine.paths.current.parent.mkdir(parents=True)
    machine.paths.current.symlink_to("../versions/3.6.16")
    assert start.started_version(machine.paths) == ""
    stamp(machine)
    said = machine.paths.started.read_text()
    assert said == f"{start.fingerprint(machine.paths)} ../versions/3.6.16\n"
    assert start.started_version(machine.paths) == "3.6.16"
    machine.write(
        machine.paths.configuration, "edited: true\n" + machine.paths.configuration.read_text()
    )
    stamp(machine)
    assert machine.paths.started.read_text() == said + "with another etcd.yaml\n"


def test_the_last_start_s_note_does_not_stand_for_this_one(machine: Machine) -> None:
    machine.write(machine.paths.started, "of the last start\n")
    with pytest.raises(Refusal, match="has no instance"):
        stamp(machine)
    assert not machine.paths.started.exists()


def test_data_of_another_member_are_not_started_with(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.configure(TAKEN)
    machine.have_data()
    monkeypatch.setattr(wal, "data_of_another", lambda paths, data: True)
    stamp(machine)
    assert machine.called == [("stop", "--no-block", "etcd.service")]
    assert "are those of another member of this cluster" in capsys.readouterr().out


def test_a_member_without_its_data_is_said_so(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.configure(TAKEN)
    stamp(machine)
    assert "holds no member any more" in capsys.readouterr().out
    assert machine.called == []


@pytest.mark.parametrize("case", ["permitted", "data", "existing"])
def test_what_may_start_keeps_its_configuration(
    machine: Machine, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.configure(BOOTSTRAP if case != "existing" else BOOTSTRAP.replace("new", "existing"))
    before = machine.paths.configuration.read_text()
    if case == "permitted":
        start.permit_bootstrap(machine.paths)
        assert machine.paths.bootstrapping.stat().st_mode & 0o777 == 0o600
    elif case == "data":
        machine.have_data()
    stamp(machine)
    assert machine.paths.configuration.read_text() == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("permission", ["none", "over", "of a process that is gone", "of all", "x"])
def test_nobody_else_bootstraps_a_cluster(
    machine: Machine, permission: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.configure(BOOTSTRAP)
    if permission != "none":
        start.permit_bootstrap(machine.paths)
    if permission == "over":
        os.utime(machine.paths.bootstrapping, (0, 0))
    elif permission == "of a process that is gone":
        machine.paths.bootstrapping.write_text("4194305\n")
    elif permission == "of all":
        machine.paths.bootstrapping.write_text("0\n")
    elif permission == "x":
        machine.paths.bootstrapping.write_text("x\n")
    stamp(machine)
    assert "is over. It does not start" in capsys.readouterr().out
    text = machine.paths.configuration.read_text()
    assert (
        "initial-cluster-state: existing\ninitial-cluster: etcd-1=https://10.0.0.1:2380\n" in text
    )
    assert "new" not in text
    assert not machine.paths.membership.exists()
    assert machine.called == []


def test_where_the_configuration_cannot_be_withdrawn_the_unit_is_stopped(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.configure(BOOTSTRAP)

    def full(paths: object) -> None:
        raise Refusal("it cannot be written")

    monkeypatch.setattr(start, "compose", full)
    stamp(machine)
    assert machine.called == [("stop", "--no-block", "etcd.service")]
    assert "it cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["started", "membership"])
def test_a_file_that_cannot_be_removed_keeps_no_cluster_from_being_guarded(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    machine.configure(BOOTSTRAP)
    stuck, remove = getattr(machine.paths, place), files.remove

    def read_only(*removed: Path) -> None:
        if stuck in removed:
            raise OSError(30, "Read-only file system")
        remove(*removed)

    monkeypatch.setattr(files, "remove", read_only)
    with contextlib.suppress(OSError):
        stamp(machine)
    is_withdrawn = "initial-cluster-state: new" not in machine.paths.configuration.read_text()
    assert is_withdrawn or machine.called == [("stop", "--no-block", "etcd.service")]


# ---- what runs


def test_a_read_only_disk_stops_the_unit_too(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.configure(BOOTSTRAP)
    remove = files.remove

    def read_only(*paths: Path) -> None:
        if machine.paths.membership in paths:
            raise OSError(30, "Read-only file system", str(paths[0]))
        remove(*paths)

    monkeypatch.setattr(files, "remove", read_only)
    stamp(machine)
    assert machine.called == [("stop", "--no-block", "etcd.service")]
    assert "Read-only file system" in capsys.readouterr().err


@pytest.fixture
def running(machine: Machine) -> Machine:
    """A member that runs what its files say: this very process stands for it."""
    machine.configure(TAKEN)
    machine.have_data()
    stamp(machine)
    program = machine.paths.current / "bin/etcd"
    program.parent.mkdir(parents=True)
    program.symlink_to(os.path.realpath("/proc/self/exe"))
    machine.unit = dataclasses.replace(machine.unit, active="active", main_pid=os.getpid())
    return machine


def test_a_member_that_runs_what_its_files_say_is_left_alone(running: Machine) -> None:
    assert start.runs_what_the_files_say(running.paths)


def test_an_equal_program_in_another_file_is_the_same(running: Machine) -> None:
    program = running.paths.current / "bin/etcd"
    content = program.read_bytes()
    program.unlink()
    program.write_bytes(content)
    assert start.runs_what_the_files_say(running.paths)


@pytest.mark.parametrize(
    "change", ["down", "settings", "edited", "program", "no program", "no pid"]
)
def test_a_restart_would_change_something(running: Machine, change: str) -> None:
    program = running.paths.current / "bin/etcd"
    if change == "down":
        running.unit = dataclasses.replace(running.unit, active="activating")
    elif change == "settings":
        running.write(running.paths.settings, "other: true\n")
    elif change == "edited":
        running.write(running.paths.configuration, "other: true\n")
        running.write(running.paths.started, running.paths.started.read_text() + "with another\n")
    elif change == "program":
        program.unlink()
        program.write_text("another")
    elif change == "no program":
        program.unlink()
    else:
        running.unit = dataclasses.replace(running.unit, main_pid=0)
    assert not start.runs_what_the_files_say(running.paths)


# ---- starting


def test_only_a_member_that_has_joined_and_not_left_is_started(machine: Machine) -> None:
    machine.configure()
    with pytest.raises(Refusal, match="has not taken its seat"):
        start.require_joined(Instance.load(machine.paths))
    machine.configure(TAKEN)
    start.require_joined(Instance.load(machine.paths))
    machine.write(machine.paths.left, "")
    with pytest.raises(Refusal, match="has left its cluster"):
        start.require_joined(Instance.load(machine.paths))


@pytest.mark.parametrize(
    ("done", "asked", "expected"),
    [("", 0, False), ("", 1, True), ("1\n", 1, False), ("1\n", 2, True), ("x\n", 1, True)],
)
def test_a_repair_is_asked_by_a_higher_number(
    machine: Machine, done: str, asked: int, expected: bool
) -> None:
    machine.write(machine.paths.repaired, done)
    assert start.repair_is_asked(machine.paths, Options(repair=asked)) is expected


@pytest.mark.parametrize("active", ["active", "activating", "failed"])
def test_what_does_not_serve_is_started_with_its_new_files(
    machine: Machine, active: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.configure(TAKEN)
    machine.unit = dataclasses.replace(machine.unit, active=active)
    start.restart_if_down(Instance.load(machine.paths))
    expected = [] if active == "active" else [("restart", "--no-block", "etcd.service")]
    assert machine.called == expected
    assert ("is started with its new files" in capsys.readouterr().out) == bool(expected)


def test_what_systemd_does_not_say_or_do_is_no_restart(machine: Machine) -> None:
    machine.configure(TAKEN)
    instance = Instance.load(machine.paths)
    machine.unit = dataclasses.replace(machine.unit, active="")
    with pytest.raises(Refusal, match=r"does not say whether etcd\.service runs"):
        start.restart_if_down(instance)
    assert machine.called == []
    machine.unit = dataclasses.replace(machine.unit, active="failed")
    machine.failing = "restart"
    with pytest.raises(Refusal, match=r"restart --no-block etcd\.service` failed"):
        start.restart_if_down(instance)


def test_the_stamp_imports_little() -> None:
    """It runs before each start of etcd."""
    script = (
        f"{ALONE}import etcd_component.agent.commands, etcd_component.agent.start;"
        "print(*({'ssl', 'http', 'urllib.request', 'tarfile'} & set(sys.modules)))"
    )
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
