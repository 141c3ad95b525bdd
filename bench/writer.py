"""Clients that write without a pause while the cluster is changed, and remember what was promised.

Each thread keeps a connection to every member and stays with one as long as it answers. A write
that fails is sent again to the next member at once, until one acknowledges it.
"""

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from bench.client import UNAUTHENTICATED, Access, Member, Refused, decoded, encoded
from bench.writes import longest_gap, lost

THREADS = 6
PREFIX = "/bench/"
_PAUSE = 0.03
"""Seconds between two writes of a thread: the writer must not be what loads the machine."""
_PAGE = 2000
_FIRST_WRITE = 30
"""Seconds that a cluster may take to acknowledge the first writes."""


@dataclass(slots=True)
class Record:
    """What one thread saw."""

    acknowledged: dict[str, float] = field(default_factory=dict)
    """When each key was acknowledged (monotonic clock)."""
    failures: list[tuple[float, str]] = field(default_factory=list)
    """Attempts that were not acknowledged: when, and why."""


class Writer:
    """Writes as long as its context lasts."""

    def __init__(self, access: Access) -> None:
        """Log in, so that the first write need not."""
        self._access = access
        self._over = threading.Event()
        access.renew(access.token, Member(access.urls[0], access))
        self._records = [Record() for _ in range(THREADS)]
        self._threads = [
            threading.Thread(target=self._write, args=(number, record), daemon=True)
            for number, record in enumerate(self._records)
        ]

    def __enter__(self) -> Self:
        """Begin, and wait until every thread has written."""
        for thread in self._threads:
            thread.start()
        give_up = time.monotonic() + _FIRST_WRITE
        while not all(record.acknowledged for record in self._records):
            if time.monotonic() > give_up:
                self._over.set()
                raise Refused(f"no write succeeds: {self.reasons}")
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

    def lost(self) -> Sequence[str]:
        """Keys of acknowledged writes that are not there. There must be none."""
        return lost(self.acknowledged, self._stored())

    def _write(self, number: int, record: Record) -> None:
        members = [Member(url, self._access) for url in self._access.urls]
        at = number % len(members)
        sequence = 0
        while not self._over.is_set():
            sequence += 1
            key = f"{PREFIX}{number}/{sequence:08}"
            body = {"key": encoded(key), "value": encoded(str(sequence))}
            tries = 0
            while not self._over.is_set():
                token = self._access.token
                try:
                    members[at].call("kv/put", body)
                except Refused as refusal:
                    record.failures.append((time.monotonic(), str(refusal)))
                    if refusal.code == UNAUTHENTICATED:
                        # The member was restarted and has forgotten all logins.
                        with contextlib.suppress(Refused):
                            self._access.renew(token, members[at])
                    at = (at + 1) % len(members)
                    tries += 1
                    if tries % len(members) == 0:
                        time.sleep(_PAUSE)
                else:
                    record.acknowledged[key] = time.monotonic()
                    break
            time.sleep(_PAUSE)
        for member in members:
            member.close()

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
