"""What is ours goes, what is others' stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcd_component.agent import own_files, paths
from etcd_component.agent.paths import Paths

OURS = (
    "etcd.yaml settings.yaml seat.yaml peers left reseat reseat-begun repair former-peer-url"
    " etcd.yaml.before identity found-parent declared as-put.tls as-put.config etcd.yaml.123"
    " claim.77 pki.9"
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setattr(paths, "CONFIGURATIONS", tmp_path / "etc")
    monkeypatch.setattr(own_files, "CONFIGURATIONS", tmp_path / "etc")
    found = Paths("etcd")
    found.etc.mkdir(parents=True)
    (found.etc / "claim").write_text("name=etcd-1\n")
    for name in OURS.split():
        (found.etc / name).touch()
    (found.etc / "pki-Ab_1").mkdir()
    (found.etc / "pki-Ab_1/server.key").touch()
    (found.etc / "pki").symlink_to("pki-Ab_1")
    return found


def test_nothing_is_left_and_the_claim_goes_last(place: Paths) -> None:
    own_files.remove_configuration(place)
    assert [one.name for one in place.etc.iterdir()] == ["claim"]
    own_files.remove_claim(place)
    assert not place.etc.parent.exists()


def test_what_others_put_there_stays_and_is_named(place: Paths) -> None:
    for name in ("notes.txt", "etcd.yaml.bak", "pki.old/ca.crt", "../etcd.conf"):
        (place.etc / name).parent.mkdir(exist_ok=True)
        (place.etc / name).touch()
    own_files.remove_configuration(place)
    own_files.remove_claim(place)
    said = own_files.staying([place.etc.parent])
    assert said.startswith(" What is not etcd-node's stays: ")
    assert sorted(said.partition("stays: ")[2].rstrip(".").split(", ")) == [
        f"{place.etc.parent}/{name}"
        for name in ("etcd.conf", "etcd/etcd.yaml.bak", "etcd/notes.txt", "etcd/pki.old/ca.crt")
    ]


def test_versions_go_and_another_program_beside_them_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = tmp_path / "versions"
    monkeypatch.setattr(own_files, "VERSIONS", versions)
    monkeypatch.setattr(own_files, "SOFTWARE", tmp_path)
    for name in ("3.6.16/bin/etcd", "3.6.16/bin/etcdctl", "3.5.1/bin/etcd", ".new-x/all/etcd"):
        (versions / name).parent.mkdir(parents=True, exist_ok=True)
        (versions / name).touch()
    (versions / "preinstalled/bin").mkdir(parents=True)
    (versions / "preinstalled/bin/etcd").symlink_to("/usr/bin/etcd")
    (versions / "3.4.1").symlink_to("preinstalled")
    (versions / "3.5.1/bin/mine").touch()
    own_files.remove_programs()
    assert [str(one.relative_to(tmp_path)) for one in versions.rglob("*") if one.is_file()] == [
        "versions/3.5.1/bin/mine"
    ]
    assert [one.name for one in versions.iterdir()] == ["3.5.1"]
    (versions / "3.5.1/bin/mine").unlink()
    own_files.remove_programs()
    assert not tmp_path.exists()


def test_a_directory_without_versions_goes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_files, "VERSIONS", tmp_path / "etcd/versions")
    monkeypatch.setattr(own_files, "SOFTWARE", tmp_path / "etcd")
    (tmp_path / "etcd").mkdir()
    own_files.remove_programs()
    assert not (tmp_path / "etcd").exists()


def test_of_many_only_some_are_named(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / str(number)).touch()
    assert own_files.staying([tmp_path]).endswith("4 and 2 more.")
    assert own_files.staying([tmp_path / "missing"]) == ""
