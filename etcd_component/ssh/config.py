"""What `~/.ssh/config` and `/etc/ssh/ssh_config` say of a host, as OpenSSH itself resolves them.

`ssh -G` prints the configuration of one host and connects to nothing.
"""

import functools
import getpass
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from etcd_component.paths import is_file
from etcd_component.ssh import tools
from etcd_component.ssh.login import CannotLogIn

DEFAULT_PORT = 22
DEFAULT_USER = "root"
AGENT_VARIABLE = "SSH_AUTH_SOCK"
SYSTEM_FILE = Path("/etc/ssh/ssh_config")
GLOBAL_KNOWN_HOSTS = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))

_UNSET = "unset"
"""`ssh -G` prints defaults like settings. The last line of the configuration names this instead."""

_USED = frozenset(
    {
        "canonicalizehostname",
        "certificatefile",
        "globalknownhostsfile",
        "hostkeyalias",
        "hostname",
        "identitiesonly",
        "identityagent",
        "identityfile",
        "port",
        "proxycommand",
        "proxyjump",
        "user",
        "userknownhostsfile",
    }
)
"""Keywords that change what is read of the output of `ssh -G`."""

_DEEPEST = 16
"""How many files may include each other, as in `ssh`."""

_NO_FILE = (_UNSET, "none")
_DEFAULTS = f"Host *\n  User {_UNSET}\n  IdentityFile {_UNSET}\n  UserKnownHostsFile {_UNSET}\n"
_JUMP_TOKENS = "%hnpr"
_JUMP = re.compile(r"(?:(?P<user>.+)@)?(?P<host>\[[^]]+\]|[^:]+)(?::(?P<port>\d+))?")


@dataclass(frozen=True, slots=True)
class Jump:
    """A machine to go through, as `ProxyJump` has it; None is for its own configuration to say."""

    host: str
    user: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class HostConfig:
    """A host as the configuration of `ssh` has it; None and empty where that says nothing."""

    name: str
    """As it was asked for."""
    host: str
    port: int
    user: str | None
    identity_files: tuple[Path, ...] = ()
    identities_only: bool = False
    identity_agent: str | None = None
    """`none`, SSH_AUTH_SOCK, or the path of a socket."""
    certificate_files: tuple[Path, ...] = ()
    known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = GLOBAL_KNOWN_HOSTS
    host_key_alias: str | None = None
    jumps: tuple[Jump, ...] = ()
    """In the order in which they are gone through."""
    proxy_command: str | None = None


def of_host(host: str, *, port: int | None, user: str | None, home: Path) -> HostConfig:
    """What holds for a host; `port` and `user` win over the configuration.

    Without `ssh`, or without a configuration, what was passed in and the default port. Raises
    CannotLogIn if `ssh` refuses the configuration.
    """
    files = tuple(file for file in (home / ".ssh" / "config", SYSTEM_FILE) if is_file(file))
    if all(_is_silent(file, file.parent) for file in files) or shutil.which("ssh") is None:
        return HostConfig(host, host, port or DEFAULT_PORT, user)
    stamps = tuple((stat.st_mtime_ns, stat.st_size) for stat in map(Path.stat, files))
    said = _ask(files, stamps, host, port, user)
    tokens = _tokens(home, said, host)

    def paths(key: str, *, listed: bool = False) -> tuple[Path, ...]:
        lines = said.get(key, [])
        written = [word for line in lines for word in line.split()] if listed else lines
        return tuple(_path(one, home, tokens) for one in written if one not in _NO_FILE)

    def one(key: str) -> str | None:
        return next((value for value in said.get(key, ()) if value != "none"), None)

    found_user = one("user")
    return HostConfig(
        name=host,
        host=one("hostname") or host,
        port=int(one("port") or DEFAULT_PORT),
        user=None if found_user == _UNSET else found_user,
        identity_files=paths("identityfile"),
        identities_only=one("identitiesonly") == "yes",
        identity_agent=next(_agents(said, home, tokens), None),
        certificate_files=paths("certificatefile"),
        known_hosts=paths("userknownhostsfile", listed=True),
        global_known_hosts=paths("globalknownhostsfile", listed=True),
        host_key_alias=one("hostkeyalias"),
        jumps=tuple(
            _jump(_filled(each, {token: tokens[token] for token in _JUMP_TOKENS}))
            for each in (one("proxyjump") or "").split(",")
            if each
        ),
        proxy_command=one("proxycommand"),
    )


