"""How a machine is reached: login, private key, host key, bastion.

Host keys come from OpenSSH's own known_hosts file, asked with OpenSSH's own `ssh-keygen`, so
that hashed names, patterns and revoked keys mean here what they mean to `ssh`.
"""

import base64
import binascii
import contextlib
import functools
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

HOST_KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
)
"""Host keys that can be pinned, best first.

RSA is left out: the command provider pins the key's type as the algorithm, and for RSA that
means signatures with SHA-1, which sshd refuses.
"""

DEFAULT_IDENTITIES = ("id_ed25519", "id_ecdsa", "id_rsa")
"""The private keys that `ssh` tries by itself, under `~/.ssh`."""

DEFAULT_PORT = 22

_SECONDS = 10
"""How long an OpenSSH tool may take; they answer in milliseconds."""


@dataclass(frozen=True, slots=True)
class Login:
    """One way into one machine, complete: nothing is looked up again later.

    `private_key` is PEM or OpenSSH text, None when the agent signs. `host_key` is what the
    machine must show, as `ssh-ed25519 AAAA…`, None when host keys are not checked.
    """

    host: str
    port: int
    user: str
    sudo: bool
    private_key: str | None = field(repr=False)
    private_key_passphrase: str | None = field(repr=False)
    agent: bool
    host_key: str | None
    bastion: "Login | None" = None


class CannotLogIn(Exception):  # noqa: N818 - the domain's word
    """A login cannot be made up. `findings` are pairs of a problem and its cure."""

    def __init__(self, *findings: tuple[str, str]) -> None:
        """Keep the findings."""
        super().__init__(*findings)
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Hop:
    """The machine between here and the nodes."""

    user: str
    host: str
    port: int
    private_key_file: Path | None


@dataclass(frozen=True, slots=True)
class Access:
    """How machines are reached where the inventory does not say otherwise."""

    user: str = "root"
    port: int = DEFAULT_PORT
    sudo: bool | None = None
    """None: whenever the user is not root."""
    private_key: str | None = field(default=None, repr=False)
    private_key_file: Path | None = None
    """Wins over `private_key`; None for both: the agent, else ssh's default identities."""
    passphrase: str | None = field(default=None, repr=False)
    agent_socket: str | None = None
    home: Path = field(default_factory=Path.home)
    known_hosts: Path | None = None
    """None: `~/.ssh/known_hosts`."""
    check_host_keys: bool = True
    bastion: Hop | None = None

    @property
    def known_hosts_file(self) -> Path:
        """Where host keys are looked up."""
        return self.known_hosts or self.home / ".ssh" / "known_hosts"

    def login(
        self,
        host: str,
        *,
        port: int | None = None,
        user: str | None = None,
        sudo: bool | None = None,
        private_key_file: Path | None = None,
    ) -> Login:
        """The login of one machine; what is None comes from here.

        Raises CannotLogIn with everything that is missing: key and host keys, the bastion's too.
        """
        key, host_key, hop = _Key(), None, None
        findings: list[tuple[str, str]] = []
        with _collected(findings):
            key = self._key(private_key_file or self.private_key_file)
        with _collected(findings):
            host_key = self._host_key(host, port or self.port)
        with _collected(findings):
            hop = self._hop()
        if findings:
            raise CannotLogIn(*dict.fromkeys(findings))
        user = user or self.user
        wanted = self.sudo if sudo is None else sudo
        return Login(
            host=host,
            port=port or self.port,
            user=user,
            sudo=user != "root" and wanted is not False,
            private_key=key.text,
            private_key_passphrase=key.passphrase,
            agent=key.text is None,
            host_key=host_key,
            bastion=hop,
        )

    def _hop(self) -> Login | None:
        if self.bastion is None:
            return None
        direct = replace(self, bastion=None, sudo=False)
        return direct.login(
            self.bastion.host,
            port=self.bastion.port,
            user=self.bastion.user,
            private_key_file=self.bastion.private_key_file,
        )

    def _key(self, file: Path | None) -> "_Key":
        if file:
            return _read_key(file, self.passphrase)
        if self.private_key:
            return _usable_key(self.private_key, self.passphrase, "the private key")
        if self.agent_socket and _agent_has_keys(self.agent_socket):
            return _Key()
        folder = self.home / ".ssh"
        for name in DEFAULT_IDENTITIES:
            if (folder / name).exists():
                return _read_key(folder / name, self.passphrase)
        raise CannotLogIn(
            (
                (
                    f"no private key: no agent has one and {folder} has none of"
                    f" {', '.join(DEFAULT_IDENTITIES)}"
                ),
                (
                    "set etcd:sshPrivateKeyFile, or the secret etcd:sshPrivateKey, or"
                    " ansible_ssh_private_key_file, or start an agent and `ssh-add` a key"
                ),
            )
        )

    def _host_key(self, host: str, port: int) -> str | None:
        if not self.check_host_keys:
            return None
        file = self.known_hosts_file
        known = _known_keys(host, port, file)
        usable = [one for one in known if one.marker is None and one.kind in HOST_KEY_TYPES]
        revoked = {one.text for one in known if one.marker == "@revoked"}
        good = [one for one in usable if one.text not in revoked]
        if good:
            return min(good, key=lambda one: HOST_KEY_TYPES.index(one.kind)).text
        raise CannotLogIn((_why_unknown(known, host, port, file), self._scan(host, port)))

    def _scan(self, host: str, port: int) -> str:
        scan = f"ssh-keyscan -t ed25519 -p {port} {host}"
        if self.bastion:
            hop = self.bastion
            scan = f"ssh -p {hop.port} {hop.user}@{hop.host} {scan}"
        return (
            f"run `{scan} >> {self.known_hosts_file}` and compare the fingerprint with what"
            " `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says on the machine"
        )


