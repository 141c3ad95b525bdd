"""What the tests of the stand-in plugins share: recordings, a fake engine, an SSH host."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import grpc.aio  # type: ignore[import-untyped]
from google.protobuf import empty_pb2, json_format  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc
from standin.engine import Engine
from standin.provider import Provider

PLUGINS = Path(__file__).parents[2] / "toolchain" / "plugins"
RECORDINGS = Path(__file__).parent / "wire"
_LARGE = 400 * 1024 * 1024
_CHANNEL = [
    ("grpc.max_receive_message_length", _LARGE),
    ("grpc.max_send_message_length", _LARGE),
    ("grpc.max_metadata_size", _LARGE),
    ("grpc.absolute_max_metadata_size", _LARGE),
]


@dataclass(frozen=True)
class Recorded:
    """One call between the engine and an official plugin."""

    run: str
    line: int
    plugin: str
    method: str
    request: dict[str, Any]
    response: dict[str, Any] | None
    error: str | None

    @property
    def where(self) -> str:
        name = self.request.get("urn", "").split("::")[-1]
        return f"{self.run}:{self.line} {self.plugin} {self.method} {name}"


def recordings() -> Iterator[Recorded]:
    for path in sorted(RECORDINGS.glob("*.jsonl")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            call = json.loads(line)
            error = (call.get("error") or [None])[0]
            yield Recorded(
                path.stem,
                number,
                call["plugin"],
                call["method"],
                call["request"],
                call["response"],
                error,
            )


class FakeEngine(engine_pb2_grpc.EngineServicer):
    """Keeps what a plugin logs: (severity, message, is it a status line, urn)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, bool, str]] = []
        self.slow = 0.0

    async def Log(self, request: engine_pb2.LogRequest, context: Any) -> empty_pb2.Empty:  # noqa: N802
        await asyncio.sleep(self.slow)
        severity = engine_pb2.LogSeverity.Name(request.severity)
        self.lines.append((severity, request.message, request.ephemeral, request.urn))
        return empty_pb2.Empty()

    def status(self) -> list[str]:
        return [message for _, message, ephemeral, _ in self.lines if ephemeral]

    def diagnostics(self) -> list[tuple[str, str]]:
        return [
            (severity, message) for severity, message, ephemeral, _ in self.lines if not ephemeral
        ]


@dataclass
class Served:
    """A provider behind gRPC, as the engine sees it, and the engine it reports to."""

    stub: Any
    engine: FakeEngine
    provider: Provider

    async def call(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send `request` (its JSON form) and return the reply's; raises AioRpcError."""
        return await call(self.stub, method, request)


_REQUESTS: dict[str, Any] = {
    "Handshake": provider_pb2.ProviderHandshakeRequest,
    "GetPluginInfo": empty_pb2.Empty,
    "Cancel": empty_pb2.Empty,
    "CheckConfig": provider_pb2.CheckRequest,
    "DiffConfig": provider_pb2.DiffRequest,
    "Configure": provider_pb2.ConfigureRequest,
    "Invoke": provider_pb2.InvokeRequest,
    "Check": provider_pb2.CheckRequest,
    "Diff": provider_pb2.DiffRequest,
    "Create": provider_pb2.CreateRequest,
    "Update": provider_pb2.UpdateRequest,
    "Read": provider_pb2.ReadRequest,
    "Delete": provider_pb2.DeleteRequest,
}


async def call(stub: Any, method: str, request: dict[str, Any]) -> dict[str, Any]:
    message = _REQUESTS[method]()
    json_format.ParseDict(_proto_json(request), message, ignore_unknown_fields=True)
    reply = await getattr(stub, method)(message)
    answer: dict[str, Any] = json_format.MessageToDict(reply)
    return answer


def _proto_json(request: dict[str, Any]) -> dict[str, Any]:
    known = dict(request)
    if "oldInputs" in known:
        known["old_inputs"] = known.pop("oldInputs")
    return known


@contextlib.asynccontextmanager
async def served(kind: Callable[[Engine], Provider]) -> AsyncIterator[Served]:
    engine_server, provider_server = grpc.aio.server(), grpc.aio.server(options=_CHANNEL)
    fake = FakeEngine()
    engine_pb2_grpc.add_EngineServicer_to_server(fake, engine_server)
    engine_port = engine_server.add_insecure_port("127.0.0.1:0")
    await engine_server.start()
    engine = Engine(f"127.0.0.1:{engine_port}")
    provider = kind(engine)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, provider_server)
    port = provider_server.add_insecure_port("127.0.0.1:0")
    await provider_server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_CHANNEL) as channel:
            yield Served(provider_pb2_grpc.ResourceProviderStub(channel), fake, provider)
    finally:
        await engine.close()
        await provider_server.stop(0)
        await engine_server.stop(0)


