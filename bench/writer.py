"""Clients that write without a pause while the cluster is changed, and remember what was promised.

Each thread keeps a connection to every member and stays with one as long as it answers. A write
that fails is sent again to the next member at once, until one acknowledges it.
"""

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.client import UNAUTHENTICATED, Access, Member, Refused, decoded, encoded
from bench.writes import longest_gap, lost

THREADS = 6
PREFIX = "/bench/"
_PAUSE = 0.03
"""Seconds between two writes of a thread: the writer must not be what loads the machine."""
_PAGE = 2000


@dataclass(slots=True)
class Record:
    """What one thread saw."""

    acknowledged: dict[str, float] = field(default_factory=dict)
    """When each key was acknowledged (monotonic clock)."""
    failures: list[tuple[float, str]] = field(default_factory=list)
    """Attempts that were not acknowledged: when, and why."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """What clients noticed of a change."""

    gap_ms: float
    """Longest time without an acknowledged write, over all threads."""
    quiet_gap_ms: float
    """The same before the change began: what the machine itself does."""
    writes: int
    failed: int
    """Attempts that were not acknowledged; each was repeated at another member."""
    lost: int
    """Acknowledged writes that are not there afterwards."""
    reasons: Sequence[str]
    """Why attempts failed, each reason once."""


class Writer:
    """Writes from `start` to `stop`."""

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
        self._started = self._changed = 0.0

    def start(self, quiet: float) -> None:
        """Begin, and write for `quiet` seconds before anything is changed."""
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()
        time.sleep(quiet)
        self._changed = time.monotonic()

    def stop(self) -> Noticed:
        """End, read everything back, and say what was noticed."""
        end = time.monotonic()
        self._over.set()
        for thread in self._threads:
            thread.join()
        promised = {
            key: when for record in self._records for key, when in record.acknowledged.items()
        }
        failures = [one for record in self._records for one in record.failures]
        return Noticed(
            gap_ms=1000 * longest_gap(promised.values(), self._changed, end),
            quiet_gap_ms=1000 * longest_gap(promised.values(), self._started, self._changed),
            writes=len(promised),
            failed=len(failures),
            lost=len(lost(promised, self._stored())),
            reasons=sorted({reason for _, reason in failures}),
        )

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
