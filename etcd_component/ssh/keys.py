"""Private keys, in files and in an agent, as the command provider takes them."""

import base64
import binascii
import functools
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from etcd_component import paths
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
    name: str = "the agent's keys"
    certificate: Path | None = None
    """Belongs to it, and is not sent: the command provider knows those of an agent only."""


def as_ssh(
    there: HostConfig, agent_socket: str | None, home: Path, passphrase: str | None
) -> list[Key]:
    """The keys that `ssh` would try at a host, in their order.

    `agent_socket` is the agent's that the command provider asks, `passphrase` opens encrypted
    files. Raises CannotLogIn if there is no key at all.
    """
    named = there.identity_files
    files = named or tuple(home / ".ssh" / name for name in DEFAULT_IDENTITIES)
    agent, findings = None, list[tuple[str, str]]()
    with collected(findings):
        agent = _agent_of(there, agent_socket)
    held = _agent_keys(agent) if agent else frozenset()
    others = [file for file in files if not held or _fingerprint(file) not in held]
    found = []
    for file in others:
        if paths.exists(file):
            with collected(findings):
                found.append(read_key(file, passphrase, there.certificate_files))
    is_held = len(others) < len(files)
    if held and (is_held or not there.identities_only):
        found.insert(0 if is_held or not named else len(found), Key())
    if not found:
        raise CannotLogIn(*findings or [_no_key(files)])
    return found


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


def read_key(file: Path, passphrase: str | None, certificates: Iterable[Path] = ()) -> Key:
    """The key in a file; `certificates` are those that are not beside their keys.

    Raises CannotLogIn, never with a part of the key.
    """
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
    key = usable_key(text, passphrase, str(file))
    beside = file.with_name(f"{file.name}-cert.pub")
    certificate = next((one for one in (beside, *certificates) if paths.exists(one)), None)
    return replace(key, certificate=certificate)


def usable_key(text: str, passphrase: str | None, name: str) -> Key:
    """The key as the provider takes it. Raises CannotLogIn, never with a part of the key."""
    if re.match(r"(ssh|ecdsa|sk)-\S+ |-+ ?BEGIN (SSH2 )?PUBLIC KEY", text):
        raise CannotLogIn((f"{name} is a public key", "name the private one, without `.pub`"))
    if text.startswith("PuTTY-User-Key-File"):
        cure = "convert it: `puttygen KEY.ppk -O private-openssh -o KEY`"
        raise CannotLogIn((f"{name} is a key in PuTTY's form", cure))
    if not text.isascii() or not re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----", text):
        raise CannotLogIn((f"{name} is not a private key", "give one in OpenSSH or PEM form"))
    if len(text.strip().splitlines()) < 3:  # noqa: PLR2004 - heading, one line at least, end
        cure = "set it from the file: `pulumi config set --secret etcd:sshPrivateKey < KEY`"
        raise CannotLogIn((f"{name} has lost its line breaks", cure))
    if not _encrypted(text):
        return Key(text.strip() + "\n", name=name)  # with a passphrase the provider would refuse it
    if not passphrase:
        cure = "set the secret etcd:sshPrivateKeyPassphrase, or `ssh-add` the key to an agent"
        raise CannotLogIn((f"{name} is encrypted and no passphrase is given", cure))
    return Key(text.strip() + "\n", passphrase, name)


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
    listed = tools.run("ssh-keygen", "-l", "-f", str(public if paths.exists(public) else file))
    return next(_fingerprints(listed.stdout), None)


def _fingerprints(listed: str) -> Iterator[str]:
    """Of lines such as `256 SHA256:… comment (ED25519)`."""
    return (words[1] for words in map(str.split, listed.splitlines()) if len(words) > 1)
