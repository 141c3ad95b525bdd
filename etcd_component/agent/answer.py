"""One connection, as an unprivileged user who can do nothing else: it gets the saved metrics.

Each scrape starts this process, so it imports next to nothing, and __main__ does without the frame.
"""

from __future__ import annotations

import os
import time

from etcd_component.agent.exposition import Exposition, saved_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from etcd_component.agent.frame import Run

_IN, _OUT = 0, 1
_REQUEST, _REST = 8192, 65536
"""Bytes that are read before the answer, and behind it."""
_LAST = "etcd_node_written_timestamp_seconds{"
"""How the last line of saved metrics begins."""


def run(run: Run) -> None:
    """The same from a command line that __main__ does not know."""
    serve(run.options.cluster)


def serve(cluster: str) -> None:
    """Give the saved metrics of a cluster's node to standard output, whatever is requested.

    The request is read all the same: closed with something unread, a connection is cut off, and the
    answer with it.
    """
    os.read(_IN, _REQUEST)
    content = response(_saved(cluster), time.time())
    while content:
        content = content[os.write(_OUT, content) :]
    left = _REST
    while left > 0 and (read := len(os.read(_IN, left))):
        left -= read


def response(saved: str, now: float) -> bytes:
    """The HTTP response with these metrics, and with the clock in seconds since 1970."""
    last = saved.rstrip("\n").rpartition("\n")[2]
    status, body = "503 Service Unavailable", "\n"
    if last.startswith(_LAST) and "}" in last:
        clock = Exposition(last[len(_LAST) : last.rindex("}")])
        clock.gauge("time_seconds", "The clock of the node, now.", round(now, 3))
        status, body = "200 OK", saved + clock.text
    content = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content


def _saved(cluster: str) -> str:
    try:
        with open(saved_file(cluster), encoding="utf-8") as stream:  # noqa: PTH123 - pathlib is slow
            return stream.read()
    except (OSError, ValueError):
        return ""
