"""Why etcd does not run, in its own words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.agent import systemd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etcd_component.agent.systemd import UnitState

DATA, MACHINE, UNKNOWN = "data", "machine", "unknown"
_LENGTH = 300
"""Characters that are kept of its last words."""
_LINES = 3000
"""Lines of the journal that are read."""

_MACHINE = re.compile(
    r"address already in use|cannot assign requested address|ermission denied"
    r"|operation not permitted|ead-only file system|no space left|disk quota exceeded"
    r"|too many open files|cannot allocate memory|out of memory|ertificate|x509|private key|tls:"
    r"|failed to verify flags|error verifying flags|failed to load config|flag provided"
    r"|no such host|/etc/etcd/"
)
_DATA = re.compile(
    r"tocommit|inconsistency|orrupt|checksum|crc mismatch|CRC mismatch|page |freelist|bolt"
    r"|invalid database|version mismatch|no snapshot|snapshot|wal:|WAL|walpb|unexpected EOF"
    r"|out of range|conflict with committed|assertion failed|unexpected fault|fatal error: fault"
    r"|file size too small|backend|database|input/output error|permanently removed|another member"
    r"|cluster ID mismatch|nil pointer|revision|unmarshal|proto:"
)
_RUNS = re.compile(r"ready to serve client requests|^Started ")
_NEXT = re.compile(r"^(Starting|Stopped) ")
_FATAL = re.compile(r'"level":"(fatal|panic)"')
_ERROR = re.compile(
    r'"level":"(error|warn)".*(failed to verify flags|failed to load config|checkInitialHashKV)'
    r'|(failed to verify flags|failed to load config|checkInitialHashKV).*"level":"(error|warn)"'
)
_FOREIGN = re.compile(r"^the data in .* are those of another member")
_CONSOLE = re.compile(r"^.*\t(?:fatal|FATAL|panic|PANIC)\t(.*)")
_GO = re.compile(r"^(panic|fatal error|unexpected fault address)[: ]")


@dataclass(frozen=True)
class Crash:
    """The last words of an etcd that does not run; empty where it runs or was stopped."""

    text: str = ""
    """At most 300 characters, ASCII without control characters."""
    kind: str = ""
    """data, machine (nothing that other data would fix) or unknown; empty without a crash."""

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        if not self:
            return ""
        cure = "; a raised etcd_reseat has it joined again, and keeps a copy of its data"
        return f"does not run: {self.text}{cure if self.kind == DATA else ''}"


def look(unit: str, state: UnitState) -> Crash:
    """Why this unit, in that state, does not run, as its journal of the current boot has it."""
    if state.is_active:
        return Crash()
    return read(systemd.journal(unit, _LINES, this_boot=True))


def read(journal: str) -> Crash:
    """What the journal of a unit that does not run says, messages only."""
    words = re.sub(r"[^ -~]", "", last_words(journal.splitlines()))[:_LENGTH]
    return Crash(words, kind_of(words)) if words else Crash()


def last_words(lines: Iterable[str]) -> str:
    """Of an etcd, by its journal; empty where it was ready after them."""
    words, is_known = "", False
    for line in lines:
        if _RUNS.search(line):
            words, is_known = "", False
        elif _NEXT.search(line):
            is_known = False
        elif _FATAL.search(line) or _ERROR.search(line):
            # The line of the log says more than the panic that follows it.
            error = _value(line, "error")
            words = _value(line, "msg") + (f": {error}" if error else "") or words
            is_known = True
        elif _FOREIGN.search(line):
            words, is_known = line, True
        elif console := _CONSOLE.match(line):
            words, is_known = console[1] or words, True
        elif _GO.search(line):
            words = words if is_known else line
            is_known = True
    return words


def kind_of(words: str) -> str:
    """Of a crash: what a person must look at, and whether other data would fix it."""
    if _MACHINE.search(words):
        return MACHINE
    return DATA if _DATA.search(words) else UNKNOWN


def _value(line: str, name: str) -> str:
    found = re.search(rf'"{name}":"((?:[^"\\]|\\.)*)', line)
    if not found:
        return ""
    return re.sub(r"\\[nt]", " ", found[1].replace('\\"', "'"))
