"""Data directories: what may be one, what is in it, and what is taken away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from etcd_component.agent import data_directory, systemd
from etcd_component.agent.output import Refusal
from tests.unit.agent.fake_machine import Machine, machine

__all__ = ["machine"]


@dataclass
class Places:
    made_parent: Path


@pytest.mark.parametrize(
    "path", ["/", "/home", "/var/lib", "/usr/local/etcd", "/etc/x", "/run/etcd", "/dev/shm/etcd"]
)
def test_directories_of_the_system_are_refused(path: str) -> None:
    found = data_directory.system_directory(Path("/data"), Path(path))
    assert found is not None
    assert found.problem == f"/data is the directory {path} of the system"


@pytest.mark.parametrize(
    "path", ["/data", "/data/etcd", "/var/lib/etcd", "/srv/etcd", "/opt/etcd2"]
)
def test_others_may_be_one(path: str) -> None:
    assert data_directory.system_directory(Path(path), Path(path)) is None


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    found = data_directory.system_directory(Path("/data"), tmp_path / "a/etcd")
    assert found is not None
    assert found.problem == f"/data cannot be followed: the link {tmp_path}/a leads nowhere"


def test_the_state_of_data(tmp_path: Path) -> None:
    assert data_directory.state(tmp_path) == "none"
    (tmp_path / "member/snap").mkdir(parents=True)
    assert data_directory.state(tmp_path) == "none"
    (tmp_path / "member/snap/db").touch()
    assert data_directory.state(tmp_path) == "part"
    (tmp_path / "member/wal").mkdir()
    assert data_directory.state(tmp_path) == "part"
    (tmp_path / "member/wal/0.wal").touch()
    assert data_directory.state(tmp_path) == "whole"


def test_what_we_leave_there_is_not_foreign(tmp_path: Path) -> None:
    for name in ("lost+found", ".etcd-node", "member.left-x", "member.removed-x"):
        (tmp_path / name).touch()
    (tmp_path / "member.before-reseat-x").mkdir()
    assert data_directory.foreign_content(tmp_path) == []
    (tmp_path / "photo").touch()
    assert data_directory.foreign_content(tmp_path) == ["photo"]
    assert data_directory.foreign_content(tmp_path / "missing") == []


def test_what_cannot_be_read_is_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(PermissionError):
        data_directory.foreign_content(tmp_path)


def test_a_copy_is_kept_once_for_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "systemctl", lambda *_: True)
    (tmp_path / "member/wal").mkdir(parents=True)
    first = data_directory.set_aside(tmp_path, "no-such.service", "left")
    assert first is not None
    assert first.name.startswith("member.left-")
    assert (first / "wal").is_dir()
    assert data_directory.set_aside(tmp_path, "no-such.service", "left") is None
    (tmp_path / "member").mkdir()
    second = data_directory.set_aside(tmp_path, "no-such.service", "left", first.with_name("x"))
    assert second == tmp_path / "x"


def test_data_stay_where_the_unit_does_not_stop(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.have_data()
    machine.unit = replace(machine.unit, main_pid=7)
    monkeypatch.setattr(systemd, "systemctl", lambda *words: False)
    with pytest.raises(Refusal, match=r"etcd\.service could not be stopped.* Its data stay"):
        data_directory.set_aside(machine.root / "data", "etcd.service", "left")
    assert data_directory.state(machine.root / "data") == "whole"
    # There is no such unit.
    machine.unit = replace(machine.unit, main_pid=0)
    assert data_directory.set_aside(machine.root / "data", "etcd.service", "left") is not None


def test_all_data_go_and_the_way_that_was_made_for_them(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "photo").touch()
    real = tmp_path / "a/b/etcd"
    (real / "member/wal").mkdir(parents=True)
    (real / "member/wal/0.wal").touch()
    (real / "link").symlink_to(outside)
    note = tmp_path / "note"
    note.write_text(f"{tmp_path}/a\n")
    data_directory.remove(real, Places(note))
    assert list((tmp_path / "a").iterdir()) == []
    assert (outside / "photo").exists()


@pytest.mark.parametrize("base", ["", "/elsewhere"])
def test_without_a_note_the_directory_itself_stays(tmp_path: Path, base: str) -> None:
    real = tmp_path / "a/etcd"
    (real / "member").mkdir(parents=True)
    note = tmp_path / "note"
    note.write_text(base)
    data_directory.remove(real, Places(note))
    assert list(real.iterdir()) == []


def test_parents_that_serve_others_stay(tmp_path: Path) -> None:
    real = tmp_path / "a/etcd"
    real.mkdir(parents=True)
    (tmp_path / "a/photo").touch()
    note = tmp_path / "note"
    note.write_text(f"{tmp_path}\n")
    data_directory.remove(real, Places(note))
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["photo"]


def test_only_a_directory_in_which_nobody_put_anything_is_unused(tmp_path: Path) -> None:
    assert not data_directory.is_unused(tmp_path / "none")
    assert data_directory.is_unused(tmp_path)
    (tmp_path / ".etcd-node").touch()
    assert data_directory.is_unused(tmp_path)
    for name in ("postgres", "lost+found", "member", "member.attempt-20260101-000000"):
        (tmp_path / name).mkdir()
        assert not data_directory.is_unused(tmp_path), name
        (tmp_path / name).rmdir()
