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
