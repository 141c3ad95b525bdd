"""A client that writes one key after another, and remembers what it was promised."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from typing import TYPE_CHECKING, Any, cast

from tests.node.members import credentials

if TYPE_CHECKING:
    from types import TracebackType

    from tests.node.members import Members


class Writer:
    """Writes from its beginning to its end, through whichever member answers.

    A write counts as acknowledged when etcd said so; one that failed may have happened or not.
    """

    def __init__(self, members: Members, through: list[int] | None = None) -> None:
        self._members = members
        self._through = through or list(members.everyone)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._token: str | None = None
        self._connection: http.client.HTTPSConnection | None = None
        self.acknowledged: list[int] = []
        self.failed: list[str] = []
        self.longest_gap = 0.0

    def __enter__(self) -> Writer:
        self._thread.start()
        while not self.acknowledged:
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def lost(self) -> list[int]:
        """Numbers of acknowledged writes that are not there."""
        answer = self._members.call(
            self._through[0],
            "kv/range",
            {"key": _b64("/writer/"), "range_end": _b64("/writer0"), "keys_only": True},
            self._members.token(self._through[0]),
        )
        there = {base64.b64decode(one["key"]).decode() for one in answer.get("kvs", [])}
        return [one for one in self.acknowledged if f"/writer/{one:08}" not in there]

    def _write(self) -> None:
        number, last = 0, time.monotonic()
        while not self._end.is_set():
            number += 1
            try:
                answer = self._request(
                    "kv/put", {"key": _b64(f"/writer/{number:08}"), "value": _b64("x")}
                )
            except (OSError, http.client.HTTPException) as error:
                answer = {"error": repr(error)}
            if "header" in answer:
                now = time.monotonic()
                self.longest_gap = max(self.longest_gap, now - last)
                self.acknowledged.append(number)
                last = now
                time.sleep(0.002)
            else:
                self.failed.append(str(answer.get("error") or answer.get("message")))
                self._go_on()

    def _go_on(self) -> None:
        """Turn to the next member, with a new login."""
        self._connection = None
        self._token = None
        self._through = [*self._through[1:], self._through[0]]

    def _request(self, path: str, body: object) -> dict[str, Any]:
        if self._connection is None:
            self._connection = self._members.connect(self._through[0], 3)
            answer = self._send("auth/authenticate", json.loads(credentials()))
            self._token = answer.get("token")
        return self._send(path, body)

    def _send(self, path: str, body: object) -> dict[str, Any]:
        connection = cast("http.client.HTTPSConnection", self._connection)
        headers = {"Authorization": self._token} if self._token else {}
        connection.request("POST", f"/v3/{path}", json.dumps(body), headers)
        return cast("dict[str, Any]", json.loads(connection.getresponse().read()))


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
