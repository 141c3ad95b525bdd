"""The versions of etcd on this machine, and which of them a cluster's member uses."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import files
from etcd_component.agent.output import refuse
from etcd_component.agent.paths import VERSIONS
from etcd_component.agent.process import run

if TYPE_CHECKING:
    from etcd_component.agent.paths import Paths

PROGRAMS = ("etcd", "etcdctl", "etcdutl")
_PLACES = "/usr/bin /usr/sbin /bin /sbin /opt/bin /usr/local/bin /usr/local/sbin"
_ANSWER_SECONDS = 30


def reported_version(program: Path) -> str:
    """What `etcd --version` says; empty where it is missing or does not run here."""
    if not is_program(program):
        return ""
    found = re.search(
        r"^etcd Version: (.*)$",
        run(str(program), "--version", seconds=_ANSWER_SECONDS).out,
        re.MULTILINE,
    )
    return found[1].strip() if found else ""


def is_program(path: Path) -> bool:
    """Whether it is a file that root may run."""
    return path.is_file() and os.access(path, os.X_OK)


def program_of_machine(name: str) -> str:
    """Where the machine itself has a program; empty where it has none.

    Our own wrapper of etcdctl has the same path, and is not what is looked for.
    """
    for directory in _PLACES.split():
        path = Path(directory) / name
        if is_program(path) and not is_wrapper(path):
            return str(path)
    return ""


def is_wrapper(path: Path) -> bool:
    """Whether it is our own start of etcdctl."""
    with path.open("rb") as stream:
        return b"Written by etcd-node" in stream.read(1024)


def linked_version(paths: Paths) -> str:
    """The version that the member is started with next; empty where none is linked."""
    return Path(files.link_target(paths.current)).name


def is_linked(paths: Paths, version: str) -> bool:
    """Whether the member is started next with that version as it was installed here."""
    return files.link_target(paths.current) == f"../versions/{version}"


def has_program(paths: Paths) -> bool:
    """Whether the link leads to an etcd; one that was put there by hand may lead nowhere."""
    return (paths.current / "bin" / "etcd").exists()


def link_version(paths: Paths, version: str) -> None:
    """Switch the cluster's programs to a version. Only for a member that is about to start.

    A command without a version leaves the link as it is. Raises Refusal where it leads nowhere.
    """
    if not version:
        if not has_program(paths):
            refuse(f"no etcd is linked as {paths.current}; give --version")
        return
    if not is_program(VERSIONS / version / "bin" / "etcd"):
        refuse(f"etcd {version} is not on this machine; `pulumi up` puts it there")
    paths.current.parent.mkdir(parents=True, exist_ok=True)
    files.replace_link(paths.current, f"../versions/{version}")
