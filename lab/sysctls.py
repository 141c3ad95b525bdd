"""Kernel settings that nodes need: raised by the first lab, put back by the last that goes."""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab import naming
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Setting:
    """A whole number below /proc/sys, and the least that nodes work with."""

    name: str
    least: int

    @property
    def file(self) -> Path:
        """Where the kernel has it."""
        return _PROC.joinpath(*self.name.split("."))

    @property
    def former(self) -> Path:
        """The value before, kept beside the labs."""
        return naming.HOME / f"{self.name}-was"


_PROC = Path("/proc/sys")
NEEDED: Final = (
    Setting("net.ipv4.ip_forward", 1),
    # For each user, and the systemd of every node is root's: four or five a node. With the default
    # of 128 the systemd of node 28 or so ends while it boots.
    Setting("fs.inotify.max_user_instances", 8192),
)


def ensure() -> None:
    """Raise what is too low. Raises LabError where this machine does not allow it."""
    with _one_at_a_time():
        for setting in NEEDED:
            value = setting.file.read_text().strip()
            if int(value) >= setting.least:
                continue
            # First, so that a run that is killed here leaves a value that can be put back.
            if not setting.former.exists():
                setting.former.write_text(value)
            _write(setting, str(setting.least))


def restore() -> None:
    """Put back what a lab raised, if no lab is left."""
    with _one_at_a_time():
        if not naming.HOME.exists() or any(path.is_dir() for path in naming.HOME.iterdir()):
            return
        for setting in NEEDED:
            if setting.former.exists():
                _write(setting, setting.former.read_text())
                setting.former.unlink()
        with contextlib.suppress(OSError):
            naming.HOME.rmdir()


def _write(setting: Setting, value: str) -> None:
    try:
        setting.file.write_text(value)
    except OSError as error:
        message = (
            f"{setting.name} is {setting.file.read_text().strip()} and cannot be set to {value}"
            f" ({error.strerror}): run `sysctl -w {setting.name}={value}` as root of the machine"
            " itself."
        )
        raise LabError(message) from error


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """A lab that goes while another one comes must not take away what that one has just found.

    The lock is on a directory that is there anyway, so it leaves no trace.
    """
    naming.HOME.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(naming.HOME.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
