"""The frame of every run: command line, locks, time limit, and how errors are said."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etcd_component.agent import locking, output, process
from etcd_component.agent.decide.verdict import LeaveAlone, Proceed, Refuse
from etcd_component.agent.options import Options, parse
from etcd_component.agent.output import Refusal, complain, refuse
from etcd_component.agent.waits import Waits
from etcd_component.etcd_api.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from etcd_component.agent.decide.verdict import Verdict


_TIMED_OUT = 124
"""The exit status of a run that took too long, as timeout(1) has it."""


_GRACE = 10
"""Seconds that it has then to end by itself."""


class TimeLimit(BaseException):
    """This run has taken too long. Not an Exception, so that nothing handles it on its way."""


class Stopped(BaseException):
    """Somebody ended this run: nothing else is begun, not even a way back."""


@dataclass(frozen=True)
class Command:
    """A subcommand: where it is, for whom, and what the frame does for it."""

    module: str
    """Below `etcd_component.agent`; its function is `run`, or the one after a colon."""
    help: str
    """One line."""
    options: str = ""
    """The names of those it takes besides the common ones."""
    for_people: bool = False
    """Whether people type it; the others are what `pulumi up` calls."""
    limit: int = 120
    """Seconds; 0 for what reads only: then nothing is locked, and nothing is proved at the end."""
    locks: tuple[str, ...] = ("{cluster}",)
    removes: bool = False
    """Whether it takes something away: what it does not mean, it leaves alone and is done."""
    needs_root: bool = True
    claimed: bool = True
    """Whether the machine must be claimed for what it means."""
    raw: bool = False
    """Whether its words are another program's, which gets them and the caller's environment."""

    def load(self) -> Callable[[Run], None]:
        """The function, with all the modules that it needs."""
        function: Callable[[Run], None] = _load(self.module)
        return function


@dataclass(frozen=True)
class Program:
    """A program of that name: `etcd-node`, `etcd-monitor`."""

    name: str
    directory: Path
    """Its own below /run."""
    about: str
    commands: Mapping[str, Command]
    common: str
    """The options that all commands take."""
    authorize: str
    """The function that tells whether the machine holds what a run means, as in a command."""
    last_words: Callable[[Run], str]
    """What a person must see of a run that took too long."""
    notes: str = ""


@dataclass(frozen=True)
class Run:
    """One run of a program."""

    program: Program
    word: str
    """The name of the command."""
    command: Command
    options: Options
    waits: Waits
    words: tuple[str, ...] = ()
    """All that follows the name of a raw command."""
    _read: list[str] = field(default_factory=list, repr=False)

    @property
    def limit(self) -> int:
        """Seconds that it may take; 0 where it takes what it takes."""
        return int(self.waits.limit) or self.command.limit

    @property
    def stdin(self) -> str:
        """All of standard input. Secrets may be in it."""
        if not self._read:
            self._read.append(sys.stdin.buffer.read().decode(errors="replace"))
        return self._read[0]


def main(program: Program, words: Sequence[str]) -> int:
    """Run a program with the words of its command line; its exit status."""
    run: Run | None = None
    if not _is_raw(program, words):
        os.umask(0o022)
        process.clean_environment()
    try:
        if not words or words[0] in {"help", "-h", "--help"}:
            print(usage(program))
            return 0
        run = _read(program, words)
        _execute(run)
    except Refusal as refusal:
        return _fail(program, str(refusal))
    except (Stopped, KeyboardInterrupt):
        text = f"stopped while {output.being_done()}; it is safe to run this again"
        return _fail(program, text)
    except TimeLimit:
        assert run is not None
        complain(program.last_words(run))
        _fail(program, _gave_up(run))
        return _TIMED_OUT
    except ApiError as error:
        return _fail(program, f"failed while {output.being_done()}: {error}. Run this again")
    except BrokenPipeError:
        # Whoever read this is gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        text = f"failed while {output.being_done()}: {error.strerror or error}{where}"
        return _fail(program, f"{text}. Fix that and run this again")
    return 0


def _is_raw(program: Program, words: Sequence[str]) -> bool:
    command = program.commands.get(words[0]) if words else None
    return command is not None and command.raw


def _read(program: Program, words: Sequence[str]) -> Run:
    command = program.commands.get(words[0])
    if command is None:
        complain(usage(program))
        refuse(f"there is no subcommand `{words[0]}`")
    if command.raw:
        return Run(program, words[0], command, Options(), Waits(), tuple(words[1:]))
    if set(words[1:2]) & {"-h", "--help"}:
        raise SystemExit(_help(program, words[0], command))
    if command.needs_root and os.geteuid() != 0:
        refuse("only root can do this; run it with sudo")
    allowed = [*program.common.split(), *command.options.split()]
    options = parse(words[0], words[1:], allowed)
    try:
        waits = Waits.configured()
    except ValueError as error:
        raise Refusal(str(error)) from None
    return Run(program, words[0], command, options, waits)


def _execute(run: Run) -> None:
    command = run.command
    function = command.load()
    # All of it before a lock is waited for: who holds it may replace the file of this program.
    authorize: Callable[[Run], Verdict] = (
        _load(run.program.authorize) if command.claimed else _anyone
    )
    if command.limit:
        signal.signal(signal.SIGTERM, _stop)
        for name in command.locks:
            lock = name.format(cluster=run.options.cluster)
            locking.hold(run.program.directory, lock, run.program.name, run.waits.lock)
        _set_limit(run)
    verdict = authorize(run)
    if isinstance(verdict, Refuse):
        refuse(verdict.reason)
    if isinstance(verdict, LeaveAlone):
        output.say(verdict.reason)
    else:
        function(run)
    signal.alarm(0)
    if command.limit:
        output.prove(run.program.name, run.word)


def _stop(_signal: int, _frame: Any) -> None:
    raise Stopped


def _anyone(_run: Run) -> Verdict:
    return Proceed()


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"etcd_component.agent.{module}"), name or "run")


def _set_limit(run: Run) -> None:
    def be_gone(_signal: int, _frame: Any) -> None:
        os.write(2, f"{run.program.name}: {_gave_up(run)}\n".encode())
        os._exit(_TIMED_OUT)

    def give_up(_signal: int, _frame: Any) -> None:
        # What it still waits for may never come.
        signal.signal(signal.SIGALRM, be_gone)
        signal.alarm(_GRACE)
        raise TimeLimit

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(run.limit)


def _gave_up(run: Run) -> str:
    doing = output.being_done()
    return f"gave up after {run.limit} s while {doing}; it is safe to run this again"


def _fail(program: Program, text: str) -> int:
    sys.stdout.flush()
    output.conclude(f"{program.name}: {text}")
    return 1


def usage(program: Program) -> str:
    """The help of a program: what people use, and apart from it what the program calls."""
    width = max(map(len, program.commands)) + 2

    def listed(*, for_people: bool) -> str:
        return "\n".join(
            f"  {name.ljust(width)}{command.help}"
            for name, command in program.commands.items()
            if command.for_people == for_people
        )

    return (
        f"usage: {program.name} COMMAND [options]\n\n{program.about}\n\nFor people:\n"
        f"{listed(for_people=True)}\n\nCalled by `pulumi up`, which knows their order:\n"
        f"{listed(for_people=False)}\n{program.notes}"
    )


def _help(program: Program, name: str, command: Command) -> int:
    taken = " ".join(
        f"--{option}" for option in [*program.common.split(), *command.options.split()]
    )
    print(f"usage: {program.name} {name} [options]\n\n{command.help}\n\noptions: {taken}")
    return 0
