"""Running the system's own programs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.agent import locking

if TYPE_CHECKING:
    from collections.abc import Mapping

_GRACE = 5.0
"""Seconds that a program has to end by itself, of those that the run has then."""
_LAST_GRACE = 1.0
"""The same where it was killed, which also takes its moment."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Done:
    """How a program ended."""

    status: int
    """Exit status; negative for the signal that ended it, 127 where it is not there."""
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Whether it says that it succeeded."""
        return self.status == 0


def run(
    *argv: str,
    stdin: bytes | None = None,
    seconds: float | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> Done:
    """Run a program to its end, in the C locale. It holds this run's locks as long as it runs.

    `seconds`: killed after that, and then its status is -9. `env` is added to what a plain
    environment has; nothing of this process's own gets there.
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": PATH, "LC_ALL": "C", "HOME": "/root", **(env or {})},
            cwd=cwd,
            pass_fds=locking.descriptors(),
            # A group of its own, which ends as a whole.
            start_new_session=True,
        )
    except FileNotFoundError:
        return Done(127, "", f"{argv[0]}: not found")
    except OSError as error:
        # It is no program, or none for this kind of machine.
        return Done(126, "", f"{argv[0]}: {error.strerror}")
    with child:
        try:
            out, err = child.communicate(stdin, seconds)
        except subprocess.TimeoutExpired as error:
            _signal(child, signal.SIGKILL)
            return Done(-9, _text(error.stdout), _text(error.stderr))
        except BaseException:
            _end(child)
            raise
    return Done(child.returncode, _text(out), _text(err))


def _end(child: subprocess.Popen[bytes]) -> None:
    """Have all of it gone before this run cleans up after it: dpkg goes on without apt-get."""
    for number, seconds in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _LAST_GRACE)):
        _signal(child, number)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            child.poll()
            if not _signal(child, 0):
                return
            time.sleep(0.05)


def _signal(child: subprocess.Popen[bytes], number: int) -> bool:
    """Whether anything of its group is still there."""
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return False
    return True


def exists(program: str) -> bool:
    """Whether the machine has a program of that name."""
    return shutil.which(program, path=PATH) is not None


def clean_environment() -> None:
    """Forget the caller's environment, but for what tests and sudo say to this program."""
    for name in list(os.environ):
        if name not in {"ETCD_NODE_WAITS", "SUDO_UID", "SUDO_USER"}:
            del os.environ[name]
    os.environ["PATH"] = PATH
    os.environ["LC_ALL"] = "C"


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
