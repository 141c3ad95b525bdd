"""Kernel settings that nodes need are raised, and put back when the last lab is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import LabError, naming, sysctls

INSTANCES = "fs/inotify/max_user_instances"
FORWARDING = "net/ipv4/ip_forward"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a machine as it is installed, and a place for labs, without any."""
    for name, value in ((INSTANCES, "128\n"), (FORWARDING, "0\n")):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(value)
    monkeypatch.setattr(sysctls, "_PROC", tmp_path)
    monkeypatch.setattr(naming, "HOME", tmp_path / "labs")
    return tmp_path


def values(machine: Path) -> list[int]:
    return [int((machine / name).read_text()) for name in (INSTANCES, FORWARDING)]


def lab(machine: Path, name: str) -> Path:
    home = machine / "labs" / name
    home.mkdir(parents=True)
    return home


def test_the_last_lab_that_goes_puts_back_what_the_first_one_raised(machine: Path) -> None:
    one = lab(machine, "one")
    sysctls.ensure()
    raised = values(machine)
    assert raised == [8192, 1]
    other = lab(machine, "other")
    sysctls.ensure()
    one.rmdir()
    sysctls.restore()
    assert values(machine) == raised
    other.rmdir()
    sysctls.restore()
    assert values(machine) == [128, 0]
    assert not (machine / "labs").exists()


def test_what_is_high_enough_stays_as_it_is_before_and_after(machine: Path) -> None:
    (machine / INSTANCES).write_text("9000\n")
    home = lab(machine, "one")
    sysctls.ensure()
    home.rmdir()
    sysctls.restore()
    assert values(machine) == [9000, 0]


def test_a_setting_that_the_machine_does_not_allow_is_named_with_what_to_type(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab(machine, "one")
    write = Path.write_text

    def refuse(path: Path, text: str) -> int:
        if path.name == "max_user_instances":
            raise OSError(30, "Read-only file system")
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(LabError, match=r"sysctl -w fs\.inotify\.max_user_instances=8192"):
        sysctls.ensure()
