"""Doing something as another user: in a process of its own, which is one for good."""

from __future__ import annotations

import contextlib
import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

NOBODY = 65534
_LIMIT = 1 << 16


@dataclass(frozen=True)
class User:
    """A user and its groups, by number."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def user(name: str) -> User:
    """That user; where there is none, one who is nobody and has no rights."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return User(NOBODY, NOBODY)
    return User(found.pw_uid, found.pw_gid, tuple(os.getgrouplist(name, found.pw_gid)))


def run_as(who: User, do: Callable[[], str]) -> str:
    """What a function returns that runs with the rights of a user, with umask 077. Raises OSError.

    It must not use locks or threads of this process, and nothing that it changes in memory stays.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be(who, do, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        kind, _, text = stream.read(_LIMIT).decode(errors="replace").partition(":")
    os.waitpid(child, 0)
    if kind == "done":
        return text
    number, _, name = text.partition(":")
    raise OSError(int(number or 0), os.strerror(int(number or 0)), name)


def _be(who: User, do: Callable[[], str], writing: int) -> NoReturn:
    answer = "failed::"
    try:
        os.setgroups(who.groups)
        os.setgid(who.gid)
        os.setuid(who.uid)
        os.umask(0o077)
        answer = f"done:{do()}"
    except OSError as error:
        answer = f"failed:{error.errno or 0}:{error.filename or ''}"
    finally:
        with contextlib.suppress(OSError):
            os.write(writing, answer.encode(errors="replace")[:_LIMIT])
        os._exit(0)
