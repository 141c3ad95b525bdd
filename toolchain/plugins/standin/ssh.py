"""SSH as the `command` plugin needs it: dial with patience, run a command, copy a file.

The protocol is asyncssh's. This module adds what the official plugin (Go's `x/crypto/ssh`) shows a
person, error texts above all, and shares connections: commands for one host with the same settings
run side by side over one connection, as far as a stock sshd allows.
"""

import asyncio
import contextlib
import errno
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from .engine import Log
from .output import Output, failed
from .wire import Properties, ProviderError

if TYPE_CHECKING:
    import asyncssh

_Result = TypeVar("_Result")

_FIRST_PAUSE, _PAUSE_GROWTH, _LONGEST_PAUSE = 0.1, 1.5, 5.0
"""Seconds between attempts to dial: the values of Pulumi's `sdk/go/common/util/retry`."""

_UNLIMITED = -1
_SESSIONS_PER_CONNECTION = 8
"""sshd's MaxSessions is 10 by default; more commands than this get a further connection."""

_HANDSHAKE_SECONDS = 60.0
"""From the open socket to the login; the official plugin waits for ever."""

_REUSE_SECONDS = 10.0
"""How long a connection used before may take to open a session until it is given up for dead."""

_KEEPALIVE_SECONDS, _KEEPALIVE_MISSES = 15, 4
"""A host that is silent this often in a row is gone; the official plugin would never notice."""

_MAX_PACKET = 32768
_WINDOW = 2 * 1024 * 1024


