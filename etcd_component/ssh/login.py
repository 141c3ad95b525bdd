"""A way into a machine, and why there is none."""

import contextlib
from collections.abc import Iterator
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

    @property
    def door(self) -> tuple[str, int]:
        """The host and port that are dialled from here: the bastion's, or its own."""
        first = self.bastion or self
        return first.host, first.port


class CannotLogIn(Exception):  # noqa: N818 - the domain's word
    """A login cannot be made up. `findings` are pairs of a problem and its cure."""

    def __init__(self, *findings: tuple[str, str]) -> None:
        """Keep the findings."""
        super().__init__(*findings)
        self.findings = findings


@contextlib.contextmanager
def collected(findings: list[tuple[str, str]]) -> Iterator[None]:
    """Add the findings of a CannotLogIn to a list instead of raising it."""
    try:
        yield
    except CannotLogIn as refusal:
        findings.extend(refusal.findings)
