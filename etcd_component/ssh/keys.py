"""Private keys, in files and in an agent, as the command provider takes them."""

import base64
import binascii
import functools
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from etcd_component.ssh import tools
from etcd_component.ssh.config import AGENT_VARIABLE, HostConfig
from etcd_component.ssh.login import CannotLogIn, collected

DEFAULT_IDENTITIES = ("id_ed25519", "id_ecdsa", "id_rsa")
"""The private keys that `ssh` tries by itself, under `~/.ssh`."""


@dataclass(frozen=True, slots=True)
class Key:
    """A private key that can be used; without text, the agent's."""

    text: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


def as_ssh(there: HostConfig, agent_socket: str | None, home: Path, passphrase: str | None) -> Key:
    """The key that `ssh` would try first at a host.

    `agent_socket` is the agent's that the command provider asks, `passphrase` opens encrypted
    files. Raises CannotLogIn if there is no key at all.
    """
    named = there.identity_files
    files = named or tuple(home / ".ssh" / name for name in DEFAULT_IDENTITIES)
    socket_path = None
    findings: list[tuple[str, str]] = []
    with collected(findings):
        socket_path = _agent_of(there, agent_socket)
    held = _agent_keys(socket_path) if socket_path else frozenset()
    is_held = any(_fingerprint(file) in held for file in files) if held else False
    if held and (is_held or not (named or there.identities_only)):
        return Key()
    for file in files:
        if file.exists():
            with collected(findings):
                return read_key(file, passphrase)
    if held and not there.identities_only:
        return Key()
    raise CannotLogIn(*findings or [_no_key(files)])


def _agent_of(there: HostConfig, agent_socket: str | None) -> str | None:
    """The agent for a host. Raises CannotLogIn if it is another than the command provider's."""
    wanted = there.identity_agent
    if wanted in {None, AGENT_VARIABLE, agent_socket}:
        return agent_socket
    if wanted == "none" or not agent_answers(str(wanted)):
        return None
    raise CannotLogIn(
        (
            (
                f"ssh's configuration names the agent {wanted} for {there.name}, and the command"
                f" provider asks that of {AGENT_VARIABLE} only"
            ),
            f"`export {AGENT_VARIABLE}={wanted}`",
        )
    )


def _no_key(files: Sequence[Path]) -> tuple[str, str]:
    names = ", ".join(file.name for file in files)
    return (
        f"no private key: no agent has one and {files[0].parent} has none of {names}",
        (
            "set etcd:sshPrivateKeyFile, or the secret etcd:sshPrivateKey, or"
            " ansible_ssh_private_key_file, or start an agent and `ssh-add` a key"
        ),
    )


def read_key(file: Path, passphrase: str | None) -> Key:
    """The key in a file. Raises CannotLogIn, never with a part of the key."""
    try:
        text = file.read_text(encoding="ascii")
    except FileNotFoundError:
        raise CannotLogIn((f"there is no private key file {file}", "correct the path")) from None
    except UnicodeDecodeError:
        raise CannotLogIn((f"{file} is not a private key", "name a key in OpenSSH form")) from None
    except OSError as error:
        raise CannotLogIn(
            (f"the private key {file} cannot be read ({error.strerror})", "make it readable")
        ) from None
    return usable_key(text, passphrase, str(file))


def usable_key(text: str, passphrase: str | None, name: str) -> Key:
    """The key as the provider takes it. Raises CannotLogIn, never with a part of the key."""
    if re.match(r"(ssh|ecdsa|sk)-\S+ |-+ ?BEGIN (SSH2 )?PUBLIC KEY", text):
        raise CannotLogIn((f"{name} is a public key", "name the private one, without `.pub`"))
    if text.startswith("PuTTY-User-Key-File"):
        cure = "convert it: `puttygen KEY.ppk -O private-openssh -o KEY`"
        raise CannotLogIn((f"{name} is a key in PuTTY's form", cure))
    if not re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----", text):
        raise CannotLogIn((f"{name} is not a private key", "give one in OpenSSH or PEM form"))
    if len(text.strip().splitlines()) < 3:  # noqa: PLR2004 - heading, one line at least, end
        cure = "set it from the file: `pulumi config set --secret etcd:sshPrivateKey < KEY`"
        raise CannotLogIn((f"{name} has lost its line breaks", cure))
    if not _encrypted(text):
        return Key(text.strip() + "\n")  # with a passphrase the provider would refuse it
    if not passphrase:
        cure = "set the secret etcd:sshPrivateKeyPassphrase, or `ssh-add` the key to an agent"
        raise CannotLogIn((f"{name} is encrypted and no passphrase is given", cure))
    return Key(text.strip() + "\n", passphrase)


def _encrypted(text: str) -> bool:
    """Whether a private key needs a passphrase: PEM says so, OpenSSH names a cipher."""
    if "ENCRYPTED" in text:
        return True
    body = re.search(r"BEGIN OPENSSH PRIVATE KEY-----(.+?)-----END", text, re.DOTALL)
    if not body:
        return False
    try:
        raw = base64.b64decode("".join(body[1].split()))
    except binascii.Error:
        return False
    magic = b"openssh-key-v1\0"
    return raw.startswith(magic) and not raw[len(magic) :].startswith(b"\0\0\0\x04none")


def agent_answers(path: str) -> bool:
    """Whether something listens on an agent's socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(path)
        except OSError:
            return False
    return True


@functools.cache
def _agent_keys(path: str) -> frozenset[str]:
    """Fingerprints of the keys that an agent holds."""
    listed = tools.run("ssh-add", "-l", SSH_AUTH_SOCK=path)
    return frozenset(_fingerprints(listed.stdout) if listed.returncode == 0 else ())


@functools.cache
def _fingerprint(file: Path) -> str | None:
    public = file.with_name(f"{file.name}.pub")
    listed = tools.run("ssh-keygen", "-l", "-f", str(public if public.exists() else file))
    return next(_fingerprints(listed.stdout), None)


def _fingerprints(listed: str) -> Iterator[str]:
    """Of lines such as `256 SHA256:… comment (ED25519)`."""
    return (words[1] for words in map(str.split, listed.splitlines()) if len(words) > 1)