@dataclass(frozen=True)
class Endpoint:
    """One SSH server and how to log in to it; the fields are those of the resource's `connection`.

    Times are seconds, 0 is no limit. `dial_error_limit` is how many attempts may fail before the
    last one, -1 for any number.
    """

    host: str
    port: int = 22
    user: str = "root"
    password: str | None = None
    private_key: str | None = None
    private_key_password: str | None = None
    agent_socket_path: str | None = None
    host_key: str | None = None
    dial_error_limit: int = 10
    per_dial_timeout: int = 15

    @property
    def address(self) -> str:
        """`host:port` as Go writes it, with brackets around an IPv6 address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class Route:
    """How to reach a host: directly, or through one bastion host."""

    target: Endpoint
    proxy: Endpoint | None = None

    @property
    def key(self) -> str:
        """The whole of the settings: routes with the same key may share connections."""
        parts = [vars(end) for end in (self.target, self.proxy) if end]
        return json.dumps([parts, os.environ.get("SSH_AUTH_SOCK")])


def _endpoint(settings: Properties) -> Endpoint:
    def number(name: str, default: int) -> int:
        value = settings.get(name)
        return default if value is None else int(value)

    return Endpoint(
        host=settings["host"],
        port=number("port", 22),
        user=settings.get("user") or "root",
        password=settings.get("password"),
        private_key=settings.get("privateKey"),
        private_key_password=settings.get("privateKeyPassword"),
        agent_socket_path=settings.get("agentSocketPath"),
        host_key=settings.get("hostKey"),
        dial_error_limit=number("dialErrorLimit", 10),
        per_dial_timeout=number("perDialTimeout", 15),
    )


def route(settings: Properties) -> Route:
    """Return the route that a `connection` property, without secret wrappings, describes."""
    proxy = settings.get("proxy")
    return Route(_endpoint(settings), _endpoint(proxy) if proxy else None)


class _AnyLog:
    """The logs of all operations that wait for one connection."""

    def __init__(self) -> None:
        self.logs: list[Log] = []

    def status(self, line: str) -> None:
        for log in self.logs:
            log.status(line)


@dataclass(eq=False)
class _Connection:
    client: "asyncssh.SSHClientConnection"
    sessions: int = 0


@dataclass(eq=False)
class _Dial:
    task: "asyncio.Task[_Connection]"
    waiting: _AnyLog


@dataclass
class _Shared:
    connections: list[_Connection] = field(default_factory=list)
    dials: list[_Dial] = field(default_factory=list)

    def free(self) -> _Connection | None:
        self.connections = [known for known in self.connections if not known.client.is_closed()]
        for known in self.connections:
            if known.sessions < _SESSIONS_PER_CONNECTION:
                return known
        return None


class Connections:
    """The open connections of this process. They stay open until it ends or the host hangs up."""

    def __init__(self) -> None:
        """Start with none."""
        self._shared: dict[str, _Shared] = {}

    async def run(
        self,
        path: Route,
        command: str,
        output: Output,
        log: Log,
        *,
        stdin: str = "",
        environment: dict[str, str] | None = None,
        optional_environment: dict[str, str] | None = None,
    ) -> None:
        """Run `command` on the host at the end of `path` and collect its `output`.

        A refused variable of `environment` is an error, one of `optional_environment` a warning.

        Raises:
            ProviderError: the host cannot be reached, or the command did not end with status 0;
                in the words of the official plugin, which quotes the command and its output.
        """
        session = _Session(output)
        variables = [(name, value, True) for name, value in (environment or {}).items()]
        variables += [(name, value, False) for name, value in (optional_environment or {}).items()]

        async def open_session(client: "asyncssh.SSHClientConnection") -> Any:
            return await _open_session(client, session, command, variables, log)

        async with self._opened(path, log, open_session, session.opened) as channel:
            try:
                with contextlib.suppress(OSError):
                    if stdin:
                        channel.write(stdin.encode())
                    channel.write_eof()
                await session.ended
            except asyncio.CancelledError:
                # nothing shall go on unattended on the host after the engine has given up on it;
                # OpenSSH passes the signal on for every user but root
                with contextlib.suppress(OSError):
                    channel.terminate()
                channel.close()
                raise
            finally:
                output.finish()
        if session.failure:
            raise failed(session.failure, command, output)

    @contextlib.asynccontextmanager
    async def sftp(self, path: Route, log: Log) -> "AsyncIterator[asyncssh.SFTPClient]":
        """Give a file transfer session with the host at the end of `path`.

        Raises:
            ProviderError: the host cannot be reached or has no SFTP.
        """

        async def open_session(client: "asyncssh.SSHClientConnection") -> Any:
            return await client.start_sftp_client()

        async with self._opened(path, log, open_session) as client:
            try:
                yield client
            finally:
                client.exit()

    @contextlib.asynccontextmanager
    async def _opened(
        self,
        path: Route,
        log: Log,
        opening: "Callable[[asyncssh.SSHClientConnection], Coroutine[Any, Any, _Result]]",
        started: "asyncio.Future[None] | None" = None,
    ) -> AsyncIterator[_Result]:
        """Give what `opening` opens over a shared connection, or over a new one if that is dead.

        Once `started` is done the host may be at work, and a failure is no reason to try again.
        """
        await asyncio.to_thread(_load_asyncssh)
        import asyncssh

        shared = self._shared.setdefault(path.key, _Shared())
        connection = shared.free()
        limit = _REUSE_SECONDS if connection else None
        if connection is None:
            connection = await self._join_dial(shared, path, log)
        connection.sessions += 1
        try:
            try:
                opened = await _before(limit, opening(connection.client), started)
            except (OSError, asyncssh.Error) as error:
                if connection in shared.connections:
                    shared.connections.remove(connection)
                once_more = limit is not None or isinstance(error, asyncssh.ChannelOpenError)
                if not once_more or (started and started.done()):
                    raise ProviderError(_go_text(error)) from error
                # the host hung up in the meantime, or allows fewer sessions
                connection.sessions -= 1
                connection = await self._dial(path, log)
                connection.sessions += 1
                shared.connections.append(connection)
                try:
                    opened = await opening(connection.client)
                except (OSError, asyncssh.Error) as last:
                    raise ProviderError(_go_text(last)) from last
            yield opened
        finally:
            connection.sessions -= 1

    async def _join_dial(self, shared: _Shared, path: Route, log: Log) -> _Connection:
        """Wait for a connection that others wait for too; the last to leave ends the dialling."""
        open_dials = [
            dial for dial in shared.dials if len(dial.waiting.logs) < _SESSIONS_PER_CONNECTION
        ]
        dial = open_dials[0] if open_dials else self._start_dial(shared, path)
        dial.waiting.logs.append(log)
        try:
            return await asyncio.shield(dial.task)
        finally:
            dial.waiting.logs.remove(log)
            if not dial.waiting.logs:
                dial.task.cancel()

    def _start_dial(self, shared: _Shared, path: Route) -> _Dial:
        waiting = _AnyLog()
        task = asyncio.get_running_loop().create_task(self._dial(path, waiting))
        dial = _Dial(task, waiting)
        shared.dials.append(dial)
        task.add_done_callback(lambda done: _dialled(shared, dial, done))
        return dial

    async def _dial(self, path: Route, log: "Log | _AnyLog") -> _Connection:
        if path.proxy is None:
            login = _Login(path.target)

            async def direct() -> "asyncssh.SSHClientConnection":
                return await login.connect(await _open_socket(path.target))

            return _Connection(await _patiently("Dial", path.target, log, direct))
        try:
            return _Connection(await _dial_through(path.proxy, path.target, log))
        except ProviderError as error:
            raise ProviderError(f"proxy: {error}", deadline=error.deadline) from error


async def _before(
    seconds: float | None,
    opening: "Coroutine[Any, Any, _Result]",
    started: "asyncio.Future[None] | None",
) -> _Result:
    """Return the result of `opening`, which has `seconds` to finish or to have `started`."""
    task = asyncio.get_running_loop().create_task(opening)
    waited: set[asyncio.Future[Any]] = {task, started} if started else {task}
    try:
        done, _ = await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise TimeoutError
        return await task
    finally:
        task.cancel()


def _dialled(shared: _Shared, dial: _Dial, task: "asyncio.Task[_Connection]") -> None:
    shared.dials.remove(dial)
    if not task.cancelled() and task.exception() is None:
        shared.connections.append(task.result())


async def _dial_through(
    proxy: Endpoint, target: Endpoint, log: "Log | _AnyLog"
) -> "asyncssh.SSHClientConnection":
    proxy_login, login = _Login(proxy), _Login(target)

    async def to_proxy() -> "asyncssh.SSHClientConnection":
        return await proxy_login.connect(await _open_socket(proxy))

    bastion = await _patiently("Dial proxy", proxy, log, to_proxy)

    async def to_target() -> "asyncssh.SSHClientConnection":
        return await login.connect(tunnel=bastion)

    try:
        client = await _patiently("Dial from proxy", target, log, to_target)
    except BaseException:
        bastion.close()
        raise
    client.set_extra_info(bastion=bastion)  # keeps it alive as long as what runs through it
    return client


async def _patiently(
    what: str,
    endpoint: Endpoint,
    log: "Log | _AnyLog",
    attempt: Callable[[], Awaitable[_Result]],
) -> _Result:
    """Return what `attempt` gives, repeating it as often as the endpoint's error limit allows."""
    limit = endpoint.dial_error_limit
    shown = "inf" if limit == _UNLIMITED else str(limit)
    failed, pause = 0, _FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except ProviderError as error:
            if failed >= limit > _UNLIMITED:
                message = f"after {failed} failed attempts: {error}"
                raise ProviderError(message, deadline=error.deadline) from error
        failed += 1
        log.status(f"{what} {failed}/{shown} failed: retrying")
        await asyncio.sleep(pause)
        pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE)


