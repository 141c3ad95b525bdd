"""Pulumi as a person runs it: the real command line, on a project and a state of the tests' own.

Everything that any command prints is kept in files, because the last test searches them for
secrets.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from unittest import mock

import yaml

from etcd_component.given.etcdctl import variables_of
from lab import Lab
from tests.live import quick
from tests.live.state import State

CHECKOUT = Path(__file__).parents[2]
COMMITTED_SUBNET = "10.10.10."
SECONDS = 400
"""Nothing that is driven here may take longer; it then hangs."""

PASSPHRASE = "correct horse battery staple"

UNKILLED = {"PULUMI_SKIP_CHECKPOINTS": "true"}
"""For a run that comes to its end: the state is written then, and not also after each resource,
which would be a third of the engine's work. Runs that are killed are without it."""

Config = dict[str, Any]


def engine_environment() -> dict[str, str]:
    """What `make env` puts into a person's shell, without that person's lab, state and agent."""
    lines = subprocess.run(
        [CHECKOUT / "toolchain" / "env", "none"], capture_output=True, text=True, check=True
    ).stdout
    shown = subprocess.run(
        ["sh", "-c", f"{lines}\nenv -0"], capture_output=True, text=True, check=True
    ).stdout
    found = dict(one.split("=", 1) for one in shown.split("\0") if "=" in one)
    foreign = ("ETCD_", "ETCDCTL_", "PULUMI_BACKEND", "PULUMI_CONFIG", "PULUMI_STACK", "SSH_AUTH")
    return {name: value for name, value in found.items() if not name.startswith(foreign)}


