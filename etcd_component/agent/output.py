"""What a run says: bounded, with a sentence at its end that proves it ran to its end."""

from __future__ import annotations

import sys
from typing import NoReturn, TextIO

_LINE = 4000
"""Characters of one line; Pulumi's provider stops for ever at one of 64 KiB."""
_LINES = 400
"""Lines of one run."""


class Refusal(Exception):
    """Why this run stops, what to do about it, for the person who must act. Exit status 1."""


class _State:
    last = "ready"
    doing = "starting"
    lines = 0


def say(text: str) -> None:
    """Print a line, or several, on standard output."""
    _State.last = text
    _print(text, sys.stdout)


def warn(text: str) -> None:
    """The same, marked as a warning: the run goes on."""
    say(f"warning: {text}")


def complain(text: str) -> None:
    """Print on standard error."""
    _print(text, sys.stderr)


def conclude(text: str) -> None:
    """The same for how a run ends, which is said however much was said before."""
    _State.lines = 0
    complain(text)


def refuse(text: str) -> NoReturn:
    """Stop here."""
    raise Refusal(text)


def doing(text: str) -> None:
    """Note what this run is at, for the sentence of one that takes too long."""
    _State.doing = text


def being_done() -> str:
    """What this run is at."""
    return _State.doing


def prove(program: str, command: str) -> None:
    """The last line of a run that changes something: our program, and nothing else, ended well.

    An SSH server that runs something else in its place may well report success.
    """
    last = _State.last.strip().rpartition("\n")[2].strip() or "done"
    sys.stdout.write(f"{last[:_LINE]} [{program} {command} done]\n")
    sys.stdout.flush()


def _print(text: str, stream: TextIO) -> None:
    for line in text.split("\n"):
        _State.lines += 1
        if _State.lines < _LINES:
            print(line[:_LINE], file=stream, flush=True)
        elif _State.lines == _LINES:
            print("(more lines are left out)", file=stream, flush=True)
