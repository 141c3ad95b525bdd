"""What is on the nodes: asked over SSH, with the system's `ssh` and the stack's own way in.

Keys go into files of a private directory for as long as it takes, never into an argument list or
the environment.
"""

import base64
import binascii
import os
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcd_component.ssh import Login
from etcd_component.status.declared import Files

SECONDS = 9
"""How long looking at one node may take, dialling included."""
_DIAL_SECONDS = 4

_NODE, _BASTION = "node", "bastion"
_REQUIRED = {"owner", "seat"}
_COLUMNS = 5
ListedThere = tuple[str, str, str, str, str]

_ASKPASS = """\
#!/bin/sh
# ssh asks: Enter passphrase for key 'PATH':
key=${1#*\\'}
exec cat "${key%\\'*}.passphrase"
"""


class NotLookedAt(Exception):  # noqa: N818 - what happened
    """A node could not be looked at, and why."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node says of an instance; see `do_facts` of the node program."""

    of: Mapping[str, str]
    drop_ins: tuple[str, ...] = ()
    members: tuple[ListedThere, ...] = ()
    """ID, name, peer URL, client URL and role, as this member's own peer port has them."""

    def __getitem__(self, name: str) -> str:
        """One fact; empty when the node does not say it."""
        return self.of.get(name, "")

    def text(self, name: str) -> str:
        """The content of a file."""
        try:
            return base64.b64decode(self[name]).decode(errors="replace")
        except binascii.Error:
            return ""


@dataclass(frozen=True, slots=True)
class Way:
    """How `ssh` gets to a node: its configuration in a directory of its own."""

    place: Path

    def start(self, *words: str, **streams: Any) -> subprocess.Popen[str]:
        """Start `ssh` with these words behind its configuration."""
        askpass = {"SSH_ASKPASS": str(self.place / "askpass"), "SSH_ASKPASS_REQUIRE": "force"}
        return subprocess.Popen(
            ["ssh", "-F", str(self.place / "config"), *words],
            text=True,
            env={**os.environ, **askpass},
            # A bastion is reached by a second process, which must go with the first.
            start_new_session=True,
            **streams,
        )

    def dial(self, host: str, port: int) -> socket.socket:
        """A connection that the node makes; without one, what is read ends at once."""
        ours, theirs = socket.socketpair()
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        with theirs:
            # It ends by itself when the connection does.
            self.start("-W", target, _NODE, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
        ours.settimeout(_DIAL_SECONDS)
        return ours


def look(cluster: str, files: Files, way: Way) -> Facts:
    """Look at one node. Raises NotLookedAt."""
    # A machine that was wiped has no configuration that says where its data would be.
    data = f" --data {shlex.quote(files.data_dir)}" if files.data_dir else ""
    command = f"{'sudo -n ' if files.login.sudo else ''}sh -s facts --cluster {cluster}{data}"
    return parse(_run(way, command, files.program))


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


def _run(way: Way, command: str, stdin: str) -> str:
    process = way.start(
        "-T",
        _NODE,
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        printed, complaint = process.communicate(stdin, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        end(process)
        raise NotLookedAt(f"ssh got no answer within {SECONDS} s") from None
    if process.returncode != 0:
        if "no subcommand `facts`" in complaint:
            raise NotLookedAt("the program there is of an older update; run `pulumi up`")
        last = [line.strip() for line in complaint.splitlines() if line.strip()][-1:]
        raise NotLookedAt(last[0] if last else f"ssh ended with status {process.returncode}")
    return printed


def end(process: subprocess.Popen[str]) -> None:
    """Kill an `ssh`, and the one that it may have started for a bastion."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def parse(printed: str) -> Facts:
    """The facts that a node printed. Raises NotLookedAt for anything else."""
    said: dict[str, list[str]] = {}
    for line in printed.splitlines():
        name, _, value = line.partition("=")
        said.setdefault(name, []).append(value)
    if not said.keys() >= _REQUIRED:
        raise NotLookedAt("what the node answers is not understood")
    return Facts(
        {name: values[0] for name, values in said.items()},
        tuple(said.get("drop_in", ())),
        tuple(_listed(line) for line in said.get("member", ()) if len(line.split()) == _COLUMNS),
    )


def _listed(line: str) -> ListedThere:
    id_, name, peer_url, client_url, role = line.split()
    return id_, name, peer_url, client_url, role
