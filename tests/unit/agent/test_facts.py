"""The document of a machine, and that the other side reads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from etcd_component.agent import facts, host, install_program, paths, systemd
from etcd_component.agent.paths import Paths
from etcd_component.agent.systemd import UnitState
from etcd_component.status.facts import Facts, parse

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """\
name: etcd-1
data-dir: {data}
initial-advertise-peer-urls: https://10.0.0.1:2380
advertise-client-urls: https://10.0.0.1:2379
"""
MEMBERSHIP = "# The seat is taken.\ninitial-cluster-state: existing\ninitial-cluster: a=b\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that is a directory."""
    for name in ("CONFIGURATIONS", "SOFTWARE", "UNITS", "RUN"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    stopped = UnitState("failed", "failed", 0, False, 0, False, ("/x.conf",), "", True)
    monkeypatch.setattr(systemd, "show", lambda _: stopped)
    monkeypatch.setattr(systemd, "journal", lambda *_, **__: "panic: tocommit(1)\n")
    monkeypatch.setattr(install_program, "installed_sha256", lambda: "00")
    monkeypatch.setattr(host, "missing_mount", lambda _: "/data")
    return tmp_path


def test_what_is_on_a_machine_is_read_by_the_other_side(machine: Path) -> None:
    etc = machine / "configurations" / "etcd"
    etc.mkdir(parents=True)
    settings = SETTINGS.format(data=machine / "data")
    (etc / "etcd.yaml").write_text(settings + MEMBERSHIP)
    (etc / "settings.yaml").write_text(settings)
    (etc / "seat.yaml").write_text(MEMBERSHIP)
    (etc / "claim").write_text("owner=stack\nname=etcd-1\n")
    (etc / "reseat").write_text("4\n")
    document = facts.collect(Paths("etcd"), "")
    assert document.keys() - {"schema"} == set(Facts.__slots__)
    found = parse(json.dumps(document))
    assert (found.owner, found.program, found.stage, found.data) == ("stack", "00", "lost", "none")
    assert found.configuration == found.settings == settings
    assert (found.is_composed, found.runs_the_files, found.is_enabled) == (True, False, True)
    assert (found.crash, found.crash_kind) == ("panic: tocommit(1)", "data")
    assert (found.unit, found.drop_ins) == ("failed", ("/x.conf",))
    assert (found.version, found.reported, found.exporter) == ("none", "", "")
    assert (found.rejoin, found.members, found.missing_mount) == (4, (), "/data")


def test_a_wiped_machine_says_what_it_lacks(machine: Path) -> None:
    (machine / "data" / "member" / "wal").mkdir(parents=True)
    (machine / "data" / "member" / "wal" / "0.wal").write_text("")
    found = parse(json.dumps(facts.collect(Paths("etcd"), str(machine / "data"))))
    assert (found.owner, found.stage, found.data) == ("", "none", "whole")
    nowhere = parse(json.dumps(facts.collect(Paths("etcd"), "")))
    assert (nowhere.stage, nowhere.data, nowhere.missing_mount) == ("none", "", "")


def test_how_a_member_joined_is_no_part_of_its_configuration() -> None:
    text = "# No seat\nname: a\ninitial-cluster-token: x\ninitial-cluster: a=b\nlog-level: info\n"
    assert facts.without_membership(text) == "name: a\nlog-level: info\n"
