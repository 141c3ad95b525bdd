"""What a command writes: kept for the result, shown line by line while it runs."""

import asyncio

from .engine import Log
from .wire import ProviderError, go_quote

_GATHER_SECONDS = 0.005
_LINE_BYTES = 256 * 1024
"""What is kept of a line to show it; a longer one is whole in the result only."""

_LINES_AT_ONCE = 100
"""Lines shown of what arrives at the same time: a person sees only the last of them anyway."""

_ERROR_BYTES = 512 * 1024
"""Output quoted in an error at most: more does not fit the engine's limit for an error."""


class Output:
    """The output of one command.

    What arrives at about the same time is ordered as in the official plugin: stderr first.
    """

    def __init__(self, log: Log, logging: str | None) -> None:
        """Show lines in `log` as the resource's `logging` says (None: both streams)."""
        self._log = log
        self._shown = {
            False: logging in (None, "stdout", "stdoutAndStderr"),
            True: logging in (None, "stderr", "stdoutAndStderr"),
        }
        self._streams = {False: bytearray(), True: bytearray()}
        self._combined = bytearray()
        self._line = {False: bytearray(), True: bytearray()}
        self._fresh = {False: bytearray(), True: bytearray()}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def stdout(self) -> str:
        """Standard output without its last line break."""
        return _text(self._streams[False]).removesuffix("\n")

    @property
    def stderr(self) -> str:
        """Standard error without its last line break."""
        return _text(self._streams[True]).removesuffix("\n")

    @property
    def quoted(self) -> str:
        """Both streams as an error quotes them: in the order of arrival; the middle may be cut."""
        if len(self._combined) <= _ERROR_BYTES:
            return _text(self._combined)
        half = _ERROR_BYTES // 2
        left_out = len(self._combined) - 2 * half
        cut = f"\n... {left_out} bytes left out ...\n"
        return _text(self._combined[:half]) + cut + _text(self._combined[-half:])

    def add(self, data: bytes, *, is_stderr: bool) -> None:
        """Take `data` as it arrives."""
        self._streams[is_stderr] += data
        self._fresh[is_stderr] += data
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._arrange)

    def finish(self) -> None:
        """Show what is left, including a line without line break. To be called at the end."""
        if self._timer:
            self._timer.cancel()
            self._arrange()
        for line in (self._line[True], self._line[False]):
            if line:
                self._show(line)
                line.clear()

    def _arrange(self) -> None:
        self._timer = None
        for is_stderr in (True, False):
            data = self._fresh[is_stderr]
            self._combined += data
            if self._shown[is_stderr] and data:
                *lines, rest = (self._line[is_stderr] + data).split(b"\n")
                for line in lines[-_LINES_AT_ONCE:]:
                    self._show(line)
                self._line[is_stderr] = rest[:_LINE_BYTES]
            data.clear()

    def _show(self, line: bytearray) -> None:
        self._log.status(_text(line.removesuffix(b"\r")))


def _text(data: bytes | bytearray) -> str:
    return data.decode(errors="replace")


def failed(failure: str, command: str, output: Output) -> ProviderError:
    """Return the error for a `command` that ended with `failure`, as the official plugin does."""
    return ProviderError(f"{failure}: running {go_quote(command)}:\n{output.quoted}")
