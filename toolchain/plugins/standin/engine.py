"""What a plugin tells the engine while it works: status lines and diagnostics."""

import asyncio
import contextlib
from collections import deque
from typing import Protocol, cast

import grpc.aio  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

_STATUS_BACKLOG = 200
"""Status lines kept while the engine is slower than the command; it shows only the newest."""

_STATUS_LENGTH = 64 * 1024
"""Characters of one status line; the rest of a longer line is only in the result."""

_CALL_SECONDS = 10.0
"""How long the engine may take to accept a line before the line is given up."""


class Log(Protocol):
    """Where an operation reports to; the resource it works on is known to it."""

    def status(self, line: str) -> None:
        """Show `line` beside the resource until the next one comes."""

    def warning(self, message: str) -> None:
        """Add a warning to the resource's diagnostics."""

    def error(self, message: str) -> None:
        """Add an error to the resource's diagnostics; does not end the operation."""


class ResourceLog:
    """The log of one operation on the resource `urn`.

    Lines are sent one after the other by a task of their own, so that neither a slow engine nor a
    chatty command holds up the operation. `flush` before the operation is answered.
    """

    def __init__(self, stub: "engine_pb2_grpc.EngineAsyncStub", urn: str) -> None:
        """Report to the engine behind `stub` about the resource `urn`."""
        self._stub = stub
        self._urn = urn
        self._lines: deque[engine_pb2.LogRequest] = deque()
        self._sender: asyncio.Task[None] | None = None

    def status(self, line: str) -> None:
        """Show `line` beside the resource until the next one comes."""
        if len(self._lines) >= _STATUS_BACKLOG:
            self._drop_oldest_status()
        self._add(engine_pb2.INFO, line[:_STATUS_LENGTH], ephemeral=True)

    def warning(self, message: str) -> None:
        """Add a warning to the resource's diagnostics."""
        self._add(engine_pb2.WARNING, message)

    def error(self, message: str) -> None:
        """Add an error to the resource's diagnostics; does not end the operation."""
        self._add(engine_pb2.ERROR, message)

    async def flush(self) -> None:
        """Return when the engine has all lines; never raises because of the engine."""
        if self._sender:
            await self._sender

    def _drop_oldest_status(self) -> None:
        for index, line in enumerate(self._lines):
            if line.ephemeral:
                del self._lines[index]
                return

    def _add(
        self, severity: engine_pb2.LogSeverity.ValueType, message: str, *, ephemeral: bool = False
    ) -> None:
        self._lines.append(
            engine_pb2.LogRequest(
                severity=severity, message=message, urn=self._urn, ephemeral=ephemeral
            )
        )
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._lines:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await self._stub.Log(self._lines.popleft(), timeout=_CALL_SECONDS)


class Engine:
    """The engine that started this plugin, at `address` (`host:port`)."""

    def __init__(self, address: str) -> None:
        """Prepare a channel to `address`; nothing is dialled before the first line."""
        self._channel = grpc.aio.insecure_channel(address)
        # the generated class serves both kinds of channel; its stubs name this kind otherwise
        self._stub = cast(
            "engine_pb2_grpc.EngineAsyncStub", engine_pb2_grpc.EngineStub(self._channel)
        )

    def log(self, urn: str) -> ResourceLog:
        """Return the log for one operation on the resource `urn`."""
        return ResourceLog(self._stub, urn)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
