"""How a machine is reached: login, key and host key."""

from dataclasses import dataclass, field


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
