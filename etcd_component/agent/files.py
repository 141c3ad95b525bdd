"""Files that root writes: whole or not at all."""

from __future__ import annotations

import base64
import binascii
import contextlib
import grp
import hashlib
import os
import pwd
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent.output import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = r"^# Written by etcd-(node|monitor)"
"""The line that every unit and wrapper of ours has."""

PRIVATE = 0o700
"""The mode of a directory that nobody but its owner can enter."""


def read_text(path: Path, default: str = "") -> str:
    """The text of a file; the default where it is missing or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return default


def read_bytes(path: Path) -> bytes:
    """The content of a file; empty where it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def has_content(path: Path) -> bool:
    """Whether it is a file that is not empty."""
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """Of a file, in hexadecimal; empty where there is none."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            for piece in iter(lambda: stream.read(1 << 20), b""):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()


def atomic_write(
    path: Path, content: str | bytes, mode: int = 0o644, user: str = "root", group: str = ""
) -> None:
    """Replace a file in a directory in which nobody but root can write. Raises Refusal.

    When it cannot be written, what was there before stays, and nothing half-written is left.
    """
    data = content.encode() if isinstance(content, str) else content
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchown(stream.fileno(), *_ids(user, group))
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise Refusal(
            f"{path} cannot be written ({error.strerror}); what was there before stays. Free space"
            " there (`df` shows it) and run this again"
        ) from None


def atomic_write_among_others(path: Path, content: str, mode: int = 0o644) -> None:
    """The same in a directory in which other users can write, too. Raises OSError.

    They could put a link where root is about to write: so it is written in a directory of root's
    alone, which stays the same directory under whatever name.
    """
    private = Path(tempfile.mkdtemp(prefix=f"{path.name}.", dir=path.parent))
    inside = os.open(private, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    outside = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = os.fstat(inside)
        if found.st_uid != 0 or found.st_mode & 0o777 != PRIVATE:
            raise PermissionError(f"{private} was replaced by another user")
        descriptor = os.open("new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=inside)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
        os.replace("new", path.name, src_dir_fd=inside, dst_dir_fd=outside)
    finally:
        with contextlib.suppress(OSError):
            os.unlink("new", dir_fd=inside)
        os.close(inside)
        os.close(outside)
        with contextlib.suppress(OSError):
            private.rmdir()


def replace_link(path: Path, target: str) -> None:
    """Have a link lead there, in one step."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    new.symlink_to(target)
    new.replace(path)


def link_target(path: Path) -> str:
    """Where a link leads, as it is written; empty where there is none."""
    try:
        return str(path.readlink())
    except OSError:
        return ""


def remove(*paths: Path) -> None:
    """Remove files, where they are there."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def is_ours(path: Path) -> bool:
    """Whether a unit or wrapper was written by us."""
    return re.search(OWN, read_text(path), re.MULTILINE) is not None


def sections(text: str) -> dict[str, str]:
    """The files of a text in which each begins with a line `--- NAME`; each ends with a newline."""
    parts = re.split(r"^--- (\S+)\n", text, flags=re.MULTILINE)[1:]
    bodies = (body.rstrip("\n") for body in parts[1::2])
    return {name: f"{body}\n" if body else "" for name, body in zip(parts[::2], bodies)}


def from_base64(text: str) -> bytes:
    """Empty where it is none."""
    try:
        return base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        return b""


def value_in(text: str, key: str) -> str:
    """The value of a top-level key of YAML, a scalar on its line; empty where there is none."""
    found = re.search(rf"^{re.escape(key)}: *(.*)$", text, re.MULTILINE)
    return re.sub("[\"']", "", found[1]).strip() if found else ""


def walk(directory: Path) -> Iterator[Path]:
    """All plain files below a directory; nothing where it is missing."""
    for folder, _, names in os.walk(directory):
        for name in names:
            yield Path(folder) / name


def _ids(user: str, group: str) -> tuple[int, int]:
    if user == "root" and group in {"", "root"}:
        return 0, 0
    found = pwd.getpwnam(user)
    return found.pw_uid, grp.getgrnam(group).gr_gid if group else found.pw_gid
