"""What is on the nodes: asked over SSH, with the system's `ssh` and the stack's own way in."""

from etcd_component import contact
from etcd_component.ssh.client import NotLookedAt, Way, ask, prepare
from etcd_component.status.declared import Files
from etcd_component.status.facts import Facts, parse

__all__ = ["SECONDS", "Way", "ask", "look", "look_at", "prepare", "why"]

SECONDS = 9
"""How long looking at one node may take, dialling included."""

_NO_PROGRAM = 127
"""Exit status of a shell that does not find what it should run."""


def look(cluster: str, files: Files, way: Way) -> Facts:
    """Look at one node of a cluster. Raises NotLookedAt."""
    return look_at(cluster, files.data_dir, way, sudo=files.login.sudo)


def look_at(
    cluster: str, data_dir: str, way: Way, *, sudo: bool, seconds: float = SECONDS
) -> Facts:
    """The same within so many seconds, of a node that may be new. Raises NotLookedAt."""
    # A machine that was wiped has no configuration that says where its data would be. The program
    # is sent along: what is there may be missing, older, or changed by hand.
    words = ["facts", "--cluster", cluster, "--data", data_dir]
    return parse(_run(way, *contact.loaded(words, sudo=sudo), seconds))


def _run(way: Way, command: str, stdin: bytes, seconds: float) -> str:
    status, printed, complaint = ask(way, command, stdin, seconds)
    if status != 0:
        raise NotLookedAt(why(status, complaint))
    return printed


def why(status: int, complaint: str) -> str:
    """The reason of a command that failed, in one line."""
    last = [line.strip() for line in complaint.splitlines() if line.strip()][-1:]
    text = last[0] if last else f"ssh ended with status {status}"
    if "python3" in text and (status == _NO_PROGRAM or "not found" in text):
        return "python3 is missing there; install the package `python3`"
    return text