@dataclass
class Host:
    """An SSH server on loopback that runs what it is told with `sh`, like a node's sshd.

    Attributes:
        hostname: what the command `hostname` answers on it.
        accept_env: whether it takes environment variables; a stock sshd does not.
        max_sessions: how many commands one connection may run at once.
    """

    hostname: str = "node-10"
    user: str = "root"
    password: str | None = None
    accept_env: bool = False
    max_sessions: int = 10
    key: asyncssh.SSHKey = field(
        default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519")
    )
    host_key: asyncssh.SSHKey = field(
        default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519")
    )
    port: int = 0
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    @functools.cached_property
    def private_key(self) -> str:
        return self.key.export_private_key().decode()

    @property
    def public_host_key(self) -> str:
        return self.host_key.export_public_key().decode().strip()

    def connection(self, **changes: Any) -> dict[str, Any]:
        """The `connection` property for this host, as the SDK sends it."""
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": self.user,
            "privateKey": self.private_key,
            "dialErrorLimit": 0,
            "perDialTimeout": 15,
        }
        return {name: value for name, value in {**settings, **changes}.items() if value is not None}

    async def run(self, process: "_Process") -> None:
        assert process.command is not None
        self.commands.append(process.command)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            f"hostname() {{ echo {self.hostname}; }}\n{process.command}",
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env={**os.environ, **process.env},
            start_new_session=True,
        )
        process.child = child
        feed = asyncio.create_task(_copy(process.stdin, child.stdin))
        try:
            await asyncio.gather(
                _copy(child.stderr, process.stderr), _copy(child.stdout, process.stdout)
            )
            status = await child.wait()
        finally:
            feed.cancel()
            self.running -= 1
            _kill(child, signal.SIGKILL)
        if status < 0:
            process.exit_with_signal({9: "KILL", 15: "TERM"}[-status])
        else:
            process.exit(status)


class _Process(asyncssh.SSHServerProcess[bytes]):
    """A process that hears signals even after its stdin has ended."""

    child: asyncio.subprocess.Process | None = None

    def signal_received(self, signal_name: str) -> None:
        if self.child:
            _kill(self.child, signal.Signals[f"SIG{signal_name}"])


def _kill(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


async def _copy(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(64 * 1024):
            target.write(data)
            await target.drain()
    if isinstance(target, asyncio.StreamWriter):
        target.close()


class _Server(asyncssh.SSHServer):
    def __init__(self, host: Host) -> None:
        self._host = host
        self._sessions = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._host.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == self._host.user and key == self._host.key.convert_to_public()

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username == self._host.user and password == self._host.password

    def kbdint_auth_supported(self) -> bool:
        return False

    def connection_requested(self, *address: Any) -> bool:
        return True

    def session_requested(self) -> Any:
        self._sessions += 1
        if self._sessions > self._host.max_sessions:
            return False

        async def run(process: Any) -> None:
            try:
                await self._host.run(process)
            finally:
                self._sessions -= 1

        return _Process(run, _sftp, 3, False)


def _sftp(channel: Any) -> asyncssh.SFTPServer:
    return asyncssh.SFTPServer(channel)


@contextlib.asynccontextmanager
async def running(host: Host) -> AsyncIterator[Host]:
    """Start `host` on a free port and stop it at the end."""
    accepts = asyncssh.SSHServerChannel._process_env_request

    def env(self: Any, packet: Any) -> bool:
        return accepts(self, packet) if host.accept_env else False

    asyncssh.SSHServerChannel._process_env_request = env  # type: ignore[method-assign]
    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: _Server(host),
        server_host_keys=[host.host_key],
        encoding=None,
    )
    host.port = listener.get_port()
    try:
        yield host
    finally:
        asyncssh.SSHServerChannel._process_env_request = accepts  # type: ignore[method-assign]
        for connection in host.connections:
            connection.abort()
        listener.close()
        await listener.wait_closed()


def free_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port of loopback that never answers: nobody accepts, and the queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = int(listener.getsockname()[1])
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port
