"""Files that the command line writes, each whole: a reader has the old text or the new one."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

_OWNERS = 0o600
_EVERYBODYS = 0o644


def put(
    directory: Path, files: Mapping[str, str], is_secret: Callable[[str], bool] = lambda _: True
) -> list[str]:
    """Put texts into files of a directory; return the paths of those that changed.

    Files that are secret can be read by their owner alone, others by everybody. Raises OSError.
    """
    return [
        one
        for one, text in files.items()
        if _put(directory / one, text, _OWNERS if is_secret(one) else _EVERYBODYS)
    ]


class NotIgnored(Exception):  # noqa: N818 - what is the matter
    """Git would take the files of a directory; a sentence with the cure."""


def keep_out_of_git(directory: Path) -> None:
    """Have Git ignore all of a directory, before a secret is written into it.

    `git add -A` would take it otherwise, where the directory is in a checkout. A `.gitignore` of
    somebody else stays as it is. Raises NotIgnored, and OSError.
    """
    file = directory / ".gitignore"
    if not file.exists():
        put(directory, {file.name: "*\n"})
    lines = file.read_text(encoding="utf-8").splitlines()
    if "*" not in lines or any(line.startswith("!") for line in lines):
        raise NotIgnored(
            f"{directory} has a .gitignore that does not keep all of it out of Git, and keys would"
            " be written there: choose a directory for these files alone"
        )


def _put(file: Path, text: str, mode: int) -> bool:
    if (
        file.is_file()
        and file.read_text(encoding="utf-8") == text
        and file.stat().st_mode & 0o777 == mode
    ):
        return False
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        unfinished.chmod(mode)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return True
