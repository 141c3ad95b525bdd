"""SSH keys of a lab: one to log in with, and those by which nodes prove who they are."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from lab.shell import run

if TYPE_CHECKING:
    from pathlib import Path

    from lab.naming import Naming

# The kinds of a stock Debian server; RSA is shorter, which saves a second of work per node.
_HOST_KEY_KINDS = (("ed25519", ()), ("ecdsa", ()), ("rsa", ("-b", "2048")))


def private_key(naming: Naming) -> Path:
    """File of the key that root and admin of every node accept."""
    return naming.home / "id_ed25519"


def known_hosts(naming: Naming) -> Path:
    """File with the host keys of all nodes, as ssh reads it."""
    return naming.home / "known_hosts"


def ensure_login_key(naming: Naming) -> None:
    """Make the lab's login key (mode 0600) unless it exists."""
    _ensure_key(private_key(naming), "ed25519", comment=f"etcd lab {naming.name}")


def host_keys_home(naming: Naming, number: int) -> Path:
    """Directory of the host keys of a node, outside its disk."""
    return naming.home / "host-keys" / str(number)


def ensure_host_keys(naming: Naming, number: int) -> None:
    """Make the host keys of a node unless they exist.

    They belong to the address, not to the disk: a wiped node comes back with the same ones. A new
    machine would have new ones, but a lab that changed known_hosts behind a running program could
    not be told from an attack, and would make every test of a lost disk a test of ssh.
    """
    home = host_keys_home(naming, number)
    home.mkdir(parents=True, exist_ok=True)
    for kind, size in _HOST_KEY_KINDS:
        _ensure_key(home / f"ssh_host_{kind}_key", kind, *size, comment=naming.address(number))


def write_known_hosts(naming: Naming) -> None:
    """Write known_hosts anew from the host keys of all nodes there have been."""
    lines = []
    for home in sorted((naming.home / "host-keys").iterdir(), key=lambda each: int(each.name)):
        for public in sorted(home.glob("*.pub")):
            kind, key = public.read_text().split()[:2]
            lines.append(f"{naming.address(int(home.name))} {kind} {key}\n")
    target = known_hosts(naming)
    unfinished = target.with_suffix(".new")
    unfinished.write_text("".join(lines))
    unfinished.rename(target)


def install(naming: Naming, number: int, root: Path) -> None:
    """Put a node's host keys, and the lab's login key as an authorized one, on its disk."""
    for source in host_keys_home(naming, number).iterdir():
        shutil.copy(source, root / "etc/ssh" / source.name)
    public = private_key(naming).with_suffix(".pub")
    for home in ("root", "home/admin"):
        directory = root / home / ".ssh"
        directory.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(public, directory / "authorized_keys")
        owner = (root / home).stat()
        for path in (directory, directory / "authorized_keys"):
            shutil.chown(path, owner.st_uid, owner.st_gid)


def _ensure_key(path: Path, kind: str, *size: str, comment: str) -> None:
    if path.with_suffix(".pub").exists() and path.exists():
        return
    # A run that was killed between the two files leaves half a pair, and ssh-keygen would ask.
    path.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", comment, "-f", str(path)])