async def _open_socket(endpoint: Endpoint) -> socket.socket:
    """Return a TCP connection to the endpoint; its addresses are tried one after the other."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        message = f"dial tcp: lookup {endpoint.host}: no such host"
        raise ProviderError(message) from error
    first_error: ProviderError | None = None
    for family, kind, protocol, _, address in found:
        shown = Endpoint(str(address[0]), endpoint.port).address
        link = socket.socket(family, kind, protocol)
        try:
            link.setblocking(False)
            limit = endpoint.per_dial_timeout / len(found) or None
            await asyncio.wait_for(loop.sock_connect(link, address), limit)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            link.close()
            late = isinstance(error, TimeoutError) and not error.errno
            reason = "i/o timeout" if late else f"connect: {_errno_text(error)}"
            refusal = ProviderError(f"dial tcp {shown}: {reason}", deadline=late)
            first_error = first_error or refusal
        except BaseException:
            link.close()
            raise
        else:
            return link
    raise first_error or ProviderError(f"dial tcp: lookup {endpoint.host}: no such host")


def _errno_text(error: OSError) -> str:
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]


def _load_asyncssh() -> None:
    import asyncssh  # noqa: F401  takes half a second of processor time, so only when it is needed


def _go_text(error: BaseException) -> str:
    """Return an error of asyncssh or the system in the words of Go's libraries."""
    import asyncssh

    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return "ssh: host key mismatch"
    if isinstance(error, asyncssh.ChannelOpenError):
        return f"ssh: rejected: {error.reason}"
    if isinstance(error, asyncssh.ConnectionLost) or (
        isinstance(error, OSError) and error.errno == errno.EPIPE
    ):
        return "EOF"
    if isinstance(error, asyncssh.Error):
        return f"ssh: {error.reason}"
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    if isinstance(error, OSError):
        return f"read: {_errno_text(error)}"
    return str(error)


