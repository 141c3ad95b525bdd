"""OpenSSH's own programs."""

import os
import shutil
import subprocess

from etcd_component.ssh.login import CannotLogIn

_SECONDS = 10
"""How long a tool may take; they answer in milliseconds."""


def run(
    *command: str, seconds: float = _SECONDS, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end, without standard input.

    Raises CannotLogIn if it is missing or takes longer than `seconds`.
    """
    tool = shutil.which(command[0])
    if tool is None:
        raise CannotLogIn((f"{command[0]} is not installed here", "install OpenSSH's client"))
    try:
        return subprocess.run(
            [tool, *command[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environ},
        )
    except subprocess.TimeoutExpired:
        line = " ".join(command)
        raise CannotLogIn(
            (f"`{line}` does not end within {seconds:g} seconds", "find out why: run it by hand")
        ) from None
