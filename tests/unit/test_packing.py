"""The agent as one file."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from etcd_component import packing


def test_every_module_is_in_it_and_nothing_else() -> None:
    folder = Path(packing.__file__).parent
    modules = {
        f"etcd_component/{path.relative_to(folder).as_posix()}"
        for package in ("agent", "etcd_api")
        for path in (folder / package).rglob("*.py")
    }
    names = zipfile.ZipFile(io.BytesIO(packing.agent())).namelist()
    assert names == sorted({*modules, "__main__.py", "etcd_component/__init__.py"})


def test_its_bytes_say_nothing_of_where_and_when_it_was_made() -> None:
    archive = zipfile.ZipFile(io.BytesIO(packing.agent()))
    for entry in archive.infolist():
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        # What compression gives differs by the library.
        assert entry.compress_type == zipfile.ZIP_STORED
    packing.agent.cache_clear()
    assert hashlib.sha256(packing.agent()).hexdigest() == packing.sha256()


def test_the_ends_of_lines_in_a_checkout_are_not_in_it(tmp_path: Path) -> None:
    for name, end in (("unix", b"\n"), ("windows", b"\r\n")):
        (tmp_path / name / "agent").mkdir(parents=True)
        (tmp_path / name / "agent/one.py").write_bytes(end.join([b"one = 1", b"two = 2", b""]))
    (tmp_path / "unix/agent/.#one.py").symlink_to("somebody@somewhere.1234")
    assert packing.packed(tmp_path / "unix") == packing.packed(tmp_path / "windows")


def test_it_is_put_below_the_working_directory_and_kept_out_of_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    packing.put.cache_clear()
    try:
        path = Path(packing.put())
        assert path == Path(".etcd-node/agent")
        assert path.read_bytes() == packing.agent()
        assert path.stat().st_mode & 0o777 == 0o644
        assert {one.name for one in path.parent.iterdir()} == {"agent", ".gitignore"}
        path.write_bytes(b"half of it")
        packing.put.cache_clear()
        packing.put()
        assert path.read_bytes() == packing.agent()
    finally:
        packing.put.cache_clear()
