"""Looks at a machine, held against what the machine is known to have."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from etcd_component.agent import files, host
from etcd_component.agent.host import Mount

FIB = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.0.0.0
        /24 link UNICAST
Local:
     |-- 10.0.0.7
        /32 host LOCAL
     |-- 10.0.0.255
        /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 10.0.0.7
        /32 host LOCAL
"""
IPV6 = "fd000000000000000000000000000002 02 40 00 80 eth0\n"
MOUNTINFO = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:5 / /data\\040disk rw,noexec shared:1 - xfs /dev/sdb1 rw
31 30 0:6 / /data\\040disk/etcd rw - tmpfs none ro,size=1g
32 22 0:7 / /data rw - ext4 /dev/sdc1 rw
33 22 0:8 / /data ro - ext4 /dev/sdd1 rw
"""


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (
        ("net/fib_trie", FIB),
        ("net/if_inet6", IPV6),
        ("self/mountinfo", MOUNTINFO),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(host, "PROC", tmp_path)
    return tmp_path


def test_addresses_are_those_that_a_server_can_bind(proc: Path) -> None:
    assert host.own_addresses() == ["10.0.0.7", "127.0.0.1", "fd00::2"]


def test_a_path_is_on_the_deepest_mount_and_of_equals_on_the_last(proc: Path) -> None:
    assert host.mount_of(Path("/data disk/etcd/x")) == Mount(
        "/data disk/etcd", "tmpfs", frozenset({"rw", "ro", "size=1g"})
    )
    found = host.mount_of(Path("/data/etcd"))
    assert found is not None
    assert "ro" in found.options
    found = host.mount_of(Path("/database"))
    assert found is not None
    assert found.point == "/"
    assert host.mounts_below(Path("/data disk")) == "/data disk/etcd"
    assert host.mounts_below(Path("/data")) == ""


@pytest.mark.parametrize(
    ("fstab", "missing"),
    [
        ("", ""),
        ("/dev/sda1 / ext4 defaults 0 0\n", ""),
        ("/dev/sdb1 /data xfs defaults 0 0\n", ""),
        ("/dev/sdb1 /srv xfs defaults 0 0\n", "/srv"),
        ("/dev/sdb1 /srv/ xfs defaults 0 0\n", "/srv"),
        ("/dev/sdb1 /srv/etcd xfs defaults 0 0\n", "/srv/etcd"),
        ("#/dev/sdb1 /srv xfs defaults 0 0\n", ""),
        ("/dev/sdb1 /srv2 xfs defaults 0 0\nUUID=x none swap sw 0 0\nbroken\n", ""),
    ],
)
def test_a_disk_of_the_data_that_is_not_mounted(
    proc: Path, monkeypatch: pytest.MonkeyPatch, fstab: str, missing: str
) -> None:
    read_text = files.read_text
    monkeypatch.setattr(
        files, "read_text", lambda path: fstab if path.name == "fstab" else read_text(path)
    )
    assert host.missing_mount(Path("/srv/etcd")) == missing


def test_who_listens_on_a_port_is_named() -> None:
    for address in ("127.0.0.1", "::1"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.create_server((address, 0), family=family) as server:
            port = server.getsockname()[1]
            holder = host.holder_of_port(port, "no-such.service")
            assert holder is not None
            assert f"(process {os.getpid()})" in holder
        assert host.holder_of_port(port, "no-such.service") is None


def test_a_directory_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert host.existing_parent(tmp_path / "a/b") == tmp_path
    assert host.existing_parent(tmp_path / "file/b") == tmp_path
    assert host.existing_parent(tmp_path) == tmp_path
    assert host.free_mib(tmp_path) > 0
    assert host.free_mib(tmp_path / "missing") == 0
