"""What a person and a test may count on with running nodes."""

from __future__ import annotations

import hashlib
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from lab import Lab, LabError, monitor, node, releases

if TYPE_CHECKING:
    from tests.lab.conftest import Ssh

FIRST, SECOND = 10, 11

HARDENED = """
[Service]
ExecStart=/bin/sleep 60
DynamicUser=yes
StateDirectory=hardened
AmbientCapabilities=
CapabilityBoundingSet=
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077
"""


def reaches(lab: Lab, number: int, address: str, port: int = 22) -> bool:
    """Whether a connection from inside a node comes about."""
    dial = f"exec 3<>/dev/tcp/{address}/{port}"
    return lab.exec(number, "timeout", "1", "bash", "-c", dial, check=False).returncode == 0


@pytest.mark.parametrize("user", ["root", "admin"])
def test_root_and_an_ordinary_user_with_sudo_log_in_to_known_hosts(
    lab: Lab, ssh: Ssh, user: str
) -> None:
    for number in (FIRST, SECOND):
        seen = ssh(user, lab.naming.address(number), "id -un && sudo id -u && hostname")
        assert (seen.returncode, seen.stdout.split()) == (0, [user, "0", f"node{number}"])


def test_systemd_runs_the_node_and_nothing_of_it_has_failed(lab: Lab) -> None:
    state = lab.exec(FIRST, "systemctl", "is-system-running", "--wait", check=False)
    assert state.stdout.strip() == "running", lab.exec(FIRST, "systemctl", "--failed").stdout


def test_a_hardened_unit_starts_and_its_journal_can_be_read(lab: Lab) -> None:
    path = "/run/systemd/system/hardened.service"
    lab.exec(FIRST, "sh", "-c", f"cat >{path} && systemctl daemon-reload", stdin=HARDENED)
    lab.exec(FIRST, "systemctl", "start", "hardened")
    time.sleep(0.3)
    assert lab.exec(FIRST, "systemctl", "is-active", "hardened").stdout == "active\n"
    assert "Started hardened" in lab.exec(FIRST, "journalctl", "-u", "hardened").stdout
    assert "OK" in lab.exec(FIRST, "systemd-analyze", "security", "hardened").stdout


def test_a_cut_node_reaches_nobody_until_it_is_healed(lab: Lab, ssh: Ssh) -> None:
    peer, machine = lab.naming.address(SECOND), lab.naming.gateway
    port = int(lab.archive_url.split(":")[2].split("/")[0])
    lab.cut(FIRST)
    assert not reaches(lab, FIRST, peer)
    assert not reaches(lab, FIRST, machine, port)
    assert ssh("root", lab.naming.address(FIRST), "true", seconds=1).returncode == 255
    assert ssh("root", peer, "true").returncode == 0
    lab.heal(FIRST)
    assert reaches(lab, FIRST, peer)
    assert reaches(lab, FIRST, machine, port)


def test_two_nodes_can_be_cut_from_each_other_alone(lab: Lab, ssh: Ssh) -> None:
    lab.cut(FIRST, SECOND)
    assert not reaches(lab, FIRST, lab.naming.address(SECOND))
    assert not reaches(lab, SECOND, lab.naming.address(FIRST))
    assert ssh("root", lab.naming.address(FIRST), "true").returncode == 0
    assert [each.cut_from for each in lab.nodes()] == [
        (lab.naming.address(SECOND),),
        (lab.naming.address(FIRST),),
    ]
    lab.heal(SECOND)
    assert reaches(lab, FIRST, lab.naming.address(SECOND))


def test_a_node_cut_from_its_peers_stays_in_reach_of_this_machine(lab: Lab, ssh: Ssh) -> None:
    lab.cut(FIRST, peers=True)
    lab.up(2)  # keeps the partition
    assert not reaches(lab, SECOND, lab.naming.address(FIRST))
    assert ssh("root", lab.naming.address(FIRST), "true").returncode == 0
    lab.heal(FIRST)
    assert reaches(lab, SECOND, lab.naming.address(FIRST))


def test_a_killed_node_comes_back_with_its_disk(lab: Lab, ssh: Ssh) -> None:
    before = node.init(lab.naming, SECOND)
    lab.exec(FIRST, "touch", "/var/kept", "/run/lost")
    lab.exec(FIRST, "sh", "-c", "echo 10.10.12.99 other >>/etc/hosts")
    lab.kill(FIRST)
    assert [each.running for each in lab.nodes()] == [False, True]
    assert ssh("root", lab.naming.address(FIRST), "true").returncode == 255
    with pytest.raises(LabError, match="is down"):
        lab.exec(FIRST, "true")
    lab.start(FIRST)
    lab.exec(FIRST, "test", "-e", "/var/kept", "-a", "!", "-e", "/run/lost")
    lab.exec(FIRST, "getent", "hosts", "other")
    assert node.init(lab.naming, SECOND) == before


