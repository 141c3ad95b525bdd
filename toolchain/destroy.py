"""`make destroy`: also where a machine of the stack is off, cut off, frozen or lets nobody in.

    python -m toolchain.destroy STACK          a person's own machines: asks before it goes on
    python -m toolchain.destroy --lab STACK    the lab's: never asks

Pulumi dials each machine to delete what is on it, and one that does not answer fails the destroy. A
Command without `delete` is deleted without being dialled, so those of the machines that are away
have none in the state for as long as this takes. Run in the project's directory.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcd_component import backend
from etcd_component.recorded import COMMAND, login_of
from etcd_component.ssh import Login, client
from etcd_component.ssh.offer import GREETING
from etcd_component.status import declared, machines
from etcd_component.status.facts import NotLookedAt
from toolchain.state import StateError, pulumi, say

BANNER_SECONDS = 2
LOGIN_SECONDS = 9
_AT_ONCE = 8
"""Logins. A bastion's sshd refuses some of more than ten that have not got in yet."""


@dataclass(frozen=True)
class Erasure:
    """What the deletion of one Command does on a machine."""

    urn: str
    script: str
    login: Login
    data: str
    """The data directory; empty where it is not known."""

    @property
    def name(self) -> str:
        """The instance, or the monitor."""
        return self.urn.rpartition("::")[2].removesuffix("-node")

    @property
    def host(self) -> str:
        """Where its machine is."""
        return self.login.host

    @property
    def by_hand(self) -> str:
        """The line to type on the machine when it is back."""
        words = shlex.split(self.script.replace("\\\n", " "))
        after = words[words.index("uninstall") + 1 :] if "uninstall" in words else []
        # The options come behind the file and what is looked for where it is missing.
        options = [*itertools.dropwhile(lambda word: not word.startswith("--"), after)]
        if ":Monitor$" in self.urn:
            return " ".join(["etcd-monitor uninstall", *_without(options, "--owner"), "--yes"])
        if "--name" not in options:
            cluster, _, _ = self.name.rpartition("-")
            options += [] if "--cluster" in options else ["--cluster", cluster]
            options += ["--name", self.name]
        kept = _without(options, "--owner", "--reseat", "--repair")
        return " ".join(["etcd-node uninstall", *kept, "--yes"])


def _without(options: Sequence[str], *names: str) -> list[str]:
    left, skipped = [], False
    for one in options:
        if skipped or one in names:
            skipped = one in names
            continue
        left.append(one)
    return left


def erasures(state: Mapping[str, Any]) -> list[Erasure]:
    """All that a destroy does on machines; `state` is a deployment with secrets in the clear."""
    resources = state.get("resources") or []
    data = {one["urn"]: _data_of(one) for one in resources}
    found = []
    for one in resources:
        inputs = one.get("inputs") or {}
        script = inputs.get("delete")
        # What belongs to a cluster that goes as a whole goes with it, and is never run.
        if one.get("type") != COMMAND or not isinstance(script, str) or one.get("deletedWith"):
            continue
        found.append(Erasure(one["urn"], script, login_of(inputs), data[one["urn"]]))
    return found


def _data_of(resource: Mapping[str, Any]) -> str:
    inputs = resource.get("inputs") or {}
    texts = [inputs.get("create"), inputs.get("update")]
    options = [re.search(r"--data (\S+)", one) for one in texts if isinstance(one, str)]
    return next((one[1] for one in options if one), "")


# ---- who is away


