"""A lab of the tests' own, apart from a person's and from that of the other tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import Lab
from lab.cache import locked
from lab.processes import find

CHECKOUT = Path(__file__).parents[2]

Ssh = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def one_run_at_a_time(lab_or_fail: None) -> Iterator[None]:
    """Another checkout's run would use the same names."""
    with locked(Path("/run/lock/etcd-lab-tests.lock")):
        yield


@pytest.fixture(scope="module")
def lab(one_run_at_a_time: None) -> Iterator[Lab]:
    """Two running nodes."""
    lab = Lab.named("labtest", "10.10.12", say=print)
    lab.down()
    try:
        lab.up(2)
        yield lab
    finally:
        lab.down()


@pytest.fixture
def ssh(lab: Lab) -> Ssh:
    """Log in as the site file says, believing nobody who is not in known_hosts."""

    def log_in(
        user: str, address: str, command: str, seconds: int = 5
    ) -> subprocess.CompletedProcess[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(seconds),
            "GlobalKnownHostsFile": "/dev/null",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(lab.known_hosts),
        }
        words = [f"-o{name}={value}" for name, value in options.items()]
        return subprocess.run(
            ["ssh", "-F", "none", "-i", lab.private_key, *words, f"{user}@{address}", command],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 10,
        )

    return log_in


def program(*arguments: str) -> subprocess.Popen[str]:
    """Start the lab's command line, as a person does."""
    return subprocess.Popen(
        [sys.executable, "-m", "lab", *arguments],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def traces(lab: Lab) -> list[str]:
    """Everything on this machine that belongs to the lab, by whatever it would be noticed."""
    names = lab.naming
    found = [str(path) for path in (lab.home, Path(f"/run/etcd-lab/{names.name}.lock"))]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/etcd-lab-{names.name}")]
    found = [path for path in found if Path(path).exists()]
    for directory, prefix in (
        ("/run/netns", names.namespace_prefix),
        ("/sys/class/net", names.bridge),
        ("/run/systemd/nspawn/propagate", names.namespace_prefix),
    ):
        found += [str(path) for path in Path(directory).glob(f"{prefix}*")]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [line for line in mounts if f"etcd-lab-{names.name}" in line or f"{lab.home}/" in line]
    for table in ("filter", "nat"):
        rules = subprocess.run(
            ["iptables-save", "-t", table], capture_output=True, text=True, check=False
        ).stdout
        found += [line for line in rules.splitlines() if names.chain in line]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (process := find(int(entry.name))) and process.alive:
            try:
                command = (entry / "cmdline").read_text()
            except OSError:
                continue
            if f"{lab.home}/" in command or names.namespace_prefix in command:
                found.append(command)
    return found
