"""The system's `ssh`, on the way that a login says, and on no other.

Keys go into files of a private directory for as long as it takes, never into an argument list or
the environment.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcd_component.ssh.login import Login

_DIAL_SECONDS = 4

_NODE, _BASTION = "node", "bastion"

_ASKPASS = """\
#!/bin/sh
# ssh asks: Enter passphrase for key 'PATH':
key=${1#*\\'}
exec cat "${key%\\'*}.passphrase"
"""


class NotLookedAt(Exception):  # noqa: N818 - what happened
    """A node could not be looked at, and why."""


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


def prepare(
    login: Login,
    place: Path,
    others: Sequence[Login] = (),
    *,
    dial_seconds: int = _DIAL_SECONDS,
) -> Way:
    """Write ssh's configuration, keys and known hosts into a directory that is made for it.

    `others` differ from the login in their keys, which are offered to the machine after its own;
    those of an agent are before all others. `ssh` gives a machine up that does not answer within
    `dial_seconds`. Raises NotLookedAt.
    """
    if shutil.which("ssh") is None:
        raise NotLookedAt("there is no `ssh` here")
    hops = {_NODE: [login, *others]} | ({_BASTION: [login.bastion]} if login.bastion else {})
    agent = os.environ.get("SSH_AUTH_SOCK")
    if any(one.agent for each in hops.values() for one in each) and not agent:
        raise NotLookedAt("the stack logs in with an agent's key, and no agent runs here")
    place.mkdir(mode=0o700, parents=True)
    text = f"ConnectTimeout {dial_seconds}\n"
    text += "".join(_host(alias, each, place) for alias, each in hops.items())
    if login.bastion:
        text += f"Host {_NODE}\n  ProxyJump {_BASTION}\n"
    _write(place / "config", text)
    _write(place / "askpass", _ASKPASS, mode=0o700)
    return Way(place)


def key_file(place: Path, number: int = 0, alias: str = _NODE) -> Path:
    """Where `prepare` puts the private key of a login: 0, or the number of another one."""
    return place / (f"{alias}-{number}.key" if number else f"{alias}.key")


def _host(alias: str, logins: Sequence[Login], place: Path) -> str:
    login = logins[0]
    known = place / f"{alias}.known"
    options = {
        "HostName": login.host,
        "Port": str(login.port),
        "User": login.user,
        "HostKeyAlias": alias,
        "UserKnownHostsFile": _quoted(known),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes" if login.host_key else "no",
        "PreferredAuthentications": "publickey",
        "NumberOfPasswordPrompts": "1",
        "ServerAliveInterval": "2",
        "ServerAliveCountMax": "2",
        "LogLevel": "ERROR",
    }
    if login.host_key:
        _write(known, f"{alias} {login.host_key}\n")
    if not any(one.agent for one in logins):
        options |= {"IdentitiesOnly": "yes", "IdentityAgent": "none"}
    lines = [f"{key} {value}" for key, value in options.items()]
    lines += [f"IdentityFile {_quoted(file)}" for file in _keys(alias, logins, place)] or [
        "IdentityFile none"
    ]
    return f"Host {alias}\n" + "".join(f"  {line}\n" for line in lines)


def _quoted(path: Path) -> str:
    """A path as ssh_config(5) has it, blanks and `%` included."""
    return '"' + str(path).replace("%", "%%") + '"'


def _keys(alias: str, logins: Sequence[Login], place: Path) -> Iterator[Path]:
    for number, login in enumerate(logins):
        if login.private_key:
            key = key_file(place, number, alias)
            _write(key, login.private_key)
            if login.private_key_passphrase:
                _write(place / f"{key.name}.passphrase", f"{login.private_key_passphrase}\n")
            yield key


def _write(file: Path, text: str, mode: int = 0o600) -> None:
    file.touch(mode)
    file.write_text(text, encoding="utf-8")


def ask(
    way: Way, command: str, stdin: bytes, seconds: float, *, verbose: bool = False
) -> tuple[int, str, str]:
    """Run a command on a node: exit status, and what it printed where. Raises NotLookedAt."""
    process = way.start(
        "-Tv" if verbose else "-T",
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


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill an `ssh`, and the one that it may have started for a bastion."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
