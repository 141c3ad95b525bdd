"""Which of several keys a machine accepts: found out by logging in, as `ssh` does."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from etcd_component.ssh import client
from etcd_component.ssh.keys import Key
from etcd_component.ssh.login import CannotLogIn, Login

_SECONDS = 6
_FAILED = 255
"""Exit status of an `ssh` that got no session."""
_ACCEPTED = "debug1: Server accepts key: "


def accepted(ways: Sequence[tuple[Key, Login]]) -> Login:
    """The login whose key its machine accepts; the first if the machine is away.

    The logins differ in their keys. All are offered over one connection, as `ssh` does: sshd locks
    those out for a while who fail to log in several times. Raises CannotLogIn if all are refused.
    """
    logins = [login for _, login in ways]
    with tempfile.TemporaryDirectory(prefix="etcd-login-") as name:
        place = Path(name) / "way"
        try:
            way = client.prepare(logins[0], place, logins[1:])
            status, _, said = client.ask(way, "exit 0", b"", _SECONDS, verbose=True)
        except client.NotLookedAt:
            return logins[0]
    if status == _FAILED and _is_refusal(said):
        raise CannotLogIn(_refused(ways))
    # What the bastion says, if there is one, comes first.
    _, offered, line = said.rpartition(_ACCEPTED)
    if not offered or (status == _FAILED and logins[0].bastion):
        return logins[0]
    file = line.partition("\n")[0]
    for number, login in enumerate(logins):
        if login.private_key and f"{client.key_file(place, number)} " in file:
            return login
    return next((login for login in logins if login.agent), logins[0])


def _is_refusal(said: str) -> bool:
    # Where the bastion refuses its own key, the last line is about a closed connection.
    last = said.strip().rpartition("\n")[2]
    return "Permission denied" in last or "Too many authentication failures" in said


def _refused(ways: Sequence[tuple[Key, Login]]) -> tuple[str, str]:
    names = ", ".join(key.name for key, _ in ways)
    _, login = ways[0]
    certified = [key for key, _ in ways if key.certificate]
    return (
        f"{login.user}@{login.host} port {login.port} refuses every key: {names}",
        _certificate_cure(certified[0])
        if certified
        else "put a public key into its authorized_keys (`ssh-copy-id`), or name another user",
    )


def _certificate_cure(key: Key) -> str:
    file = key.name
    usual = f"{file}-cert.pub"
    cure = f"the command provider takes certificates from an agent only: run `ssh-add {file}`"
    if str(key.certificate) == usual:
        return cure
    return f"{cure} with {key.certificate} as {usual} beside it"
