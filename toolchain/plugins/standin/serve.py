"""Run a provider as a process that the engine starts, and end it when the engine says so."""

import asyncio
import contextlib
import os
import signal
import sys
from typing import NoReturn

import grpc.aio  # type: ignore[import-untyped]
from pulumi.runtime.proto import provider_pb2_grpc

from .engine import Engine
from .provider import Provider

_MESSAGE_BYTES = 400 * 1024 * 1024
"""The engine's own limit for one message."""

_ORPHAN_SECONDS = 5.0
"""How often to look whether the engine is still there."""

_OPTIONS = [
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
]


def _end(*_: object) -> NoReturn:
    # The engine waits for this process, five seconds at most, each run. Nothing here needs an
    # orderly end: the interpreter's would wait for worker threads and open connections.
    os._exit(0)


async def _end_with_parent() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(_ORPHAN_SECONDS)
    _end()


async def _serve(kind: type[Provider], engine_address: str) -> None:
    server = grpc.aio.server(options=_OPTIONS)
    provider = kind(Engine(engine_address))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await _end_with_parent()


def serve(kind: type[Provider], arguments: list[str]) -> NoReturn:
    """Serve a provider of `kind` until the engine ends it; never returns.

    The engine passes its address as the first of `arguments` that is no flag, and reads the port
    from the first line of standard output.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    addresses = [argument for argument in arguments if not argument.startswith("-")]
    if not addresses:
        print("the engine's address (host:port) is missing", file=sys.stderr)
        sys.exit(2)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(kind, addresses[0]))
    _end()