class _Login:
    """The settings of one login, parsed first: a wrong key fails before anything is dialled."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._keys = _private_keys(endpoint)
        self._host_keys = _host_keys(endpoint)
        self._agent = endpoint.agent_socket_path or os.environ.get("SSH_AUTH_SOCK") or None
        if self._agent:
            _check_agent(self._agent)

    async def connect(
        self,
        link: socket.socket | None = None,
        tunnel: "asyncssh.SSHClientConnection | None" = None,
    ) -> "asyncssh.SSHClientConnection":
        """Log in over `link` or through `tunnel`.

        Raises:
            ProviderError: what the official plugin says when a handshake fails.
        """
        import asyncssh

        end = self._endpoint
        where: dict[str, Any] = {"sock": link} if link else {"tunnel": tunnel}
        async with _agent_keys(self._agent) as agent_keys:
            client = _client_class()(end.password, [*self._keys, *agent_keys])
            try:
                return await asyncssh.connect(
                    end.host,
                    end.port,
                    username=end.user,
                    client_factory=lambda: client,
                    known_hosts=(self._host_keys, [], []) if self._host_keys else None,
                    client_keys=None,  # asyncssh would look for files; ours come from the client
                    preferred_auth=["publickey", "password", "keyboard-interactive"],
                    compression_algs=["none"],
                    config=None,
                    login_timeout=_HANDSHAKE_SECONDS,
                    keepalive_interval=_KEEPALIVE_SECONDS,
                    keepalive_count_max=_KEEPALIVE_MISSES,
                    **where,
                )
            except asyncssh.PermissionDenied as error:
                methods = " ".join(["none", *client.attempted])
                raise ProviderError(
                    "ssh: handshake failed: ssh: unable to authenticate, attempted methods"
                    f" [{methods}], no supported methods remain"
                ) from error
            except asyncssh.ChannelOpenError as error:
                raise ProviderError(_go_text(error)) from error
            except (asyncssh.Error, OSError) as error:
                raise ProviderError(f"ssh: handshake failed: {_go_text(error)}") from error
            finally:
                if link and not client.connected:
                    link.close()


@contextlib.asynccontextmanager
async def _agent_keys(path: str | None) -> "AsyncIterator[Sequence[asyncssh.SSHKeyPair]]":
    """Give the keys of the agent at `path`, which signs with them as long as this is open."""
    if path is None:
        yield []
        return
    import asyncssh

    try:
        agent = await asyncssh.connect_agent(path)
        keys = await agent.get_keys()
    except (OSError, ValueError) as error:
        raise ProviderError(f"ssh: cannot ask the agent at {path}: {error}") from error
    try:
        yield keys
    finally:
        agent.close()


def _private_keys(endpoint: Endpoint) -> "list[asyncssh.SSHKey]":
    import asyncssh

    if endpoint.private_key is None:
        return []
    try:
        return [asyncssh.import_private_key(endpoint.private_key, endpoint.private_key_password)]
    except asyncssh.KeyEncryptionError as error:
        raise ProviderError("x509: decryption password incorrect") from error
    except asyncssh.KeyImportError as error:
        if "decrypt" in str(error):
            raise ProviderError("x509: decryption password incorrect") from error
        if "assphrase" in str(error):
            raise ProviderError("ssh: this private key is passphrase protected") from error
        raise ProviderError("ssh: no key found") from error


def _host_keys(endpoint: Endpoint) -> "list[asyncssh.SSHKey]":
    import asyncssh

    if endpoint.host_key is None:
        return []
    try:
        return [asyncssh.import_public_key(endpoint.host_key)]
    except asyncssh.KeyImportError as error:
        raise ProviderError("failed to parse host key: ssh: no key found") from error


def _check_agent(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            message = f"dial unix {path}: connect: {_errno_text(error)}"
            raise ProviderError(message) from error


def _client_class() -> Any:
    """Return the class for a login's callbacks; its base needs asyncssh, which is loaded late."""
    import asyncssh

    class Client(asyncssh.SSHClient):
        """Gives each secret once and notes which methods the server let us try."""

        def __init__(self, password: str | None, keys: "list[Any]") -> None:
            self._password = password
            self._keys = keys
            self.attempted: list[str] = []
            self.connected = False

        def _note(self, method: str) -> None:
            if method not in self.attempted:
                self.attempted.append(method)

        def connection_made(self, conn: "asyncssh.SSHClientConnection") -> None:
            self.connected = True

        def public_key_auth_requested(self) -> Any:
            if not self._keys:
                return None
            self._note("publickey")
            return self._keys.pop(0)

        def password_auth_requested(self) -> str | None:
            if self._password is None or "password" in self.attempted:
                return None
            self._note("password")
            return self._password

        def kbdint_auth_requested(self) -> str | None:
            if self._password is None or "keyboard-interactive" in self.attempted:
                return None
            self._note("keyboard-interactive")
            return ""

        def kbdint_challenge_received(
            self, name: str, instructions: str, lang: str, prompts: Any
        ) -> list[str] | None:
            return [self._password or ""] * len(prompts)

    return Client