@dataclass
class Project:
    """A copy of the program, so that no test writes into the checkout, and what all stacks share.

    `secrets` grows with every stack: texts that must never be seen.
    """

    home: Path
    lab: Lab
    environment: dict[str, str] = field(repr=False)
    secrets: set[str] = field(default_factory=set, repr=False)
    _empty: tuple[str, str, str] | None = field(default=None, repr=False)
    """The state of the stack that was made first, its name, and the salt of its passphrase."""
    _count: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    def make(cls, home: Path, lab: Lab) -> Project:
        """Copy the program, make an empty state and its passphrase."""
        program = home / "program"
        (program / "stacks").mkdir(parents=True)
        # An official language host reads the last two, and runs `uv sync` beside them.
        for name in ("Pulumi.yaml", "__main__.py", "pyproject.toml", "uv.lock"):
            shutil.copy(CHECKOUT / name, program)
        shutil.copytree(
            CHECKOUT / "etcd_component",
            program / "etcd_component",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        (program / ".venv").symlink_to(CHECKOUT / ".venv")
        for name in ("state", "printed", "runtime"):
            (home / name).mkdir(mode=0o700)
        (home / "passphrase").write_text(PASSPHRASE)
        environment = engine_environment() | {
            "ETCD_SITE": str(lab.site_file),
            "PULUMI_BACKEND_URL": f"file://{home / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(home / "passphrase"),
            "PYTHONPATH": str(quick.pip(home / "quick")),
            "XDG_RUNTIME_DIR": str(home / "runtime"),
        }
        return cls(home, lab, environment)

    @property
    def program(self) -> Path:
        """Where the copy of the program is."""
        return self.home / "program"

    @property
    def printed(self) -> Path:
        """Where everything is that a command printed."""
        return self.home / "printed"

    def new_file(self, label: str) -> Path:
        """A file for the output of one command."""
        return self.printed / f"{next(self._count):04d}-{label}"

    def stack(self, config: Config) -> Stack:
        """A new stack with this configuration (keys without namespace)."""
        stack = Stack(self, f"live{next(self._count)}")
        stack.write(config)
        self._make(stack)
        return stack

    def committed(self, name: str) -> Stack:
        """A new stack with a committed stack file, on the addresses of this lab."""
        stack = Stack(self, name)
        text = (CHECKOUT / "stacks" / f"Pulumi.{name}.yaml").read_text()
        stack.file.write_text(text.replace(COMMITTED_SUBNET, f"{self.lab.naming.subnet}."))
        stack.pulumi("stack", "init", stack.name)
        return stack

    def _make(self, stack: Stack) -> None:
        """`pulumi stack init`; later what that left, which is quicker by a second."""
        if self._empty is None:
            stack.pulumi("stack", "init", stack.name)
            salt = yaml.safe_load(stack.file.read_text())["encryptionsalt"]
            self._empty = stack.state_file.read_text(), stack.name, salt
            return
        state, name, salt = self._empty
        stack.state_file.write_text(state.replace(f'/{name}"', f'/{stack.name}"'))
        config = yaml.safe_load(stack.file.read_text())
        stack.file.write_text(yaml.safe_dump({"encryptionsalt": salt} | config, sort_keys=False))


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit status and all that it printed."""

    status: int
    text: str

    @property
    def counts(self) -> dict[str, int]:
        """The summary's numbers of resources, by what happened to them: created, unchanged."""
        summary = self.text.rpartition("Resources:\n")[2]
        words = r"created|updated|deleted|replaced|unchanged|create|update|delete|replace"
        found = re.findall(rf"^\s+(?:\S+ |\+-)?(\d+) (?:to )?({words})$", summary, re.MULTILINE)
        return {word: int(count) for count, word in found}

    @property
    def changed(self) -> dict[str, int]:
        """The summary's numbers less those of unchanged resources."""
        return {word: count for word, count in self.counts.items() if word != "unchanged"}


class CommandError(AssertionError):
    """A command failed that should not have."""


@dataclass
class Stack:
    """One stack: its file, its state, and the command line that drives it."""

    project: Project
    name: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """Its configuration file."""
        return self.project.program / "stacks" / f"Pulumi.{self.name}.yaml"

    @property
    def state_file(self) -> Path:
        """Its state, as Pulumi keeps it."""
        return self.project.home / "state" / ".pulumi" / "stacks" / "etcd" / f"{self.name}.json"

    # --- configuration

    def write(self, config: Config) -> None:
        """Write the configuration; keys are without namespace. Secrets set before are kept."""
        kept: dict[str, Any] = yaml.safe_load(self.file.read_text()) if self.file.exists() else {}
        old = kept.get("config") or {}
        secrets = {
            key: value
            for key, value in old.items()
            if isinstance(value, dict) and set(value) == {"secure"}
        }
        kept["config"] = secrets | {f"etcd:{key}": value for key, value in config.items()}
        self.file.write_text(yaml.safe_dump(kept, sort_keys=False))

    @property
    def config(self) -> Config:
        """The configuration as it stands, keys without namespace."""
        kept = yaml.safe_load(self.file.read_text())["config"]
        return {key.removeprefix("etcd:"): value for key, value in kept.items()}

    def edit(self, **variables: Any) -> None:
        """Set variables of the only cluster in the inventory, as a person edits the file."""
        config = self.config
        (group,) = config["inventory"].values()
        group.setdefault("vars", {}).update(variables)
        self.write(config)

    def set_secret(self, key: str, value: str) -> None:
        """`pulumi config set --secret`, the value on standard input."""
        self.project.secrets.add(value)
        self.pulumi("config", "set", "--secret", f"etcd:{key}", stdin=value)

    # --- commands

    def pulumi(
        self,
        *words: str,
        stdin: str = "",
        check: bool = True,
        keep: bool = True,
        seconds: float = SECONDS,
    ) -> Outcome:
        """Run pulumi on this stack. With `check`, a failure is raised with all that was printed."""
        with self.started(*words, stdin=stdin, environment=UNKILLED) as run:
            outcome = run.wait(seconds)
        if keep:
            self.project.new_file(words[0]).write_text(outcome.text)
        if check and outcome.status != 0:
            raise CommandError(f"pulumi {shlex.join(words)}:\n{outcome.text}")
        return outcome

    @contextlib.contextmanager
    def started(
        self, *words: str, stdin: str = "", environment: Mapping[str, str] | None = None
    ) -> Iterator[Run]:
        """Pulumi at work, in a session of its own. Whatever is left of it in the end is killed."""
        if words[:2] != ("stack", "init"):
            words = (*words, "--stack", self.name)
        run = Run(
            ["pulumi", "--non-interactive", "--color", "never", *words],
            self.project.program,
            self.project.environment | self.environment | dict(environment or {}),
            stdin,
        )
        try:
            yield run
        finally:
            run.kill()

    def preview(self, *words: str, check: bool = True) -> Outcome:
        """`pulumi preview --diff`."""
        return self.pulumi("preview", "--diff", *words, check=check)

    def up(self, *, check: bool = True, seconds: float = SECONDS) -> Outcome:
        """`pulumi up`, as `make up` runs it."""
        outcome = self.pulumi("up", "--yes", "--skip-preview", check=check, seconds=seconds)
        self.learn_secrets()
        return outcome

    def destroy(self, *, check: bool = True, seconds: float = SECONDS) -> Outcome:
        """`pulumi destroy`, as `make destroy` runs it."""
        return self.pulumi("destroy", "--yes", "--skip-preview", check=check, seconds=seconds)

    def preflight(self) -> Outcome:
        """`python -m etcd_component preflight`, as `make preflight` runs it."""
        done = self._python("preflight", "-m", "etcd_component", "preflight", self.name)
        return Outcome(done.returncode, done.stdout + done.stderr)

    def output(self, name: str, cluster: str | None = None) -> Any:
        """One output of a cluster or the monitor, secret ones in the clear.

        Every output of clusters is a map by their names; without a name, it has one entry.
        """
        found = self.state().outputs[name]
        if name.startswith("monitor_"):
            return found
        if cluster is None:
            (cluster,) = found
        return found[cluster]

    def status(self, *words: str) -> Outcome:
        """`python -m etcd_component status`, as `make status` runs it."""
        done = self._python("status", "-m", "etcd_component", "status", *words, self.name)
        assert "Traceback" not in done.stderr, done.stderr
        return Outcome(done.returncode, done.stdout or done.stderr)

    def relogin(self) -> str:
        """`python -m etcd_component relogin`, as `make relogin` runs it; what it says."""
        done = self._python("relogin", "-m", "etcd_component", "relogin", self.name)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def recover(self) -> str:
        """Clear away what a killed run left, as every `make` does first; return what it said."""
        program = str(CHECKOUT / "toolchain" / "state.py")
        done = self._python("recover", program, "recover", self.name)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def _python(self, label: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the project, and keep what it printed."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.project.program,
            env=self.project.environment | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        self.project.new_file(label).write_text(done.stdout + done.stderr)
        return done

    def killed_when(self, said: str) -> None:
        """Kill `pulumi up` as soon as it has printed this, and clear away what it left."""
        with self.started("up", "--yes", "--skip-preview") as run:
            assert run.until(lambda text: said in text), run.text
            run.kill()
        self.project.new_file("killed").write_text(run.text)
        self.recover()

    def state(self) -> State:
        """What the last update left."""
        return State(self.state_file, PASSPHRASE)

    def learn_secrets(self) -> None:
        """Remember what this stack's state holds as secrets, for the search at the end."""
        self.project.secrets.update(self.state().secrets())

    # --- clients

    def client(self, name: str, directory: Path, *words: str) -> str:
        """`python -m etcd_component client`, as `make client` runs it; what it says."""
        done = self._python(
            "client", "-m", "etcd_component", "client", *words, self.name, name, str(directory)
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def login(self) -> dict[str, str]:
        """The variables of `make etcdctl` for the only cluster, without running that."""
        runtime = {"XDG_RUNTIME_DIR": self.project.environment["XDG_RUNTIME_DIR"]}
        with mock.patch.dict(os.environ, runtime):
            return variables_of(self.state().outputs, self.name, None)

    def client_environment(self, cluster: str | None = None) -> dict[str, str]:
        """What evaluating the lines of `make etcdctl` in a shell sets."""
        words = ["--cluster", cluster] if cluster else []
        command = [sys.executable, "-m", "etcd_component", "etcdctl", *words, self.name]
        return self.evaluated(f'eval "$({shlex.join(command)})"')

    def evaluated(self, lines: str) -> dict[str, str]:
        """What lines of shell set for etcdctl."""
        shown = subprocess.run(
            ["sh", "-eu"],
            input=f"{lines}\nenv -0\n",
            cwd=self.project.program,
            env=self.project.environment | self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS,
        ).stdout
        found = dict(one.split("=", 1) for one in shown.split("\0") if "=" in one)
        return {name: value for name, value in found.items() if name.startswith("ETCDCTL_")}


class Run:
    """A running pulumi. Its engine, program and plugins are one session of processes."""

    def __init__(
        self, command: list[str], directory: Path, environment: Mapping[str, str], stdin: str
    ) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(stdin)
        self._process.stdin.close()
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=[self._process.stdout])
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def text(self) -> str:
        """What it printed so far."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        """The process, and the session, of it."""
        return self._process.pid

    def until(self, reached: Callable[[str], bool], seconds: float = SECONDS) -> bool:
        """Wait until what it printed is as wanted; False when it ended before."""
        with self._news:
            done = self._news.wait_for(lambda: reached(self.text) or self._ended, seconds)
            assert done, f"pulumi hangs:\n{self.text}"
            return reached(self.text)

    def wait(self, seconds: float = SECONDS) -> Outcome:
        """Wait for its end."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise CommandError(f"pulumi hangs after {seconds} s:\n{self.text}") from None
        self._reader.join(10)
        return Outcome(status, self.text)

    def family(self) -> list[int]:
        """All processes of its session that are alive."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _session(entry) == self.pid
        ]

    def kill(self) -> None:
        """Kill the engine, the program and all plugins at once."""
        while family := self.family():
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(10)

    def until_gone(self, seconds: float) -> None:
        """Wait until none of its processes is left that does anything.

        Pulumi's own language host only waits, and looks after its engine every five minutes.
        """
        give_up = time.monotonic() + seconds
        while family := [
            words
            for words in map(command_line, self.family())
            if words and "/pulumi-language-python" not in words.split("\0")[0]
        ]:
            assert time.monotonic() < give_up, f"these processes stay: {family}"
            time.sleep(0.1)

    def kill_engine(self) -> None:
        """Kill the engine alone, as the kernel does when memory is short."""
        self._process.kill()
        self._process.wait()


def command_line(pid: int) -> str:
    """A process's arguments, each ended by a NUL; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _session(process: Path) -> int | None:
    """The session of a process that is alive."""
    try:
        state, _, _, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return None
    return None if state in "ZX" else int(session)
