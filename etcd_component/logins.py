"""Which login a Command is registered with: today's, or the one that the state records.

Who logs in is no part of what a Command does, but the provider runs every Command again whose
connection differs from the state's. So a Command that would differ in nothing else keeps the
login with which it was last run, and one that runs takes today's.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pulumi

from etcd_component.contact import with_sudo, without_sudo
from etcd_component.previous import Command
from etcd_component.ssh import Login

_NAMES = ("create", "update", "delete")


@dataclass(frozen=True, slots=True)
class Texts:
    """The command lines of a Command."""

    create: pulumi.Input[str] | None = None
    update: pulumi.Input[str] | None = None
    delete: pulumi.Input[str] | None = None

    def of(self, keeps: pulumi.Output[bool], before: Login) -> "Texts":
        """The same as the login `before` has them, where `keeps` is true."""
        texts = (self.create, self.update, self.delete)
        return Texts(*(_of(text, keeps, before) for text in texts))


def _of(
    text: pulumi.Input[str] | None, keeps: pulumi.Output[bool], before: Login
) -> pulumi.Input[str] | None:
    if text is None:
        return None
    return pulumi.Output.all(keeps, text).apply(
        lambda found: with_sudo(found[1], sudo=before.sudo) if found[0] else found[1]
    )


def recorded(before: Command | None, today: Login) -> Login | None:
    """The login that the state records, if it is one to the same machine as today's; else None.

    An address, a port or a host key that changed is another machine, for all that is known here.
    """
    login = before.login if before else None
    if login is None or (login.host, login.port) != (today.host, today.port):
        return None
    return login if _no_other_machine(login.host_key, today.host_key) else None


def _no_other_machine(recorded: str | None, today: str | None) -> bool:
    """Whether host keys do not speak of two machines.

    A machine has a key of each kind, and another person's known_hosts another one of them. What is
    pinned stays so where today's login pins nothing.
    """
    if recorded is None or today is None:
        return today is None
    return recorded == today or recorded.split()[0] != today.split()[0]


def keeps(
    before: Command,
    texts: Texts,
    stdin: pulumi.Input[str] | None,
    *,
    ignored: Sequence[str],
    logging: str | None,
) -> pulumi.Output[bool]:
    """Whether a Command with these inputs differs from the state's in its login alone.

    `ignored` names inputs that stay as they are in the state. Always known: what a preview does not
    know yet is taken for a difference.
    """

    def same(found: Any) -> bool:
        if pulumi.contains_unknowns(found):
            return False
        *wanted, sent = found
        return (
            sent == before.stdin
            and logging == before.inputs.get("logging")
            and all(
                without_sudo(text or "") == without_sudo(before.text(name))
                for name, text in zip(_NAMES, wanted, strict=True)
                if name not in ignored
            )
        )

    inputs = pulumi.Output.all(texts.create, texts.update, texts.delete, stdin)
    # Whether two secrets are the same is none.
    return pulumi.Output.unsecret(inputs.apply(same, run_with_unknowns=True))


def keeps_copy(before: Command, source: str, path: pulumi.Input[str]) -> pulumi.Output[bool]:
    """The same of a file that is copied to `path` on a machine. Raises OSError."""
    copied = before.inputs.get("source")
    same = isinstance(copied, dict) and copied.get("hash") == _sha256(source)
    return pulumi.Output.from_input(path).apply(
        lambda wanted: same and wanted == before.text("remotePath")
    )


@cache
def _sha256(path: str) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
