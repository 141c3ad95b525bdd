"""Processes the lab started, told apart from whatever later got the same process id."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.shell import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PROC = Path("/proc")
_TELLS_CHILDREN = _PROC / "thread-self/children"
_LAUNCH_SECONDS = 20.0


@dataclass(frozen=True)
class Process:
    """One process: its id, and its start in clock ticks since boot, which no successor shares."""

    pid: int
    start: int

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        found = _stat(self.pid)
        return found is not None and found[1] == self.start and found[0] not in "ZX"

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to this process, or to nobody when it is gone."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def find(pid: int) -> Process | None:
    """Return the process that has this id now."""
    found = _stat(pid)
    return Process(pid, found[1]) if found else None


def read_pidfile(path: Path) -> Process | None:
    """Return the process that wrote `path`, a copy of its /proc/PID/stat, or None if it is gone."""
    try:
        state_start = _parse_stat(path.read_text())
        pid = int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    process = Process(pid, state_start[1])
    return process if process.alive else None


def launch(command: Sequence[str], *, pidfile: Path, log: Path) -> None:
    """Start a daemon out of reach of this terminal, with a pidfile of its own.

    Returns when the pidfile is there; raises LabError if that does not happen.

    The pidfile is written by the process that then becomes `command`, so that no kill at any moment
    leaves a daemon that no file knows.
    """
    become = (
        'pidfile=$1; shift; cat /proc/$$/stat >"$pidfile.new" && mv "$pidfile.new" "$pidfile" && '
        'exec "$@"'
    )
    wrapped = ["sh", "-c", become, "sh", str(pidfile), *command]
    pidfile.unlink(missing_ok=True)
    # The shell in between ends at once: the daemon is the machine's, and no zombie of this process.
    start = 'setsid "$@" </dev/null >>"$0" 2>&1 &'
    # Not in the caller's directory, which may be removed or unmounted one day.
    run(["sh", "-c", start, str(log), *wrapped], cwd=Path("/"))
    deadline = time.monotonic() + _LAUNCH_SECONDS
    while not pidfile.exists():
        if time.monotonic() > deadline:
            message = f"{command[0]} did not start: see {log}."
            raise LabError(message)
        time.sleep(0.005)


def group_of(leader: Process) -> list[Process]:
    """Return the leader of a process group, as `launch` starts one, and all others in it."""
    found = []
    for process in _all():
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process.pid) == leader.pid:
                found.append(process)
    return found if leader.alive else []


def below(ancestor: Process) -> Iterator[Process]:
    """Yield the children of a process, then theirs, and so on: who asks for few, waits for few.

    A kernel that does not tell of children makes that all processes there are.
    """
    if not _TELLS_CHILDREN.exists():
        yield from _all()
        return
    generation = [ancestor]
    while generation:
        children = [child for process in generation for child in _children(process)]
        yield from children
        generation = children


def in_namespace(namespace_file: Path, among: Iterable[Process] | None = None) -> Iterator[Process]:
    """Yield the processes in the network namespace that is mounted at `namespace_file`.

    Looks at all there are, or at those `among` which they must be.
    """
    try:
        wanted = namespace_file.stat()
    except OSError:
        return
    for process in _all() if among is None else among:
        try:
            seen = (_PROC / str(process.pid) / "ns/net").stat()
        except OSError:
            continue
        if (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino):
            yield process


def is_init(process: Process) -> bool:
    """Whether the process is number 1 of a process namespace below ours."""
    try:
        status = (_PROC / str(process.pid) / "status").read_text()
    except OSError:
        return False
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            numbers = line.split()[1:]
            return len(numbers) > 1 and numbers[-1] == "1"
    return False


def wait_until_gone(processes: Iterable[Process], *, seconds: float) -> list[Process]:
    """Wait until none of the processes runs, at most `seconds`; return those that still do."""
    deadline = time.monotonic() + seconds
    left = [process for process in processes if process.alive]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if process.alive]
    return left


def kill_all(processes: Iterable[Process], *, what: str) -> None:
    """SIGKILL the processes and wait until they are gone.

    Raises LabError when the kernel does not let them go within 20 s.
    """
    targets = list(processes)
    for process in targets:
        process.kill()
    left = wait_until_gone(targets, seconds=20)
    if left:
        numbers = ", ".join(str(process.pid) for process in left)
        message = f"{what} does not die (process {numbers}): look at it with `ps`, then try again."
        raise LabError(message)


def _all() -> Iterator[Process]:
    for entry in _PROC.iterdir():
        process = find(int(entry.name)) if entry.name.isdigit() else None
        if process:
            yield process


def _children(process: Process) -> Iterator[Process]:
    for file in (_PROC / str(process.pid) / "task").glob("*/children"):
        try:
            pids = file.read_text().split()
        except OSError:
            continue
        for pid in pids:
            child = find(int(pid))
            if child:
                yield child


def _stat(pid: int) -> tuple[str, int] | None:
    try:
        return _parse_stat((_PROC / str(pid) / "stat").read_text())
    except (OSError, ValueError, IndexError):
        return None


def _parse_stat(text: str) -> tuple[str, int]:
    # The second field is the program's name, which may hold spaces and brackets: count behind it.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
