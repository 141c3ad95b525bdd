"""Clients that write and read while the cluster is changed, and remember what was promised.

Each thread keeps a connection to every member and stays with one as long as it answers. What
fails is sent again to the next member at once, until one does it. What is read must be what was
acknowledged before, whoever is asked.
"""

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from bench.client import Access, Member, decoded, encoded
from bench.writes import longest_gap, lost
from etcd_component.etcd_api.errors import ApiError, NoLogin, TokenInvalid

THREADS = 6
"""That write."""
READERS = 2
PREFIX = "/bench/"
_PAUSE = 0.03
"""Seconds between two requests of a thread: the clients must not be what loads the machine."""
_PAGE = 2000
_FIRST_WRITE = 30
"""Seconds that a cluster may take to acknowledge the first writes."""


@dataclass(slots=True)
class Record:
    """What one thread saw."""

    acknowledged: dict[str, float] = field(default_factory=dict)
    """When each key was acknowledged, or first read (monotonic clock)."""
    last: str = ""
    """The key that was acknowledged last."""
    failures: list[tuple[float, str]] = field(default_factory=list)
    """Attempts that were not acknowledged: when, and why."""
    unread: list[str] = field(default_factory=list)
    """Keys that were acknowledged, and that a later read did not find."""


class Writer:
    """Writes, and reads what it has written, as long as its context lasts."""

    def __init__(self, access: Access) -> None:
        """Log in, so that the first write need not."""
        self._access = access
        self._over = threading.Event()
        access.renew(access.token, Member(access.urls[0], access))
        self._records = [Record() for _ in range(THREADS)]
        self._readings = [Record() for _ in range(READERS)]
        self._threads = [
            threading.Thread(target=work, args=(number, record), daemon=True)
            for work, records in ((self._write, self._records), (self._read, self._readings))
            for number, record in enumerate(records)
        ]

    def __enter__(self) -> Self:
        """Begin, and wait until every thread has written."""
        for thread in self._threads:
            thread.start()
        give_up = time.monotonic() + _FIRST_WRITE
        while not all(record.acknowledged for record in self._records):
            if time.monotonic() > give_up:
                self._over.set()
                raise TimeoutError(f"no write succeeds: {self.reasons}")
            time.sleep(_PAUSE)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def acknowledged(self) -> dict[str, float]:
        """When each key was acknowledged (monotonic clock)."""
        return {key: when for one in self._records for key, when in one.acknowledged.items()}

    @property
    def failed(self) -> int:
        """How many attempts were not acknowledged; each was repeated at another member."""
        return sum(len(one.failures) for one in self._records)

    @property
    def reasons(self) -> Sequence[str]:
        """Why attempts failed, each reason once."""
        return sorted({reason for one in self._records for _, reason in one.failures})

    def longest_gap(self, start: float | None = None, end: float | None = None) -> float:
        """The longest time in seconds without an acknowledged write, over all threads.

        From the first to the last one, unless times are given.
        """
        times = self.acknowledged.values()
        first = min(times) if start is None else start
        return longest_gap(times, first, max(times) if end is None else end)

    @property
    def reads(self) -> int:
        """How many keys were read; each answer is a quorum's, since the reads are linearizable."""
        return sum(len(one.acknowledged) for one in self._readings)

    @property
    def failed_reads(self) -> int:
        """How many attempts to read were not answered; each was repeated at another member."""
        return sum(len(one.failures) for one in self._readings)

    def lost(self) -> Sequence[str]:
        """Keys of acknowledged writes that are not there, or that a read did not find.

        There must be none.
        """
        unread = {key for one in self._readings for key in one.unread}
        return sorted(unread | set(lost(self.acknowledged, self._stored())))

    def _write(self, number: int, record: Record) -> None:
        line = _Line(self._access, number, self._over, record)
        sequence = 0
        while not self._over.is_set():
            sequence += 1
            key = f"{PREFIX}{number}/{sequence:08}"
            if line.ask("kv/put", {"key": encoded(key), "value": encoded(str(sequence))}):
                record.acknowledged[key] = time.monotonic()
                record.last = key
            time.sleep(_PAUSE)
        line.close()

    def _read(self, number: int, record: Record) -> None:
        line = _Line(self._access, number, self._over, record)
        while not self._over.is_set():
            key = self._records[number].last
            answer = line.ask("kv/range", {"key": encoded(key)}) if key else None
            if answer:
                record.acknowledged.setdefault(key, time.monotonic())
                if not answer.get("kvs"):
                    record.unread.append(key)
            time.sleep(_PAUSE)
        line.close()

    def _stored(self) -> list[str]:
        """Every key below the prefix, as a majority of members has it."""
        member = Member(self._access.urls[-1], self._access)
        self._access.renew(self._access.token, member)
        end = PREFIX[:-1] + chr(ord(PREFIX[-1]) + 1)
        first, found, more = PREFIX, list[str](), True
        while more:
            body = {
                "key": encoded(first),
                "range_end": encoded(end),
                "limit": _PAGE,
                "keys_only": True,
            }
            answer = member.call("kv/range", body)
            found += [decoded(one["key"]) for one in answer.get("kvs", [])]
            more = bool(answer.get("more"))
            first = found[-1] + "\0" if found else first
        member.close()
        return found


class _Line:
    """One thread's way to the cluster: it stays with a member until that one fails it."""

    def __init__(self, access: Access, at: int, over: threading.Event, record: Record) -> None:
        self._access = access
        self._members = [Member(url, access) for url in access.urls]
        self._at = at % len(self._members)
        self._over = over
        self._record = record

    def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """Ask one member after another until one answers; None when it is over before."""
        tries = 0
        while not self._over.is_set():
            token = self._access.token
            member = self._members[self._at]
            try:
                return member.call(path, body)
            except ApiError as error:
                self._record.failures.append((time.monotonic(), str(error)))
                if isinstance(error, NoLogin | TokenInvalid):
                    # The member was restarted and has forgotten all logins.
                    with contextlib.suppress(ApiError):
                        self._access.renew(token, member)
                self._at = (self._at + 1) % len(self._members)
                tries += 1
                if tries % len(self._members) == 0:
                    time.sleep(_PAUSE)
        return None

    def close(self) -> None:
        for member in self._members:
            member.close()
