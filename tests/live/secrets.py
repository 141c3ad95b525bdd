"""Looking for secrets where nobody may find one."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab import Lab
from tests.live.nodes import shell
from tests.live.stack import Project

_KEY = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----\s+(.+?)\s+-----END", re.DOTALL)
_PUBLIC = re.compile(r"(ssh|ecdsa)-\S+ AAAA.*|[0-9a-f.:]+")
"""What goes into the state with a secret, and is none: host keys and addresses."""
_SECRET_LINE = {"EC ": 0, "": 1, "OPENSSH ": 3}
"""Which line of a key's text holds secret bytes, by kind; others are as in the public key."""
_SHORTEST = 12
_MARKS = "/root/marks"


def marks(secrets: Iterable[str]) -> set[str]:
    """Texts that give a secret away, in every way it may be written, from what the state holds."""
    return {mark for secret in secrets for mark in _marks_of(secret) if len(mark) >= _SHORTEST}


def _marks_of(secret: str) -> Iterator[str]:
    if keys := _KEY.findall(secret):
        for kind, body in keys:
            yield body.split()[_SECRET_LINE[kind]]
        return
    if secret.startswith('{"name"'):
        for login in secret.splitlines():
            # Of a role it is what the role may do.
            yield from _marks_of(json.loads(login).get("password", ""))
        return
    if "BEGIN CERTIFICATE" in secret or _PUBLIC.fullmatch(secret):
        return
    if "\n" in secret.strip():
        raise ValueError(f"a secret of an unknown kind, {secret[:20]!r}...")
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield shlex.quote(secret)[1:-1]


def files_with(marks: Iterable[str], places: Iterable[Path]) -> list[str]:
    """Files below these directories that hold one of the marks."""
    done = subprocess.run(
        ["grep", "-rlaF", "-f", "-", *places],
        input="".join(f"{mark}\n" for mark in marks),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise OSError(done.stderr)
    return sorted(done.stdout.splitlines())


def found_on_node(marks: Iterable[str], lab: Lab, number: int) -> list[str]:
    """Where a node shows one of the marks: in its journal, or in a file that anybody can read."""
    shell(lab, number, f"umask 077 && cat >{_MARKS}", stdin="".join(f"{mark}\n" for mark in marks))
    try:
        journal = shell(lab, number, f"journalctl -q -o cat --no-pager | grep -F -f {_MARKS} || :")
        files = shell(
            lab,
            number,
            "find / /run /tmp /dev/shm -xdev -type f -perm -o+r -mmin -180 -print0"
            f" | xargs -0 -r grep -lF -f {_MARKS} || :",
        )
    finally:
        shell(lab, number, f"rm -f {_MARKS}")
    return [f"journal: {line}" for line in journal.splitlines()] + files.splitlines()


def seen(project: Project) -> list[str]:
    """Where a secret shows of all that a project's stacks made, here and on the nodes that run."""
    sought = marks(project.secrets)
    places = [project.printed, project.home / "state", project.program / "stacks"]
    found = files_with(sought, places) if sought else []
    for node in project.lab.nodes():
        if node.running:
            found += found_on_node(sought, project.lab, node.number)
    return found


class Sampler:
    """Reads every process's arguments and environment again and again, here and on all nodes.

    The nodes' processes are this machine's too. One variable is passed over: in PULUMI_CONFIG the
    engine gives the program its configuration, and only the same user can read it there.
    """

    def __init__(self, marks: Iterable[str]) -> None:
        self._sought = [mark.encode() for mark in marks]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.rounds = 0
        self.found: set[str] = set()

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.05):
            self.rounds += 1
            for entry in Path("/proc").iterdir():
                if not entry.name.isdigit():
                    continue
                for name in ("cmdline", "environ"):
                    try:
                        words = (entry / name).read_bytes().split(b"\0")
                    except OSError:
                        continue
                    text = b"\0".join(one for one in words if not one.startswith(b"PULUMI_CONFIG="))
                    if any(mark in text for mark in self._sought):
                        self.found.add(f"{name} of {words[0].decode(errors='replace')}")
