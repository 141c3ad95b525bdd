"""The parts of the lab that need no machine of their own."""

from __future__ import annotations

import gzip
import os
import tarfile
import threading
from pathlib import Path

import pytest

from lab import Lab, LabError, cache, naming, processes, releases
from lab.naming import Naming


def test_two_labs_share_no_name() -> None:
    one, other = Naming("demo", "10.10.10"), Naming("test", "10.10.11")
    for name in ("bridge", "chain", "home", "network", "interface_prefix", "namespace_prefix"):
        assert getattr(one, name) != getattr(other, name)


def test_names_fit_the_kernel() -> None:
    longest = Naming("abcdefgh", "10.10.10")
    assert len(longest.interface(250)) <= 15
    assert len(longest.chain) <= 28


@pytest.mark.parametrize("name", ["", "Demo", "1st", "a-b", "../etc", "ninechars"])
def test_a_name_that_would_not_fit_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="names no lab"):
        Naming(name, "10.10.10")


@pytest.mark.parametrize("subnet", ["10.10", "10.10.10.0", "10.10.300", "8.8.8", "x"])
def test_a_subnet_that_is_none_is_refused(subnet: str) -> None:
    with pytest.raises(LabError, match="subnet"):
        Naming("demo", subnet)


@pytest.mark.parametrize("said", [12, "12", "node12", "10.10.10.12"])
def test_a_node_is_meant_by_number_name_or_address(said: int | str) -> None:
    assert Naming("demo", "10.10.10").number(said) == 12


def test_a_lab_is_chosen_by_argument_then_environment_then_habit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(naming, "HOME", Path("/nowhere"))
    monkeypatch.delenv("ETCD_LAB", raising=False)
    assert Lab.named().naming == Naming("demo", "10.10.10")
    assert Lab.named("test").address(1) == "10.10.11.11"
    assert Lab.named("other").naming == Lab.named("other").naming
    monkeypatch.setenv("ETCD_LAB", "mine:10.20.30")
    assert Lab.named().naming == Naming("mine", "10.20.30")
    assert Lab.named("test").naming == Naming("test", "10.10.11")
    assert Lab.named("mine", "10.20.31").naming == Naming("mine", "10.20.31")


def test_a_running_lab_keeps_its_subnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "HOME", tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/subnet").write_text("10.20.30")
    assert Lab.named("demo").naming.subnet == "10.20.30"
    with pytest.raises(LabError, match=r"runs with subnet 10\.20\.30"):
        Lab.named("demo", "10.10.10")


def test_a_recycled_process_id_is_not_taken_for_the_lab_s_process(tmp_path: Path) -> None:
    stat = Path(f"/proc/{os.getpid()}/stat").read_text()
    pidfile = tmp_path / "pid"
    pidfile.write_text(stat)
    mine = processes.read_pidfile(pidfile)
    assert mine == processes.find(os.getpid())
    assert mine
    pidfile.write_text(stat.replace(f" {mine.start} ", f" {mine.start - 1} "))
    assert processes.read_pidfile(pidfile) is None


def test_a_failed_build_leaves_nothing_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_ETCD_CACHE", str(tmp_path))

    def fail(target: Path) -> None:
        (target / "half").touch()
        raise LabError

    with pytest.raises(LabError):
        cache.kept("thing/1", fail)
    assert not list(tmp_path.rglob("half"))
    assert not (tmp_path / "thing/1").exists()


def test_two_runs_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_ETCD_CACHE", str(tmp_path))
    built = []
    both_wait = threading.Barrier(2)

    def build(target: Path) -> None:
        built.append(target)

    def run() -> None:
        both_wait.wait()
        cache.kept("thing/1", build)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


def test_an_archive_has_the_official_layout_and_the_same_bytes_at_any_time(tmp_path: Path) -> None:
    packed = []
    for when in (1, 10**9):
        built, target = tmp_path / f"built-{when}", tmp_path / f"packed-{when}"
        built.mkdir()
        target.mkdir()
        for program in ("etcd", "etcdctl", "etcdutl"):
            (built / program).write_text(program)
            os.utime(built / program, (when, when))
        releases._pack("3.6.16", built, target)
        packed.append((target / releases.archive_name("3.6.16")).read_bytes())
    assert packed[0] == packed[1]

    (tmp_path / "archive.tar").write_bytes(gzip.decompress(packed[0]))
    top = f"etcd-v3.6.16-linux-{releases.architecture()}"
    with tarfile.open(tmp_path / "archive.tar") as archive:
        assert archive.getnames() == [top, f"{top}/etcd", f"{top}/etcdctl", f"{top}/etcdutl"]
        assert {entry.mode for entry in archive} == {0o755}
        assert {(entry.uid, entry.gid, entry.mtime) for entry in archive} == {(0, 0, 0)}