def _is_silent(file: Path, folder: Path, depth: int = 0) -> bool:
    """Whether neither a file nor what it includes from a folder has a setting that is used here.

    That of a stock system is silent, and `ssh` need not be run for each of many hosts.
    """
    if depth > _DEEPEST:
        return False
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    for line in lines:
        key, _, rest = re.sub(r"[\s=]+", " ", line).strip().partition(" ")
        if key.lower() in _USED or (key.lower() == "include" and re.search(r"[\"'~$%]", rest)):
            return False
        if key.lower() == "include":
            patterns = (str(folder / pattern).lstrip("/") for pattern in rest.split())
            try:
                found = [each for pattern in patterns for each in Path("/").glob(pattern)]
            except (OSError, ValueError):
                return False  # `ssh` says what is wrong with it.
            if not all(_is_silent(each, folder, depth + 1) for each in found):
                return False
    return True


@functools.cache
def _ask(
    files: tuple[Path, ...],
    stamps: tuple[tuple[int, int], ...],  # noqa: ARG001 - a file that changed is read again
    host: str,
    port: int | None,
    user: str | None,
) -> Mapping[str, list[str]]:
    """Every line of `ssh -G` by its keyword."""
    with tempfile.NamedTemporaryFile("w", prefix="etcd-ssh-config-") as config:
        # `ssh` looks for the user's file in the home directory of the system's list of users.
        config.write("".join(f'Include "{file}"\n' for file in files) + _DEFAULTS)
        config.flush()
        options = [*(["-p", str(port)] if port else []), *(["-l", user] if user else [])]
        ended = tools.run("ssh", "-G", "-F", config.name, *options, host)
    if ended.returncode != 0:
        said = next(reversed(ended.stderr.strip().splitlines()), "no reason given")
        names = " and ".join(map(str, files))
        raise CannotLogIn(
            (
                f"`ssh -G {host}` fails: {said.strip()}",
                f"correct {names}, until `ssh -G {host}` prints the settings of the host",
            )
        )
    found: dict[str, list[str]] = {}
    for line in ended.stdout.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return found


def _tokens(home: Path, said: Mapping[str, list[str]], name: str) -> Mapping[str, str]:
    """What stands for each letter after a `%`, as in ssh_config(5)."""
    user, here = said["user"][0], socket.gethostname()
    return {
        "%": "%",
        "d": str(home),
        "h": said["hostname"][0],
        "i": str(os.getuid()),
        "L": here.partition(".")[0],
        "l": here,
        "k": next(iter(said.get("hostkeyalias", ())), name),
        "n": name,
        "p": said["port"][0],
        "r": DEFAULT_USER if user == _UNSET else user,
        "u": getpass.getuser(),
    }


def _filled(text: str, tokens: Mapping[str, str]) -> str:
    return re.sub(r"%(.)", lambda token: tokens.get(token[1], token[0]), text)


def _path(text: str, home: Path, tokens: Mapping[str, str]) -> Path:
    """A file as `ssh` finds it: it prints `~` and tokens as they are written."""
    text = _filled(text, tokens)
    text = re.sub(r"\$\{(\w+)\}", lambda name: os.environ.get(name[1], name[0]), text)
    return home / text[2:] if text.startswith("~/") else Path(text)


def _agents(said: Mapping[str, list[str]], home: Path, tokens: Mapping[str, str]) -> Iterator[str]:
    for written in said.get("identityagent", ()):
        if written in {"none", AGENT_VARIABLE}:
            yield written
        elif written.startswith("$"):
            yield os.environ.get(written[1:].strip("{}"), "none")
        else:
            yield str(_path(written, home, tokens))


def _jump(text: str) -> Jump:
    found = _JUMP.fullmatch(text.strip())
    if not found:
        raise CannotLogIn((f"ProxyJump {text} is not understood", "write user@host:port"))
    port = found["port"]
    return Jump(found["host"].strip("[]"), found["user"], int(port) if port else None)
