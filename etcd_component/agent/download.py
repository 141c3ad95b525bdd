"""Fetching a file from a mirror that may be away, slow, stall, or never end."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from etcd_component.agent import mirror
from etcd_component.agent.mirror import DownloadFailed, Passing
from etcd_component.agent.output import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO

    from etcd_component.agent.mirror import Address
    from etcd_component.agent.waits import Waits

LARGEST = 200 << 20
"""Bytes; an archive of etcd has 25 MB."""
FLOOR = 32 << 10
"""Bytes a second, below which an archive would not be there in the time that it has."""
_MORE_ATTEMPTS = 3
_CONNECT_SECONDS = 10.0
_REPORT_SECONDS = 5.0
_PIECE = 1 << 16


@dataclass
class Transfer:
    """How far one attempt is: written by the thread that fetches, read by the one that watches."""

    begun: float
    got: int = 0
    """Bytes."""
    total: int = 0
    """0 while it is not known, and where the mirror does not say."""
    sha256: str = ""
    """Of the whole, in hexadecimal, when all is there."""
    error: Exception | None = None
    abandoned: bool = False


def fetch(address: Address, into: Path, waits: Waits) -> str:
    """Fetch a file; its SHA-256 in hexadecimal. Raises DownloadFailed within the waits."""
    pause = waits.download_retry
    end = time.monotonic() + waits.download
    for left in range(_MORE_ATTEMPTS, -1, -1):
        try:
            return _attempt(address, into, waits, end)
        except Passing as error:
            if not left or time.monotonic() + pause >= end:
                raise
            say(f"{error}; trying again in {pause:g} s")
        time.sleep(pause)
        pause *= 2
    raise AssertionError


def _attempt(address: Address, into: Path, waits: Waits, end: float) -> str:
    """One attempt, in a thread of its own, so that nothing it waits for can hold up this one."""
    transfer = Transfer(time.monotonic())
    connect = min(_CONNECT_SECONDS, waits.download_stall)
    worker = threading.Thread(
        target=_work, args=(address, into, transfer, connect, 2 * waits.download_stall), daemon=True
    )
    watch = Watch(waits, end, transfer.begun)
    worker.start()
    reported = transfer.begun
    try:
        while worker.is_alive():
            worker.join(0.2)
            now = time.monotonic()
            reason = watch.objection(now, transfer.got)
            if reason and worker.is_alive():
                raise DownloadFailed(reason)
            if now - reported >= _REPORT_SECONDS:
                reported = now
                say(progress(transfer.got, transfer.total))
    finally:
        transfer.abandoned = True
    if transfer.error is not None:
        raise transfer.error
    return transfer.sha256


def progress(got: int, total: int) -> str:
    """How far it is, for a person."""
    whole = f" of {total / 1e6:.1f}" if total else ""
    return f"fetched {got / 1e6:.1f}{whole} MB"


class Watch:
    """Decides from what has come when to give up."""

    def __init__(self, waits: Waits, end: float, begun: float) -> None:
        """`end` is when all must be there, by the clock that `objection` is asked with."""
        self._waits = waits
        self._end = end
        self._seen: deque[tuple[float, int]] = deque([(begun, 0)])
        self._last_piece = (begun, 0)

    def objection(self, now: float, got: int) -> str:
        """Why not to wait any longer, now that so many bytes are here; empty to go on."""
        waits = self._waits
        if got != self._last_piece[1]:
            self._last_piece = (now, got)
        if now - self._last_piece[0] > waits.download_stall:
            return f"nothing came for {waits.download_stall:g} s"
        self._seen.append((now, got))
        while len(self._seen) > 1 and self._seen[1][0] <= now - waits.download_slow:
            self._seen.popleft()
        since, before = self._seen[0]
        if now - since >= waits.download_slow and got - before < FLOOR * (now - since):
            return (
                f"it is too slow: {(got - before) / 1000:.0f} kB came in {now - since:.0f} s, and"
                f" {FLOOR / 1000:.0f} kB a second are the least"
            )
        if now > self._end:
            return f"it was not there in {waits.download:g} s"
        return ""


# ---- the thread that fetches


def _work(address: Address, into: Path, transfer: Transfer, connect: float, answer: float) -> None:
    try:
        if address.url.startswith("file:"):
            with Path(unquote(urlsplit(address.url).path)).open("rb") as stream:
                transfer.total = os.fstat(stream.fileno()).st_size
                _copy(stream.read, into, transfer)
            return
        with mirror.opened(address, connect, answer) as response:
            transfer.total = response.length or 0
            _copy(response.read1, into, transfer)
    except DownloadFailed as error:
        transfer.error = error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = mirror.reason(error)
        passes = mirror.may_pass(error) and not address.url.startswith("file:")
        transfer.error = (Passing if passes else DownloadFailed)(reason)
    except Exception as error:  # noqa: BLE001 - the other thread raises it
        transfer.error = error


def _copy(read: Callable[[int], bytes], into: Path, transfer: Transfer) -> None:
    _check_size(into, transfer.total)
    digest = hashlib.sha256()
    with into.open("wb", buffering=0) as target:
        # Of a connection that stays open no more is read than was announced.
        while not transfer.total or transfer.got < transfer.total:
            piece = read(_PIECE)
            if not piece or transfer.abandoned:
                break
            digest.update(piece)
            _write(target, piece, into)
            transfer.got += len(piece)
            if transfer.got > LARGEST:
                raise DownloadFailed(f"it has more than {LARGEST >> 20} MiB and does not end")
    if transfer.got < transfer.total:
        raise Passing(f"it broke off: {progress(transfer.got, transfer.total)}")
    transfer.sha256 = digest.hexdigest()


def _check_size(into: Path, total: int) -> None:
    if total > LARGEST:
        raise DownloadFailed(f"it has {total >> 20} MiB, and {LARGEST >> 20} MiB are the most")
    free = shutil.disk_usage(into.parent).free
    if total > free:
        raise DownloadFailed(
            f"it has {total >> 20} MiB, and {free >> 20} MiB are free in {into.parent}"
        )


def _write(target: FileIO, piece: bytes, into: Path) -> None:
    try:
        left = memoryview(piece)
        while left:
            left = left[target.write(left) :]
    except OSError as error:
        raise DownloadFailed(f"{into.parent} cannot be written: {error.strerror}") from None
