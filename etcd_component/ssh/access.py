"""Logins, made up from the inventory, the stack's settings, and the configuration of `ssh`."""

import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from etcd_component.ssh import config, host_keys, keys, trial
from etcd_component.ssh.config import DEFAULT_USER, HostConfig
from etcd_component.ssh.keys import Key
from etcd_component.ssh.login import CannotLogIn, Login, collected


@dataclass(frozen=True, slots=True)
class Hop:
    """The machine between here and the nodes; None is for `~/.ssh/config` to say."""

    user: str | None
    host: str
    port: int | None
    private_key_file: Path | None


@dataclass(frozen=True, slots=True)
class Access:
    """How machines are reached where the inventory does not say otherwise."""

    user: str | None = None
    """None: what `~/.ssh/config` says, else root."""
    port: int | None = None
    """None: what `~/.ssh/config` says, else 22."""
    sudo: bool | None = None
    """None: whenever the user is not root."""
    private_key: str | None = field(default=None, repr=False)
    private_key_file: Path | None = None
    """Wins over `private_key`; None for both: what `ssh` would take."""
    passphrase: str | None = field(default=None, repr=False)
    agent_socket: str | None = None
    home: Path = field(default_factory=Path.home)
    known_hosts: Path | None = None
    """None: the files of `~/.ssh/config`, else `~/.ssh/known_hosts`; and the system's."""
    check_host_keys: bool = True
    bastion: Hop | None = None
    """None: the ProxyJump of `~/.ssh/config`, if there is one."""

    def login(
        self,
        host: str,
        *,
        port: int | None = None,
        user: str | None = None,
        sudo: bool | None = None,
        private_key_file: Path | None = None,
    ) -> Login:
        """The login of one machine; what is None comes from here, and then from `~/.ssh/config`.

        Raises CannotLogIn with everything that is missing: key and host keys, the bastion's too.
        """
        there = self._config(host, port or self.port, user or self.user)
        found, host_key, bastion = list[Key](), None, None
        findings: list[tuple[str, str]] = []
        with collected(findings):
            found = self._keys(there, private_key_file or self.private_key_file, self.private_key)
        with collected(findings):
            hop = self._hop(there)
            with collected(findings):
                host_key = self._host_key(there, hop)
            bastion = self._bastion(hop) if hop else None
        if findings:
            raise CannotLogIn(*dict.fromkeys(findings))
        name = there.user or DEFAULT_USER
        wanted = self.sudo if sudo is None else sudo
        return _login(
            there,
            found,
            host_key,
            sudo=name != DEFAULT_USER and wanted is not False,
            bastion=bastion,
        )

    def _config(self, host: str, port: int | None, user: str | None) -> HostConfig:
        return config.of_host(host, port=port, user=user, home=self.home)

    def _hop(self, there: HostConfig) -> HostConfig | None:
        """The machine to go through, as the stack says, else as `~/.ssh/config` does.

        Raises CannotLogIn for more than one, and for a program: the command provider knows a
        single bastion.
        """
        if self.bastion:
            # `sshUser` is for the bastion too.
            user = self.bastion.user or self.user
            hop = self._config(self.bastion.host, self.bastion.port, user)
            jumps: Sequence[config.Jump] = ()
        elif there.proxy_command:
            raise CannotLogIn(_no_program(there))
        elif not there.jumps:
            return None
        else:
            *jumps, last = there.jumps
            hop = self._config(last.host, last.port, last.user)
        before = [each.host for each in jumps or hop.jumps]
        if before:
            raise CannotLogIn(_too_far(there, hop, before))
        if hop.proxy_command:
            raise CannotLogIn(_no_program(hop))
        return hop

    def _bastion(self, hop: HostConfig) -> Login:
        """The login of the bastion, looked up once for all machines behind it."""
        with _ONE_BASTION:
            found = _bastion_of(self, hop)
        if isinstance(found, CannotLogIn):
            raise CannotLogIn(*found.findings)
        return found

    def bastion_login(self, hop: HostConfig) -> Login:
        """Look it up. Raises CannotLogIn."""
        if self.bastion or not hop.identity_files:
            own = self.bastion.private_key_file if self.bastion else None
            found = self._keys(hop, own or self.private_key_file, self.private_key)
        else:
            found = self._keys(hop, None, None)
        return _login(hop, found, self._host_key(hop, None), sudo=False, bastion=None)

    def _keys(self, there: HostConfig, file: Path | None, text: str | None) -> list[Key]:
        if file:
            return [keys.read_key(file, self.passphrase, there.certificate_files)]
        if text:
            return [keys.usable_key(text, self.passphrase, "the private key")]
        return keys.as_ssh(there, self.agent_socket, self.home, self.passphrase)

    def _host_key(self, there: HostConfig, hop: HostConfig | None) -> str | None:
        if not self.check_host_keys:
            return None
        return host_keys.pinned(there, self._known_hosts(there), hop)

    def _known_hosts(self, there: HostConfig) -> Sequence[Path]:
        """Files with host keys; new ones belong into the first."""
        if self.known_hosts:
            return [self.known_hosts]
        own = there.known_hosts or (self.home / ".ssh" / "known_hosts",)
        return [*own, *there.global_known_hosts]


_ONE_BASTION = threading.Lock()


@functools.cache
def _bastion_of(access: Access, hop: HostConfig) -> Login | CannotLogIn:
    try:
        return access.bastion_login(hop)
    except CannotLogIn as refusal:
        return refusal


def _login(
    there: HostConfig,
    found: Sequence[Key],
    host_key: str | None,
    *,
    sudo: bool,
    bastion: Login | None,
) -> Login:
    """The login with the key that the machine accepts. Only where that is in doubt it is asked."""
    ways = [
        (
            key,
            Login(
                host=there.host,
                port=there.port,
                user=there.user or DEFAULT_USER,
                sudo=sudo,
                private_key=key.text,
                private_key_passphrase=key.passphrase,
                agent=key.text is None,
                host_key=host_key,
                bastion=bastion,
            ),
        )
        for key in found
    ]
    if len(ways) > 1 or found[0].certificate:
        return trial.accepted(ways)
    return ways[0][1]


def _no_program(there: HostConfig) -> tuple[str, str]:
    return (
        f"ssh's configuration reaches {there.name} with a ProxyCommand, which cannot be used here",
        (
            "if it is an `ssh -W`, write ProxyJump instead; else set etcd:sshBastion, or run Pulumi"
            f" where {there.name} is reached without it"
        ),
    )


def _too_far(there: HostConfig, hop: HostConfig, before: Sequence[str]) -> tuple[str, str]:
    names = " and ".join([*before, hop.name])
    first = ",".join(before)
    return (
        (
            f"ssh's configuration goes through {names} to {there.name}, and the command provider"
            " knows a single bastion"
        ),
        (
            f"open the way yourself, such as with `ssh -fNL 127.0.0.1:2222:{hop.host}:{hop.port}"
            f" {first}`, and set etcd:sshBastion to {hop.user or DEFAULT_USER}@127.0.0.1:2222; or"
            f" run Pulumi behind {before[0]}"
        ),
    )
