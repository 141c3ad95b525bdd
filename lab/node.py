"""One node as a machine: boot, orderly stop, and being killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab import cgroups, disk, keys, mounts, network, processes
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.naming import Naming
    from lab.processes import Process

_NSPAWN = Path("/run/systemd/nspawn")
_BOOT_SECONDS = 60.0
_SILENT_SECONDS = 20.0
_STOP_SECONDS = 30.0


def boot(naming: Naming, number: int, layers: Sequence[Path]) -> None:
    """Start a node that is down, with the disk it has, or a fresh one. Does not wait for it."""
    kill(naming, number)
    keys.ensure_host_keys(naming, number)
    network.ensure_namespace(naming, number)
    disk.mount(naming, number, layers)
    home = disk.home(naming, number)
    (home / "console.log").unlink(missing_ok=True)
    processes.launch(
        [
            *_restarting(cgroups.ensure(naming, number)),
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            *cgroups.nspawn_options(),
            f"--directory={home / 'root'}",
            f"--machine={naming.namespace(number)}",
            f"--hostname=node{number}",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            f"--network-namespace-path={network.namespace_file(naming, number)}",
            # Its network is its own, and so are its addresses: one may move from node to node.
            "--capability=CAP_NET_ADMIN",
            "--console=pipe",
            "--boot",
        ],
        pidfile=home / "pid",
        log=home / "console.log",
    )


def _restarting(groups: Sequence[Path]) -> list[str]:
    """Return the beginning of a command line that runs the rest of it in `groups`, again and again.

    An nspawn that has no scope of its own leaves a reboot to whoever started it: status 133.
    """
    program = (
        'n=$1; shift; while :; do (while [ "$n" -gt 0 ]; do '
        'sh -c \'echo "$PPID"\' >"$1/cgroup.procs"; shift; n=$((n - 1)); done; exec "$@"); '
        '[ "$?" -eq 133 ] || exit; done'
    )
    return ["sh", "-c", program, "sh", str(len(groups)), *map(str, groups)]


def numbers(naming: Naming) -> set[int]:
    """Return the numbers of all nodes of which anything is left on this machine."""
    return {
        *network.numbers(naming),
        *naming.numbers_in(naming.nodes_home),
        *naming.numbers_in(_NSPAWN / "propagate", naming.namespace_prefix),
    }


def running(naming: Naming, number: int) -> bool:
    """Whether the node's init is there."""
    return init(naming, number) is not None


def init(naming: Naming, number: int) -> Process | None:
    """Return the node's process number 1, as the host sees it."""
    leader = supervisor(naming, number)
    if leader is None:
        # An init that lost its nspawn is no node any more: nobody would let it reboot.
        return None
    below = processes.below(leader)
    for process in processes.in_namespace(network.namespace_file(naming, number), below):
        if processes.is_init(process):
            return process
    return None


def supervisor(naming: Naming, number: int) -> Process | None:
    """Return the process that keeps the node's nspawn running."""
    return processes.read_pidfile(disk.home(naming, number) / "pid")


def kill(naming: Naming, number: int) -> None:
    """Stop a node as a power cut does; nothing of it stays but its disk."""
    what = f"node{number}"
    found = init(naming, number)
    leader = supervisor(naming, number)
    if found:
        # All of the node's processes die with its init, and nspawn then clears up after itself.
        processes.kill_all([found], what=what)
    if leader:
        if found:
            processes.wait_until_gone([leader], seconds=5)
        processes.kill_all(processes.group_of(leader), what=what)
    # An nspawn that died alone, or half-way into its start, leaves these.
    remains = [*processes.in_namespace(network.namespace_file(naming, number))]
    remains += cgroups.members(naming, number)
    processes.kill_all(remains, what=what)
    (disk.home(naming, number) / "pid").unlink(missing_ok=True)
    _forget(naming, number)
    disk.unmount(naming, number)
    cgroups.remove(naming, number)


def _forget(naming: Naming, number: int) -> None:
    """Remove what an nspawn that was killed leaves in its own directory."""
    for kind in ("propagate", "unix-export"):
        mounts.remove_tree(_NSPAWN / kind / naming.namespace(number))
    with contextlib.suppress(OSError):
        root = disk.root(naming, number).stat()
        (_NSPAWN / "locks" / f"inode-{root.st_dev}:{root.st_ino}").unlink(missing_ok=True)


def stop(naming: Naming, number: int) -> None:
    """Shut a running node down in order; one that takes longer than 30 s is killed."""
    leader = supervisor(naming, number)
    if leader:
        for process in processes.group_of(leader):
            if process != leader:
                # For nspawn this is the power button.
                process.kill(signal.SIGTERM)
        processes.wait_until_gone([leader], seconds=_STOP_SECONDS)
    kill(naming, number)


def wait_for_ssh(naming: Naming, number: int) -> None:
    """Wait until the node's sshd answers.

    Raises LabError with the end of the node's console after 60 s, or when the node died.
    """
    deadline = time.monotonic() + _BOOT_SECONDS
    while not _ssh_answers(naming.address(number)):
        leader = supervisor(naming, number)
        if leader is None or time.monotonic() > deadline:
            console = disk.home(naming, number) / "console.log"
            state = "did not answer on port 22 in time" if leader else "died while it booted"
            with contextlib.suppress(OSError):
                end = "\n".join(console.read_text(errors="replace").strip().splitlines()[-8:])
            message = f"node{number} {state}; {console} ends with:\n{end}"
            raise LabError(message)
        time.sleep(0.05)


def hangs(naming: Naming, number: int) -> bool:
    """Wait for the node's first word, and tell whether it has said none after 20 s."""
    console = disk.home(naming, number) / "console.log"
    deadline = time.monotonic() + _SILENT_SECONDS
    while time.monotonic() < deadline:
        if _ssh_answers(naming.address(number)) or supervisor(naming, number) is None:
            return False
        with contextlib.suppress(OSError):
            if console.stat().st_size:
                return False
        time.sleep(0.05)
    return True


def _ssh_answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def enter(naming: Naming, number: int) -> list[str]:
    """Return the beginning of a command line that runs the rest of it inside the node as root.

    Raises LabError when the node is down.
    """
    found = init(naming, number)
    if found is None:
        message = f"node{number} of lab {naming.name} is down: `python3 -m lab start {number}`."
        raise LabError(message)
    clean = ["env", "-i", "HOME=/root", f"TERM={os.environ.get('TERM', 'dumb')}"]
    clean.append("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    return ["nsenter", f"--target={found.pid}", "--all", *clean]
