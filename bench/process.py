"""Run a program and measure it: how long it takes, and the memory of its tree of processes."""

import contextlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_INTERVAL = 0.1
"""Seconds between two looks at the memory: rare enough not to be felt on two cores."""


class Failed(Exception):  # noqa: N818 - what happened
    """A program that is measured failed, so there is nothing to report."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a program."""

    seconds: float
    peak_mib: float
    """Proportional set size of the process and all its descendants, at the worst moment."""
    written_mib: float
    """What the process and all its descendants wrote to disks."""
    output: str


def measure(command: Sequence[str], *, environ: Mapping[str, str], cwd: Path) -> Measured:
    """Run a program to its end. Raises Failed with the end of what it said."""
    with tempfile.TemporaryFile("w+") as output:
        written = _written_mib()
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        memory = _Memory(process.pid)
        memory.start()
        status = process.wait()
        seconds = time.monotonic() - start
        memory.stop()
        output.seek(0)
        said = output.read()
    if status != 0:
        raise Failed(f"`{' '.join(command)}` ended with status {status}:\n{_reason(said)}")
    return Measured(seconds, memory.peak_mib, _written_mib() - written, said)


def _written_mib() -> float:
    """By this process and all those that it has waited for."""
    lines = Path("/proc/self/io").read_text().splitlines()
    counted = dict(line.split(": ") for line in lines)
    return int(counted["write_bytes"]) / 2**20


def _reason(said: str) -> str:
    """What Pulumi says about a failure, without the outputs that it prints below."""
    _, found, rest = said.partition("Diagnostics:\n")
    return rest.partition("Outputs:\n")[0] if found else said[-2000:]


class _Memory(threading.Thread):
    """Looks at the memory of a tree of processes until it is stopped."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._over = threading.Event()
        self.peak_mib = 0.0

    def run(self) -> None:
        while not self._over.wait(_INTERVAL):
            now = sum(_proportional_kib(pid) for pid in _tree(self._root)) / 1024
            self.peak_mib = max(self.peak_mib, now)

    def stop(self) -> None:
        """Stop looking."""
        self._over.set()
        self.join()


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                for child in children.read_text().split():
                    yield from _tree(int(child))


def _proportional_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