def test_a_wiped_node_is_a_fresh_machine_that_ssh_still_knows(lab: Lab, ssh: Ssh) -> None:
    lab.exec(FIRST, "touch", "/var/lost")
    machine_id = lab.exec(FIRST, "cat", "/etc/machine-id").stdout
    with pytest.raises(LabError, match="kill it first"):
        lab.wipe(FIRST)
    lab.kill(FIRST)
    lab.wipe(FIRST)
    lab.start(FIRST)
    assert ssh("root", lab.naming.address(FIRST), "test ! -e /var/lost").returncode == 0
    assert lab.exec(FIRST, "cat", "/etc/machine-id").stdout != machine_id


def test_a_node_reboots_when_the_lab_says_so_and_when_it_says_so_itself(lab: Lab, ssh: Ssh) -> None:
    address = lab.naming.address(FIRST)
    lab.exec(FIRST, "touch", "/var/kept", "/run/lost")
    lab.reboot(FIRST)
    lab.exec(FIRST, "test", "-e", "/var/kept", "-a", "!", "-e", "/run/lost")

    before = node.init(lab.naming, FIRST)
    ssh("root", address, "systemctl reboot")
    deadline = time.monotonic() + 15
    while ssh("root", address, "true").returncode != 0 or node.init(lab.naming, FIRST) == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_up_again_is_quick_and_leaves_what_runs(lab: Lab) -> None:
    before = [node.init(lab.naming, number) for number in (FIRST, SECOND)]
    started = time.monotonic()
    lab.up(1)
    lab.up(2)
    assert time.monotonic() - started < 4
    assert [node.init(lab.naming, number) for number in (FIRST, SECOND)] == before


def test_up_starts_what_died(lab: Lab) -> None:
    lab.kill(SECOND)
    assert all(each.running for each in lab.up(2))


@pytest.mark.parametrize("version", releases.VERSIONS)
def test_nodes_can_fetch_and_run_each_release(lab: Lab, version: str) -> None:
    url = lab.archive_url.format(version=version, arch=releases.architecture())
    with urllib.request.urlopen(url) as answer:
        digest = hashlib.sha256(answer.read()).hexdigest()
    sums = (lab.home / "SHA256SUMS").read_text().splitlines()
    name = releases.archive_name(version)
    assert f"{digest}  {name}" in sums
    fetch = f"cd /tmp && curl -fsS {url} | tar -xz && {name.removesuffix('.tar.gz')}/etcd --version"
    assert f"etcd Version: {version}\n" in lab.exec(FIRST, "sh", "-c", fetch).stdout


def test_nodes_find_the_world_by_name(lab: Lab) -> None:
    """The packages of the base system came from a mirror, which a node must find too."""
    source = lab.exec(FIRST, "sh", "-c", "cat /etc/apt/sources.list /etc/apt/sources.list.d/* || :")
    mirror = source.stdout.split("://")[1].split("/")[0]
    assert lab.exec(FIRST, "getent", "hosts", mirror.split(":")[0]).returncode == 0


def test_the_site_file_names_files_that_are_there(lab: Lab) -> None:
    lines = lab.site_file.read_text().splitlines()[1:]
    site = {key: value.strip('"') for key, value in (line.split(": ", 1) for line in lines)}
    assert site["sshUser"] == "root"
    for key in ("sshPrivateKeyFile", "sshKnownHostsFile", "checksumsFile"):
        assert Path(site[key]).stat().st_size > 0
    assert lab.private_key.stat().st_mode & 0o777 == 0o600
    assert site["archiveUrl"].endswith("/v{version}/etcd-v{version}-linux-{arch}.tar.gz")


def test_a_node_that_is_not_there_is_named_in_the_error(lab: Lab) -> None:
    for wrong in (0, 9, 251, "10.10.10.10", "somebody"):
        with pytest.raises(LabError, match="is no node of lab labtest"):
            lab.kill(wrong)
    with pytest.raises(LabError, match="no node99"):
        lab.kill(99)


def test_a_monitor_s_node_runs_the_next_debian_and_stays_until_it_is_removed(lab: Lab) -> None:
    release = (".", "/etc/os-release", "&&", "echo", "$VERSION_CODENAME")
    lab.up_with_monitor()
    try:
        lab.kill(monitor.NUMBER)
        assert [one.number for one in lab.up(2) if one.running] == [FIRST, SECOND, monitor.NUMBER]
        found = [
            lab.exec(one.number, "sh", "-c", " ".join(release)).stdout.strip()
            for one in lab.nodes()
        ]
        assert found == ["bookworm", "bookworm", "trixie"]
        settings = yaml.safe_load(lab.site_file.read_text())
        assert settings["etcd_monitor"]["host"] == lab.naming.address(monitor.NUMBER)
    finally:
        lab.remove(monitor.NUMBER)
    assert "etcd_monitor" not in yaml.safe_load(lab.site_file.read_text())
