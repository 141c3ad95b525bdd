"""The agent as one file: an archive that Python runs, with the same bytes wherever it is made."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
from functools import cache
from pathlib import Path

_PACKAGES = ("agent", "etcd_api")
_HERE = Path(".etcd-node")
_BEGINNING = (1980, 1, 1, 0, 0, 0)
"""The first date that an archive can have."""

_START = """\
import sys

if sys.version_info < (3, 9):
    sys.exit("etcd-node: this machine has Python %d.%d, and 3.9 is needed" % sys.version_info[:2])
from etcd_component.agent.__main__ import main

sys.exit(main())
"""


@cache
def agent() -> bytes:
    """The program for nodes and for the monitor's machine. Which it is, its file's name says.

    Stored and not compressed: what compression gives differs by the library's version, and then
    every colleague's machine would have another program. So it would where Git ends lines in its
    own way.
    """
    return packed(Path(__file__).parent)


def packed(folder: Path) -> bytes:
    """The same, of packages below that directory."""
    contents = {"__main__.py": _START.encode(), "etcd_component/__init__.py": b""}
    for package in _PACKAGES:
        for path in (folder / package).rglob("*.py"):
            # An editor's lock is a link to nowhere.
            if path.is_file():
                text = path.read_text(encoding="utf-8")
                contents[f"etcd_component/{path.relative_to(folder).as_posix()}"] = text.encode()
    archived = io.BytesIO()
    with zipfile.ZipFile(archived, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _BEGINNING)
            entry.create_system = 3  # Unix, wherever it is made
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, contents[name])
    return archived.getvalue()


@cache
def sha256() -> str:
    """Of that file, in hexadecimal."""
    return hashlib.sha256(agent()).hexdigest()


@cache
def put() -> str:
    """Write that file below the working directory; its path, relative to that. Raises OSError.

    Pulumi records paths: a relative one is the same in every checkout.
    """
    _HERE.mkdir(exist_ok=True)
    _replace(_HERE / ".gitignore", b"*\n")
    return str(_replace(_HERE / "agent", agent()))


def _replace(path: Path, content: bytes) -> Path:
    """Another run at the same time reads the old content, or the new one."""
    if path.is_file() and path.read_bytes() == content:
        return path
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    Path(name).chmod(0o644)
    Path(name).replace(path)
    return path