_SIGNALLED = 128
# Numbers of POSIX signals as Go's x/crypto/ssh adds them to 128.
_SIGNALS = {
    "ABRT": 6,
    "ALRM": 14,
    "FPE": 8,
    "HUP": 1,
    "ILL": 4,
    "INT": 2,
    "KILL": 9,
    "PIPE": 13,
    "QUIT": 3,
    "SEGV": 11,
    "TERM": 15,
}


_NO_STATUS = "wait: remote command exited without exit status or exit signal"


class _Session:
    """Collects a command's output and how it ended; asyncssh calls its methods.

    `opened` is done as soon as the command may have reached the host, `ended` when no more comes.
    """

    def __init__(self, output: Output) -> None:
        loop = asyncio.get_running_loop()
        self._output = output
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.failure: str | None = _NO_STATUS

    def connection_made(self, channel: object) -> None:
        self.opened.set_result(None)

    def session_started(self) -> None:
        pass

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._output.add(data, is_stderr=datatype is not None)

    def eof_received(self) -> bool:
        return True

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        pass

    def exit_status_received(self, status: int) -> None:
        self.failure = f"Process exited with status {status}" if status else None

    def exit_signal_received(self, signal: str, *details: object) -> None:
        status = _SIGNALLED + _SIGNALS.get(signal, 0)
        self.failure = f"Process exited with status {status} from signal {signal}"
        _, message, _ = details
        if message:
            self.failure += f". Reason was: {message}"

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


_REFUSED_VARIABLE = """\
Unable to set '{}'. This only works if your SSH server is configured to accept
\tthese variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could
\tprefix the command itself with the variables in the form 'VAR=value command'"""  # noqa: E501


async def _open_session(
    client: "asyncssh.SSHClientConnection",
    session: Any,
    command: str,
    variables: list[tuple[str, str, bool]],
    log: Log,
) -> Any:
    """Start `command` on a new channel of `client` and return the channel.

    Each variable is (name, value, needed) and is sent before the command, which does not start when
    a needed one is refused.
    """
    if not variables:
        channel, _ = await client.create_session(
            lambda: session, command, encoding=None, request_pty=False, max_pktsize=_MAX_PACKET
        )
        return channel
    return await _channel_class()(client).start(session, command, variables, log)


def _channel_class() -> Any:
    """Return a channel that asks for each variable and hears the answer.

    asyncssh sends variables without asking; its own requests with an answer are not public, so this
    is the one place that leans on its inside (as of 2.24).
    """
    import asyncssh
    from asyncssh.packet import String

    class Channel(asyncssh.SSHClientChannel[bytes]):
        def __init__(self, client: "asyncssh.SSHClientConnection") -> None:
            loop = asyncio.get_running_loop()
            super().__init__(client, loop, "strict", None, "strict", _WINDOW, _MAX_PACKET)

        async def start(
            self, session: Any, command: str, variables: list[tuple[str, str, bool]], log: Log
        ) -> "Channel":
            (await self._open(b"session")).check_end()
            self._session = session
            session.connection_made(self)
            for name, value, needed in variables:
                accepted = await self._make_request(b"env", String(name), String(value))
                if not accepted and needed:
                    self.close()
                    log.error(_REFUSED_VARIABLE.format(name))
                    raise ProviderError(
                        f'could not set environment variable "{name}": ssh: setenv failed'
                    )
                if not accepted:
                    log.warning(_REFUSED_VARIABLE.format(name))
            if not await self._make_request(b"exec", String(command)):
                self.close()
                raise ProviderError(f"ssh: command {command} failed")
            assert self._conn is not None
            session.session_started()
            self._conn.create_task(self._start_reading(), self.logger)
            return self

    return Channel
