"""`monitoring`: what watches the clusters of a stack, written into a directory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcd_component import backend, written
from etcd_component.monitoring import bundle
from etcd_component.monitoring.watched import Watched

_NOTE = ".written.json"
"""Remembers the stack and what was written, so that nothing else is ever removed."""


class CannotWrite(Exception):  # noqa: N818 - the domain's word
    """There is nothing to write, or it cannot be written; a sentence with the cure."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths below the directory."""

    wrote: Sequence[str]
    removed: Sequence[str]


def write(stack: str, directory: Path, *, place: str | None = None) -> Changes:
    """Write all that watches the clusters of a stack; remove what it no longer has.

    `place` is where the files will lie on the machine that reads them; by default they stay where
    they are. `pulumi` must be on PATH, and the current directory the project's. Raises CannotWrite.
    """
    files = bundle.files(watched(_outputs(stack), stack), place or str(directory.absolute()))
    try:
        former = _former(directory, stack)
        directory.mkdir(parents=True, exist_ok=True)
        written.keep_out_of_git(directory)
        for each in {(directory / one).parent for one in files}:
            each.mkdir(parents=True, exist_ok=True)
        # What is written now is noted before, so that a run that was cut off leaves nothing over.
        _note(directory, stack, [*dict.fromkeys([*former, *files])])
        wrote = written.put(directory, files, bundle.is_secret)
        removed = [one for one in former if one not in files and _removed(directory, one)]
        _note(directory, stack, [*files])
    except written.NotIgnored as reason:
        raise CannotWrite(str(reason)) from None
    except OSError as reason:
        raise CannotWrite(f"{directory} cannot be written: {reason.strerror}") from None
    return Changes(wrote, removed)


def watched(outputs: Mapping[str, Any], stack: str) -> list[Watched]:
    """The clusters of a stack, by name. Raises CannotWrite."""
    found = outputs.get("monitoring")
    if not found:
        raise CannotWrite(
            f"the stack {stack} has no output `monitoring`, as before its first `pulumi up` and"
            " after one that failed: run `pulumi up`"
        )
    return sorted((Watched.read(one) for one in found.values()), key=lambda one: one.cluster)


def _outputs(stack: str) -> Mapping[str, Any]:
    try:
        return backend.outputs(stack)
    except backend.NoAnswer as reason:
        raise CannotWrite(str(reason)) from None


def _former(directory: Path, stack: str) -> list[str]:
    file = directory / _NOTE
    if not file.exists():
        return []
    note = json.loads(file.read_text(encoding="utf-8"))
    if note["stack"] != stack:
        raise CannotWrite(
            f"{directory} has the files of the stack {note['stack']}, and those of {stack} would"
            " take their place: choose another directory"
        )
    return list(note["files"])


def _note(directory: Path, stack: str, files: Sequence[str]) -> None:
    written.put(directory, {_NOTE: json.dumps({"stack": stack, "files": files}) + "\n"})


def _removed(directory: Path, path: str) -> bool:
    file = directory / path
    if not file.exists():
        return False
    file.unlink()
    if not any(file.parent.iterdir()):
        file.parent.rmdir()
    return True
