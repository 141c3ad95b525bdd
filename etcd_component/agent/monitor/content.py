"""`etcd-monitor files`: have just the files of one kind that come on standard input."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import files, host, systemd
from etcd_component.agent.monitor.places import (
    ALERTS,
    CONFIGURATION,
    DATA,
    MARK,
    REAL_DATA,
    STORE,
    USER,
    Places,
    recorded,
    unit_file,
)
from etcd_component.agent.output import refuse, say
from etcd_component.agent.user import make_user

if TYPE_CHECKING:
    from collections.abc import Collection

    from etcd_component.agent.frame import Run

_END = "--- end"
_NAME = re.compile(r"[A-Za-z0-9._-][A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class Kind:
    """Files that come together."""

    folders: tuple[str, ...]
    """In which nothing else may be."""
    mode: int = 0o644
    user: str = "root"


KINDS = {
    "config": Kind(("targets", "targets-node", "rules")),
    "dashboards": Kind(("dashboards",)),
    # Its own user alone reads them.
    "secrets": Kind(("pki", "tls", "login"), 0o600, USER),
}


def run(run: Run) -> None:
    """Raises Refusal, and then nothing was changed that did not come whole."""
    kind = KINDS.get(run.options.kind)
    if kind is None:
        refuse(f"there are no files of the kind `{run.options.kind}`")
    wanted = parse(run.stdin)
    if run.options.kind == "config" and not run.options.data:
        refuse("`files --kind config` needs --data")
    make_user(USER, "etcd-monitor")
    for name, text in wanted.items():
        _put(name, text, kind)
    # A cluster that is gone leaves no targets and no key.
    for folder in kind.folders:
        _remove_others(CONFIGURATION / folder, wanted)
    if run.options.kind == "config":
        _own_data_directory(Path(run.options.data))
        systemd.require("daemon-reload")
    say(f"{len(wanted)} files are in place")


def parse(text: str) -> dict[str, str]:
    """Files by name. Raises Refusal for what is not whole, or has a name that is none.

    A connection that broke off must not leave half a file, nor remove what did not come.
    """
    text = text.rstrip("\n")
    if text.rpartition("\n")[2] != _END:
        refuse(f"standard input does not end with `{_END}`; nothing was changed")
    wanted = files.sections(f"{text}\n")
    del wanted["end"]
    for name in wanted:
        is_unit = name.endswith(".service")
        if not _NAME.fullmatch(name) or ".." in name or (is_unit and name not in {STORE, ALERTS}):
            refuse(f"`{name}` is no name of a file; nothing was changed")
    return wanted


def _put(name: str, text: str, kind: Kind) -> None:
    if name.endswith(".service"):
        files.atomic_write(unit_file(name), text)
        return
    path = CONFIGURATION / name
    # The way there is for everybody, what is there may not be.
    path.parent.mkdir(parents=True, exist_ok=True)
    files.atomic_write(path, text, kind.mode, kind.user, kind.user)


def _remove_others(folder: Path, wanted: Collection[str]) -> None:
    for path in list(files.walk(folder)):
        if path.relative_to(CONFIGURATION).as_posix() not in wanted:
            path.unlink()
    for inside, _, _ in os.walk(folder, topdown=False):
        if Path(inside) != folder:
            with contextlib.suppress(OSError):
                Path(inside).rmdir()


def _own_data_directory(data: Path) -> None:
    real = Path(os.path.realpath(data))
    former = recorded(REAL_DATA) or str(real)
    if former != str(real):
        refuse(
            f"{data} leads to {real}, but led to {former} when the monitor began. Put the link or"
            " the mount back and run `pulumi up` again"
        )
    # What was there before is not removed later.
    if not files.has_content(Places.made_parent) and not real.is_dir():
        files.atomic_write(Places.made_parent, f"{host.existing_parent(real)}\n")
    files.atomic_write(DATA, f"{data}\n")
    files.atomic_write(REAL_DATA, f"{real}\n")
    real.mkdir(parents=True, exist_ok=True)
    # Never through a link: the directory is another user's later.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(real / MARK, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    real.chmod(0o700)
    shutil.chown(real, USER, USER)
