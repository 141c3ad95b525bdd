"""Notes of the files as they were put here, so that it shows when somebody else changes one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etcd_component.agent.paths import Paths


def note_as_put(paths: Paths, which: str, put: Iterable[Path]) -> None:
    """Note the files that a step (`tls`, `config` ...) has put, as `sha256sum` does."""
    lines = "".join(f"{files.sha256_of(path)}  {path}\n" for path in put)
    files.atomic_write(paths.etc / f"as-put.{which}", lines)


def changed_files(paths: Paths) -> list[str]:
    """The files that are not as they were put here any more, or are gone."""
    return [path for note in sorted(paths.etc.glob("as-put.*")) for path in _changed(note)]


def is_as_put(paths: Paths, *steps: str) -> bool:
    """Whether the files of these steps are just as they were put; not where no note says so."""
    notes = [paths.etc / f"as-put.{step}" for step in steps]
    return all(files.has_content(note) for note in notes) and not any(map(_changed, notes))


def _changed(note: Path) -> list[str]:
    lines = (line.partition("  ") for line in files.read_text(note).splitlines())
    return [path for checksum, _, path in lines if files.sha256_of(Path(path)) != checksum]
