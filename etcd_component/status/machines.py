"""What is on the nodes: asked over SSH, with the system's `ssh` and the stack's own way in.

Keys go into files of a private directory for as long as it takes, never into an argument list or
the environment.
"""

import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcd_component import contact
from etcd_component.ssh import Login
from etcd_component.status.declared import Files
from etcd_component.status.facts import Facts, NotLookedAt, parse

SECONDS = 9
"""How long looking at one node may take, dialling included."""
_DIAL_SECONDS = 4

_NODE, _BASTION = "node", "bastion"
_NO_PROGRAM = 127
"""Exit status of a shell that does not find what it should run."""

_ASKPASS = """\
#!/bin/sh
# ssh asks: Enter passphrase for key 'PATH':
key=${1#*\\'}
exec cat "${key%\\'*}.passphrase"
"""


@dataclass(frozen=True, slots=True)
class Way:
    """How `ssh` gets to a node: its configuration in a directory of its own."""

    place: Path

    def start(self, *words: str, **streams: Any) -> subprocess.Popen[bytes]:
        """Start `ssh` with these words behind its configuration."""
        askpass = {"SSH_ASKPASS": str(self.place / "askpass"), "SSH_ASKPASS_REQUIRE": "force"}
        return subprocess.Popen(
            ["ssh", "-F", str(self.place / "config"), *words],
            env={**os.environ, **askpass},
            # A bastion is reached by a second process, which must go with the first.
            start_new_session=True,
            **streams,
        )

    def dial(self, host: str, port: int, seconds: float = _DIAL_SECONDS) -> socket.socket:
        """A connection that the node makes; without one, what is read ends at once."""
        ours, theirs = socket.socketpair()
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        with theirs:
            # It ends by itself when the connection does.
            self.start("-W", target, _NODE, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
        ours.settimeout(max(seconds, _DIAL_SECONDS))
        return ours


def look(cluster: str, files: Files, way: Way) -> Facts:
    """Look at one node. Raises NotLookedAt."""
    # A machine that was wiped has no configuration that says where its data would be. The program
    # is sent along: what is there may be missing, older, or changed by hand.
    words = ["facts", "--cluster", cluster, "--data", files.data_dir]
    return parse(_run(way, *contact.loaded(words, sudo=files.login.sudo)))


def prepare(login: Login, place: Path) -> Way:
    """Write ssh's configuration, keys and known hosts into a directory that is made for it.

    Raises NotLookedAt.
    """
    if shutil.which("ssh") is None:
        raise NotLookedAt("there is no `ssh` here")
    hops = {_NODE: login} | ({_BASTION: login.bastion} if login.bastion else {})
    agent = os.environ.get("SSH_AUTH_SOCK")
    if any(one.agent for one in hops.values()) and not agent:
        raise NotLookedAt("the stack logs in with an agent's key, and no agent runs here")
    place.mkdir(mode=0o700, parents=True)
    text = "".join(_host(alias, one, place) for alias, one in hops.items())
    if login.bastion:
        text += f"Host {_NODE}\n  ProxyJump {_BASTION}\n"
    _write(place / "config", text)
    _write(place / "askpass", _ASKPASS, mode=0o700)
    return Way(place)


def _host(alias: str, login: Login, place: Path) -> str:
    known = place / f"{alias}.known"
    options = {
        "HostName": login.host,
        "Port": str(login.port),
        "User": login.user,
        "HostKeyAlias": alias,
        "UserKnownHostsFile": str(known),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes" if login.host_key else "no",
        "PreferredAuthentications": "publickey",
        "NumberOfPasswordPrompts": "1",
        "ConnectTimeout": str(_DIAL_SECONDS),
        "ServerAliveInterval": "2",
        "ServerAliveCountMax": "2",
        "LogLevel": "ERROR",
    }
    if login.host_key:
        _write(known, f"{alias} {login.host_key}\n")
    if login.private_key:
        key = place / f"{alias}.key"
        _write(key, login.private_key)
        options |= {"IdentityFile": str(key), "IdentitiesOnly": "yes", "IdentityAgent": "none"}
        if login.private_key_passphrase:
            _write(place / f"{alias}.key.passphrase", f"{login.private_key_passphrase}\n")
    return f"Host {alias}\n" + "".join(f"  {key} {value}\n" for key, value in options.items())


def _write(file: Path, text: str, mode: int = 0o600) -> None:
    file.touch(mode)
    file.write_text(text, encoding="utf-8")


def _run(way: Way, command: str, stdin: bytes) -> str:
    status, printed, complaint = ask(way, command, stdin, SECONDS)
    if status != 0:
        raise NotLookedAt(why(status, complaint))
    return printed


def ask(way: Way, command: str, stdin: bytes, seconds: float) -> tuple[int, str, str]:
    """Run a command on a node: exit status, and what it printed where. Raises NotLookedAt."""
    process = way.start(
        "-T",
        _NODE,
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        printed, complaint = process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        end(process)
        raise NotLookedAt(f"ssh got no answer within {seconds:g} s") from None
    return (
        process.returncode,
        printed.decode(errors="replace"),
        complaint.decode(errors="replace"),
    )


def why(status: int, complaint: str) -> str:
    """The reason of a command that failed, in one line."""
    last = [line.strip() for line in complaint.splitlines() if line.strip()][-1:]
    text = last[0] if last else f"ssh ended with status {status}"
    if "python3" in text and (status == _NO_PROGRAM or "not found" in text):
        return "python3 is missing there; install the package `python3`"
    return text


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill an `ssh`, and the one that it may have started for a bastion."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
