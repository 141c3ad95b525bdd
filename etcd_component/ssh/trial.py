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


def accepted(ways: Sequence[tuple[Key, Login]]) -> Login:
    """The first login that its machine does not refuse; a machine that is away refuses none.

    Raises CannotLogIn if all are refused.
    """
    with tempfile.TemporaryDirectory(prefix="etcd-login-") as place:
        for number, (_, login) in enumerate(ways):
            if not _is_refused(login, Path(place) / str(number)):
                return login
    names = ", ".join(key.name for key, _ in ways)
    _, login = ways[0]
    certified = [key for key, _ in ways if key.certificate]
    raise CannotLogIn(
        (
            f"{login.user}@{login.host} port {login.port} refuses every key: {names}",
            _certificate_cure(certified[0])
            if certified
            else "put a public key into its authorized_keys (`ssh-copy-id`), or name another user",
        )
    )


def _is_refused(login: Login, place: Path) -> bool:
    try:
        way = client.prepare(login, place)
        status, _, complaint = client.ask(way, "exit 0", b"", _SECONDS)
    except client.NotLookedAt:
        return False
    if status != _FAILED:
        return False
    # Where the bastion refuses its own key, the last line is about a closed connection.
    last = complaint.strip().rpartition("\n")[2]
    return "Permission denied" in last or "Too many authentication failures" in complaint


def _certificate_cure(key: Key) -> str:
    file = key.name
    usual = f"{file}-cert.pub"
    cure = f"the command provider takes certificates from an agent only: run `ssh-add {file}`"
    if str(key.certificate) == usual:
        return cure
    return f"{cure} with {key.certificate} as {usual} beside it"
