"""Running programs of the host."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# A login of an ordinary person has no sbin in its PATH, and cron has hardly any PATH at all.
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with messages in English and the system's programs in PATH."""
    return {
        **os.environ,
        "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SBIN}",
        "LC_ALL": "C.UTF-8",
        **(extra or {}),
    }


def attempt(
    command: Sequence[str],
    *,
    stdin: str = "",
    cwd: Path | None = None,
    extra_environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end; its exit status is the caller's to judge.

    Raises LabError only when the program is not there.
    """
    try:
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env=environment(extra_environment),
        )
    except FileNotFoundError as error:
        message = f"{command[0]} is not installed: run `python3 -m lab check`."
        raise LabError(message) from error


def run(
    command: Sequence[str],
    *,
    stdin: str = "",
    cwd: Path | None = None,
    extra_environment: Mapping[str, str] | None = None,
) -> str:
    """Run `command` and return its standard output.

    Raises LabError with the end of what it printed when it fails.
    """
    done = attempt(command, stdin=stdin, cwd=cwd, extra_environment=extra_environment)
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        message = f"`{shlex.join(command)}` failed with status {done.returncode}: {said}"
        raise LabError(message)
    return done.stdout


def load_module(name: str) -> bool:
    """Load a kernel module; False means nothing if the kernel has it built in."""
    try:
        return attempt(["modprobe", "--quiet", name]).returncode == 0
    except LabError:
        return False