def away(found: Iterable[Erasure]) -> dict[Login, str]:
    """Logins that do not get in, and why; all are tried at once.

    Machines behind one address have ports or bastions of their own.
    """
    logins = dict.fromkeys(one.login for one in found)
    with (
        tempfile.TemporaryDirectory(prefix="etcd-destroy-") as place,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        # Each once: sshd locks out who disconnects again and again.
        doors = dict.fromkeys(one.door for one in logins)
        mute = dict(zip(doors, pool.map(lambda one: silent(*one), doors), strict=True))
        looks = {
            login: pool.submit(why_away, login, mute[login.door], Path(place) / str(number))
            for number, login in enumerate(logins)
        }
        reasons = {login: one.result() for login, one in looks.items()}
    return {login: reason for login, reason in reasons.items() if reason}


def why_away(login: Login, mute: str, place: Path) -> str:
    """Why a machine cannot be entered, its door `mute` for a reason or not; empty when it can."""
    if mute:
        return f"its bastion {login.bastion.host}: {mute}" if login.bastion else mute
    try:
        way = machines.prepare(login, place)
    except NotLookedAt:
        # Pulumi's own way in may work where `ssh` or an agent is missing here.
        return ""
    process = way.start(
        "-T",
        "node",
        "true",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _, complaint = process.communicate(timeout=LOGIN_SECONDS)
    except subprocess.TimeoutExpired:
        client.end(process)
        return f"SSH gets no answer within {LOGIN_SECONDS} s"
    lines = complaint.decode(errors="replace").splitlines()
    last = [line.strip() for line in lines if line.strip()][-1:]
    # 255 is ssh's own; anything else is of a shell that was reached.
    return (last[0] if last else "SSH does not get in") if process.returncode == _NOT_IN else ""


_NOT_IN = 255


def silent(host: str, port: int) -> str:
    """Why a port is no SSH server that speaks within two seconds; empty when it is one."""
    try:
        with socket.create_connection((host, port), BANNER_SECONDS) as line:
            line.settimeout(BANNER_SECONDS)
            line.sendall(GREETING)
            if line.recv(4).startswith(b"SSH"):
                return ""
    except TimeoutError:
        return f"no answer on port {port} within {BANNER_SECONDS} s"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return f"what answers on port {port} is no SSH server"


# ---- the destroy


def run(stack: str, *, lab: bool, confirm: Callable[[str], bool]) -> int:
    """Destroy a stack; return the exit status. Raises StateError."""
    state = json.loads(backend.ask(stack, "state", "export"))["deployment"] or {}
    found = erasures(state)
    reasons = away(found)
    left = [one for one in found if one.login in reasons]
    if left:
        say("These machines cannot be entered, so nothing can be taken off them now:")
        for line in _away_lines(left, reasons):
            say(line)
        if not lab and not confirm("Destroy the rest, and leave them as they are? [y/N] "):
            say("Nothing was changed.")
            return 1
    if left or any(is_left_alone(one) for one in state.get("resources") or []):
        leave_alone(stack, {one.urn for one in left})
    try:
        status = destroy(stack, ["--yes", "--skip-preview"] if lab else [])
    finally:
        if left:
            leave_alone(stack, set())
    if status == 0 and left:
        say("")
        say("Everything else is gone. Left behind, to be removed as root when the machine is back:")
        for one in left:
            where = f", data in {one.data}" if one.data else ""
            say(f"  {one.name} on {one.host}{where}")
            say(f"    {one.by_hand}")
    return status


def _away_lines(left: Iterable[Erasure], reasons: Mapping[Login, str]) -> Iterator[str]:
    for one in left:
        yield f"  {one.name} on {one.host}: {reasons[one.login]}"


def leave_alone(stack: str, urns: set[str]) -> None:
    """Have the state delete these Commands without a run of them, and all others with one.

    Deletions run what the outputs have. The inputs keep it, so that the next run puts right what
    one that was killed has left.
    """
    # Secrets stay encrypted.
    state = json.loads(pulumi("stack", "export", "--stack", stack))
    changed = False
    for one in (state.get("deployment") or {}).get("resources") or []:
        if is_left_alone(one) and one["urn"] not in urns:
            one["outputs"]["delete"] = one["inputs"]["delete"]
            changed = True
        elif one["type"] == COMMAND and one["urn"] in urns:
            changed = (one.get("outputs") or {}).pop("delete", None) is not None or changed
    if changed:
        pulumi("stack", "import", "--stack", stack, stdin=json.dumps(state))


def is_left_alone(resource: Mapping[str, Any]) -> bool:
    """Whether a Command would be deleted without a run of what its inputs have for that."""
    inputs, outputs = resource.get("inputs") or {}, resource.get("outputs")
    return bool(
        resource["type"] == COMMAND and outputs and "delete" in inputs and "delete" not in outputs
    )


def destroy(stack: str, words: Sequence[str]) -> int:
    """`pulumi destroy`; return its exit status. An interrupt is Pulumi's to follow."""
    with subprocess.Popen(["pulumi", "destroy", "--stack", stack, *words]) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def confirm(question: str) -> bool:
    """Ask a person; without one the answer is no."""
    if not sys.stdin.isatty():
        say("There is nobody here to be asked: run it in a terminal.")
        return False
    try:
        return input(question).strip().lower() in {"y", "yes"}
    except (EOFError, KeyboardInterrupt):
        say("")
        return False


def main() -> int:
    """Run it; return the exit status."""
    *flags, stack = sys.argv[1:]
    # What was left alone must be put back, and keys must go, also when a terminal is closed.
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda *_: sys.exit(1))
    try:
        return run(stack, lab="--lab" in flags, confirm=confirm)
    except KeyboardInterrupt:
        return 130
    except (StateError, backend.NoAnswer, declared.CannotRead) as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
