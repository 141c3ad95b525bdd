"""Host keys, from OpenSSH's own known_hosts, asked with OpenSSH's own `ssh-keygen`.

So hashed names, patterns and revoked keys mean here what they mean to `ssh`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from etcd_component import paths
from etcd_component.ssh import offer, tools
from etcd_component.ssh.config import DEFAULT_PORT, DEFAULT_USER, HostConfig
from etcd_component.ssh.login import CannotLogIn

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


_SCAN_SECONDS = 2


@dataclass(frozen=True, slots=True)
class _Known:
    """A line of known_hosts about one host."""

    marker: str | None
    kind: str
    text: str
    file: Path


def pinned(there: HostConfig, files: Sequence[Path], hop: HostConfig | None) -> str:
    """The key that a host must show, as `ssh-ed25519 AAAA…`; `hop` is the bastion before it.

    The command provider takes one: as in `ssh`, of the best type that is known and that the host
    has, and of several of that type the one that it shows. A host behind a bastion is not looked
    at.
    Raises CannotLogIn if there is none that can be pinned.
    """
    known = [one for file in files for one in _known_keys(there, file)]
    revoked = {one.text for one in known if one.marker == "@revoked"}
    usable = [one for one in known if one.marker is None and one.kind in HOST_KEY_TYPES]
    good = {one.text: one for one in usable if one.text not in revoked}
    if not good:
        where = known[0].file if known else files[0]
        raise CannotLogIn((_why_unknown(known, there, where), _scan(there, files[0], hop)))
    kinds = {one.kind for one in good.values()}
    if len(kinds) > 1 and hop is None:
        kinds = kinds & offer.host_key_types(there.host, there.port) or kinds
    best = min(kinds, key=HOST_KEY_TYPES.index)
    texts = [text for text, one in good.items() if one.kind == best]
    if len(texts) > 1 and hop is None:
        shown = _shown(there, best)
        texts = [text for text in texts if text in shown] or texts
    return texts[0]


def _known_keys(there: HostConfig, file: Path) -> list[_Known]:
    if not paths.exists(file):
        return []
    usual = there.port == DEFAULT_PORT
    name = there.host_key_alias or (there.host if usual else f"[{there.host}]:{there.port}")
    known = []
    for line in tools.run("ssh-keygen", "-F", name, "-f", str(file)).stdout.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else None
        if len(words) >= 3:  # noqa: PLR2004 - names, type, key
            known.append(_Known(marker, words[1], f"{words[1]} {words[2]}", file))
    return known


def _shown(there: HostConfig, kind: str) -> set[str]:
    """The keys of a type that a host shows now; empty if it does not answer."""
    name = kind.removeprefix("ssh-").partition("-")[0]
    options = ["-T", str(_SCAN_SECONDS), "-t", name, "-p", str(there.port)]
    try:
        found = tools.run("ssh-keyscan", *options, there.host, seconds=2 * _SCAN_SECONDS)
    except CannotLogIn:
        return set()
    lines = (line.split() for line in found.stdout.splitlines() if not line.startswith("#"))
    return {f"{words[1]} {words[2]}" for words in lines if len(words) >= 3}  # noqa: PLR2004


def _scan(there: HostConfig, file: Path, hop: HostConfig | None) -> str:
    scan = f"ssh-keyscan -t ed25519 -p {there.port} {there.host}"
    if there.host_key_alias:
        scan += f" | sed 's/^[^ ]*/{there.host_key_alias}/'"
    if hop:
        scan = f"ssh -p {hop.port} {hop.user or DEFAULT_USER}@{hop.host} {scan}"
    return (
        f"run `{scan} >> {file}` and compare the fingerprint with what"
        " `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says on the machine"
    )


def _why_unknown(known: Sequence[_Known], there: HostConfig, file: Path) -> str:
    host, port = there.host_key_alias or there.host, there.port
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
