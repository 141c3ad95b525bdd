"""Installing the program that runs: with a line that starts it, and with its byte code."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import marshal
import os
import stat
import struct
import sys
import zipfile
from pathlib import Path

from etcd_component.agent import files
from etcd_component.agent.output import refuse
from etcd_component.agent.paths import PROGRAM

_MODE = 0o755
_MAGIC = importlib.util.MAGIC_NUMBER.hex()
_COMMENT = 64 + 1 + len(_MAGIC) + 1 + 64
"""Bytes: what was sent, which byte code, and the checksum of all that is before the comment."""


def install(path: Path) -> None:
    """Leave this program there, unless it is there already. Raises Refusal, OSError.

    An archive alone is compiled anew at each start. The byte code of this interpreter stands
    beside the source, which any other one reads instead.
    """
    running = Path(sys.argv[0])
    sent, there = files.read_bytes(running), files.read_bytes(path)
    wanted = (_checksum(sent), _MAGIC)
    if there.startswith(_start(sys.executable)) and _noted(there) == wanted and _is_ours(path):
        return
    try:
        content = installed(sent, sys.executable, path)
    except zipfile.BadZipFile:
        refuse(f"{running} is not the program as it was packed; `pulumi up` sends it")
    path.parent.mkdir(parents=True, exist_ok=True)
    files.atomic_write(path, content, _MODE)


def installed(sent: bytes, interpreter: str, path: Path) -> bytes:
    """What is installed at a path of a program that was sent, or installed elsewhere.

    Raises BadZipFile.
    """
    with zipfile.ZipFile(io.BytesIO(sent)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py")]
        sources = {name: archive.read(name) for name in names}
    body = _compiled(_start(interpreter), path, sources)
    comment = f"{_checksum(sent)} {_MAGIC} {hashlib.sha256(body).hexdigest()}"
    return body[:-2] + struct.pack("<H", _COMMENT) + comment.encode()


def installed_sha256(path: Path = PROGRAM) -> str:
    """The checksum of the program as it was sent; another where somebody changed it; or empty."""
    content = files.read_bytes(path)
    return _checksum(content) if content else ""


def _checksum(content: bytes) -> str:
    return _noted(content)[0] or hashlib.sha256(content).hexdigest()


def _start(interpreter: str) -> bytes:
    return f"#!{interpreter} -ISXutf8\n".encode()


def _noted(content: bytes) -> tuple[str, str]:
    """Of an archive that was installed: the checksum as it was sent, and whose byte code it has."""
    body, comment = content[:-_COMMENT], content[-_COMMENT:]
    if body[-2:] == struct.pack("<H", _COMMENT):
        words = comment.decode(errors="replace").split(" ")
        if words[-1] == hashlib.sha256(body[:-2] + b"\0\0").hexdigest():
            return words[0], words[1]
    return "", ""


def _is_ours(path: Path) -> bool:
    """Whether all can run it, and nobody else can write it."""
    found = path.lstat()
    return (found.st_mode, found.st_uid) == (stat.S_IFREG | _MODE, os.geteuid())


def _compiled(start: bytes, path: Path, sources: dict[str, bytes]) -> bytes:
    packed = io.BytesIO(start)
    packed.seek(0, io.SEEK_END)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, source in sources.items():
            code = compile(source, f"{path}/{name}", "exec", dont_inherit=True)
            # Flags: known by a hash of the source, which is not looked at.
            head = importlib.util.MAGIC_NUMBER + struct.pack("<I", 1)
            byte_code = head + importlib.util.source_hash(source) + marshal.dumps(code)
            for entry, content in ((name, source), (f"{name}c", byte_code)):
                archive.writestr(zipfile.ZipInfo(entry), content)
    return packed.getvalue()