@contextlib.contextmanager
def _collected(findings: list[tuple[str, str]]) -> Iterator[None]:
    try:
        yield
    except CannotLogIn as refusal:
        findings.extend(refusal.findings)


@dataclass(frozen=True, slots=True)
class _Key:
    """A private key that can be used; without text, the agent's."""

    text: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


def _read_key(file: Path, passphrase: str | None) -> _Key:
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
    return _usable_key(text, passphrase, str(file))


def _usable_key(text: str, passphrase: str | None, name: str) -> _Key:
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
        return _Key(text.strip() + "\n")  # with a passphrase the provider would refuse it
    if not passphrase:
        cure = "set the secret etcd:sshPrivateKeyPassphrase, or `ssh-add` the key to an agent"
        raise CannotLogIn((f"{name} is encrypted and no passphrase is given", cure))
    return _Key(text.strip() + "\n", passphrase)


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
def _agent_has_keys(path: str) -> bool:
    return _run("ssh-add", "-l", SSH_AUTH_SOCK=path).returncode == 0


@dataclass(frozen=True, slots=True)
class _Known:
    """A line of known_hosts about one host."""

    marker: str | None
    kind: str
    text: str


def _known_keys(host: str, port: int, file: Path) -> list[_Known]:
    if not file.exists():
        return []
    target = host if port == DEFAULT_PORT else f"[{host}]:{port}"
    lines = _run("ssh-keygen", "-F", target, "-f", str(file)).stdout.splitlines()
    known = []
    for line in lines:
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else None
        if len(words) >= 3:  # noqa: PLR2004 - names, type, key
            known.append(_Known(marker, words[1], f"{words[1]} {words[2]}"))
    return known


def _why_unknown(known: list[_Known], host: str, port: int, file: Path) -> str:
    if any(one.marker == "@revoked" for one in known):
        return f"{file} has only revoked host keys of {host} port {port}"
    if any(one.marker == "@cert-authority" for one in known):
        return (
            f"{file} knows {host} port {port} only by a certificate authority,"
            " which cannot be used here"
        )
    if known:
        kinds = ", ".join(sorted({one.kind for one in known}))
        return f"{file} knows {host} port {port} only by {kinds}, which cannot be used here"
    return f"the host key of {host} port {port} is not in {file}"


def _run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    tool = shutil.which(command[0])
    if tool is None:
        raise CannotLogIn((f"{command[0]} is not installed here", "install OpenSSH's client"))
    return subprocess.run(
        [tool, *command[1:]],
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environ},
    )
