"""The command line of the `pulumi` that runs the program, of which Pulumi tells it nothing."""

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@cache
def pulumi_words() -> Sequence[str]:
    """What a person wrote, `pulumi` itself first; empty if it cannot be known."""
    return nearest_pulumi(command_lines_above())


def nearest_pulumi(command_lines: Iterable[Sequence[str]]) -> Sequence[str]:
    """The first of them that is one of `pulumi`."""
    names = {"pulumi", "pulumi.exe"}
    return next((one for one in command_lines if one and Path(one[0]).name in names), ())


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    words: tuple[str, ...]


def command_lines_above() -> Iterator[tuple[str, ...]]:
    """The command lines of the processes above this one, the nearest first, as far as is known."""
    number = os.getppid()
    while number > 1 and (found := _process(number)):
        yield found.words
        number = found.parent


def _process(number: int) -> _Process | None:
    try:
        words = Path(f"/proc/{number}/cmdline").read_text(errors="replace").split("\0")
        status = Path(f"/proc/{number}/stat").read_text(errors="replace")
        return _Process(int(status.rpartition(")")[2].split()[1]), tuple(words))
    except (OSError, ValueError, IndexError):
        return _process_by_ps(number)


def _process_by_ps(number: int) -> _Process | None:
    """Where there is no /proc, as on macOS. A URN that is replaced has no blank in it."""
    command = ["ps", "-ww", "-o", "ppid=", "-o", "args=", "-p", str(number)]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        parent, *words = printed.split()
        return _Process(int(parent), tuple(words))
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
