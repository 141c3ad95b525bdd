"""Looks after a stack's Pulumi state where it is kept in files.

    python state.py recover STACK   remove dead locks, forget interrupted operations
    python state.py alone STACK     fail when another stack's cluster is on the lab's nodes
    python state.py guarded         succeed when the exported stack on standard input is guarded

The backend is the one of PULUMI_BACKEND_URL, else the one that `pulumi login` chose. Any other kind
than `file://` has no locks that could be judged from here, so `recover` leaves it to Pulumi.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

PROJECT = "etcd"
NODE_RESOURCE = "command:remote:Command"
SAFEGUARD = "etcd:index:Safeguard"


class StateError(Exception):
    """A sentence for the person who must act."""


def say(sentence: str) -> None:
    """Print for a person; stdout may be on its way into another program."""
    print(sentence, file=sys.stderr)


def logged_in_to() -> str:
    """Return the backend that `pulumi login` chose last, empty when there is none."""
    home = Path(os.environ.get("PULUMI_HOME") or "~/.pulumi").expanduser()
    try:
        return str(json.loads((home / "credentials.json").read_text()).get("current") or "")
    except (OSError, ValueError):
        return ""


def backend_directory() -> Path | None:
    """Return the directory of a file backend, or None when the state is kept elsewhere."""
    url = os.environ.get("PULUMI_BACKEND_URL") or logged_in_to()
    if not url.startswith("file://"):
        return None
    return Path(url.removeprefix("file://")).expanduser() / ".pulumi"


@dataclass(frozen=True)
class Lock:
    """One lock file of Pulumi: who took it, where, and when."""

    path: Path
    pid: int
    owner: str
    hostname: str
    taken: float

    @classmethod
    def read(cls, path: Path) -> Lock:
        """Read a lock file; one that a killed run left half written is a dead lock too."""
        try:
            content = json.loads(path.read_text())
            taken = datetime.fromisoformat(content["timestamp"]).timestamp()
            return cls(path, content["pid"], content["username"], content["hostname"], taken)
        except (ValueError, KeyError):
            return cls(path, 0, "unknown", socket.gethostname(), 0.0)

    @property
    def elsewhere(self) -> bool:
        """Whether another machine took it, so that nothing can be known of its process."""
        return self.hostname != socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether the process that took it still runs; a later one of that number is none."""
        started = start_of_process(self.pid)
        # One second, because the kernel counts in hundredths from a boot time in whole seconds.
        return started is not None and started <= self.taken + 1


def start_of_process(pid: int) -> float | None:
    """Return when a process started, in seconds since the epoch, or None when there is none."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    if pid == 0:
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return 0.0  # no /proc here: it exists, that is all that is known
    if fields[0] == "Z":
        return None
    return time.time() - uptime + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def remove_dead_locks(backend: Path, stack: str) -> None:
    """Remove the locks of runs that are gone, and say so.

    Raises StateError when a run is alive, or on another machine and so cannot be judged.
    """
    directory = backend / "locks" / "organization" / PROJECT / stack
    for path in sorted(directory.glob("*.json")):
        lock = Lock.read(path)
        since = datetime.fromtimestamp(lock.taken).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        if lock.elsewhere:
            message = (
                f"The stack {stack} is locked by {lock.owner} on {lock.hostname} since {since}. "
                "Whether that run is alive cannot be seen from here. "
                f"If it is not, type: pulumi cancel --stack {stack}"
            )
            raise StateError(message)
        if lock.alive:
            message = (
                f"Another run of {lock.owner}, process {lock.pid}, is at work on the stack {stack} "
                f"since {since}. Wait for it to end, or end it with: kill -INT {lock.pid}"
            )
            raise StateError(message)
        path.unlink(missing_ok=True)
        say(
            f"A run of {lock.owner} on the stack {stack} was killed (process {lock.pid}, {since}): "
            "its lock is removed."
        )


def remove_half_written_files(backend: Path, stack: str) -> None:
    """Remove what a run that was killed while it saved left beside the checkpoint.

    The checkpoint itself is renamed into place and so always whole. Its attributes are not, and
    Pulumi cannot read a checkpoint whose attributes are empty, though it can without any.
    """
    directory = backend / "stacks" / PROJECT
    for path in directory.glob(f"{stack}.json*.attrs"):
        if path.stat().st_size == 0:
            path.unlink()
            say(f"A run on the stack {stack} was killed while it saved; the state is whole.")
    for path in directory.glob(f"{stack}.json*.tmp"):
        path.unlink(missing_ok=True)


def forget_interrupted_operations(stack: str) -> None:
    """Drop the operations a killed run had begun: each of this project's may be run again."""
    # The full name is understood outside the project's directory too.
    name = f"organization/{PROJECT}/{stack}"
    exported = pulumi("stack", "export", "--stack", name)
    state: dict[str, Any] = json.loads(exported)
    interrupted = state["deployment"].pop("pending_operations", None) or []
    if not interrupted:
        return
    pulumi("stack", "import", "--stack", name, stdin=json.dumps(state))
    names = ", ".join(operation["resource"]["urn"].rpartition("::")[2] for operation in interrupted)
    say(f"The last run was cut off in the middle of: {names}. They are done again, which is safe.")


def pulumi(*arguments: str, stdin: str = "") -> str:
    """Run pulumi without questions and return what it printed."""
    done = subprocess.run(
        ["pulumi", "--non-interactive", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        message = f"pulumi {' '.join(arguments)} failed: {done.stderr.strip()}"
        raise StateError(message)
    return done.stdout


def checkpoint(path: Path) -> dict[str, Any]:
    """Return the latest deployment of a stack's checkpoint file, empty when there is none."""
    latest: dict[str, Any] = json.loads(path.read_text())["checkpoint"].get("latest") or {}
    return latest


def recover(stack: str) -> None:
    """Make a stack that a killed run left behind ready for the next one."""
    backend = backend_directory()
    if backend is None:
        return
    remove_dead_locks(backend, stack)
    remove_half_written_files(backend, stack)
    path = backend / "stacks" / PROJECT / f"{stack}.json"
    if path.exists() and checkpoint(path).get("pending_operations"):
        forget_interrupted_operations(stack)


def stacks_with_cluster() -> list[str]:
    """Return the names of the stacks of this backend that have something on a node."""
    backend = backend_directory()
    if backend is None:
        return []
    return [
        path.stem
        for path in sorted((backend / "stacks" / PROJECT).glob("*.json"))
        if any(each["type"] == NODE_RESOURCE for each in checkpoint(path).get("resources") or [])
    ]


def require_alone(stack: str) -> None:
    """Raise when another stack of this backend has a cluster: it is on the same lab nodes."""
    for other in stacks_with_cluster():
        if other != stack:
            message = (
                f"The cluster of the stack {other} is on the lab's nodes, and {stack} would use "
                f"the same. Type: make destroy STACK={other}"
            )
            raise StateError(message)


def is_guarded(exported: str) -> bool:
    """Tell whether an exported stack holds a cluster that `etcd_safeguard` protects."""
    resources = json.loads(exported or "{}").get("deployment", {}).get("resources") or []
    return any(each["type"] == SAFEGUARD and each.get("protect") for each in resources)


def main() -> int:
    """Run one of the verbs; return the exit status."""
    verbs = {"recover": recover, "alone": require_alone}
    if sys.argv[1:] == ["guarded"]:
        return 0 if is_guarded(sys.stdin.read()) else 1
    try:
        verb, stack = sys.argv[1:]
        verbs[verb](stack)
    except StateError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
