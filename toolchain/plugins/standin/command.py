"""The `command` plugin: commands and files on this machine and on others."""

import hashlib
import os
import secrets
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pulumi.runtime.proto import provider_pb2

from . import local
from .output import Output
from .provider import Checked, Operation, Provider, Read, unimplemented
from .ssh import Connections, route
from .wire import (
    UNKNOWN,
    Properties,
    ProviderError,
    Value,
    complete_asset,
    difference,
    has_unknown,
    is_archive,
    is_asset,
    is_secret,
    is_unknown,
    not_supported,
    read_properties,
    reveal,
    secret,
    write_properties,
)

if TYPE_CHECKING:
    import asyncssh

LOCAL, REMOTE, COPY = (
    "command:local:Command",
    "command:remote:Command",
    "command:remote:CopyToRemote",
)

_RUN_INPUTS = frozenset(
    [
        "addPreviousOutputInEnv",
        "create",
        "delete",
        "environment",
        "logging",
        "stdin",
        "triggers",
        "update",
    ]
)
_INPUTS = {
    LOCAL: _RUN_INPUTS | {"archivePaths", "assetPaths", "dir", "interpreter"},
    REMOTE: _RUN_INPUTS | {"connection"},
    COPY: frozenset({"connection", "remotePath", "source", "triggers"}),
}
_REQUIRED = {LOCAL: (), REMOTE: ("connection",), COPY: ("connection", "remotePath", "source")}
_CONNECTION_SECRETS = frozenset({"password", "privateKey", "privateKeyPassword"})
_CONNECTION_DEFAULTS = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
_CONNECTION_INPUTS = _CONNECTION_SECRETS | {
    "agentSocketPath",
    "dialErrorLimit",
    "host",
    "hostKey",
    "perDialTimeout",
    "port",
    "proxy",
    "user",
}
_LOGGING = ("stdout", "stderr", "stdoutAndStderr", "none")
_SDK_VERSION = {"__pulumi-go-provider-version": "1.2.0"}
"""What the official plugin adds to its own configuration; a stack that lacks it shows a change."""


class CommandProvider(Provider):
    """The resources of `command` 1.2.1: both Commands and CopyToRemote."""

    version = "1.2.1"

    def __init__(self, engine: Any) -> None:
        """Serve `engine`; no connection is open yet."""
        super().__init__(engine)
        self._connections = Connections()

    async def Handshake(self, request: Any, context: Any) -> Any:  # noqa: D102
        await unimplemented(context, "method Handshake not implemented")

    async def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: D102
        await unimplemented(context, "DiffConfig is not implemented")

    async def CheckConfig(  # noqa: D102
        self, request: provider_pb2.CheckRequest, context: Any
    ) -> provider_pb2.CheckResponse:
        inputs = {**read_properties(request.news), **_SDK_VERSION}
        return provider_pb2.CheckResponse(inputs=write_properties(inputs))

    async def Configure(  # noqa: D102
        self, request: provider_pb2.ConfigureRequest, context: Any
    ) -> provider_pb2.ConfigureResponse:
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=True
        )

    def check(self, call: Operation, inputs: Properties) -> Checked:
        """Validate `inputs`, complete the connection's defaults and mark its secrets."""
        allowed = _allowed_inputs(call)
        failures = _shape_failures(inputs, allowed, _REQUIRED[call.token], "")
        checked = dict(inputs)
        if "connection" in inputs:
            checked["connection"] = _checked_connection(inputs["connection"], failures)
        if "source" in inputs:
            checked["source"] = _checked_source(inputs["source"], failures)
        logging = reveal(inputs.get("logging"))
        if logging is not None and not is_unknown(logging) and logging not in _LOGGING:
            failures.append(f"logging must be one of {', '.join(_LOGGING)}")
        return Checked(checked, tuple(failures))

    def diff(self, call: Operation, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:
        """Compare the state's inputs with the new ones; every change is an update.

        That `triggers` replace a resource is asked for by the program's SDK, not said here.
        """
        allowed = _allowed_inputs(call)
        state = read_properties(request.olds)
        old = {name: value for name, value in state.items() if name in allowed}
        new = _with_ignored(read_properties(request.news), old, request.ignoreChanges)
        changes = difference(old, new)
        kind = provider_pb2.PropertyDiff.Kind
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME
            if changes
            else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted({_top_level(path) for path in changes}),
            detailedDiff={
                path: provider_pb2.PropertyDiff(kind=kind.Value(change))
                for path, change in changes.items()
            },
            hasDetailedDiff=True,
        )

    async def create(self, call: Operation, inputs: Properties) -> tuple[str, Properties]:
        """Run `create`, or copy the file."""
        _allowed_inputs(call)
        if call.token == COPY:
            identity = "" if call.preview else secrets.token_hex(4)
            return identity, await self._copy(call, inputs)
        identity = call.name + secrets.token_hex(4)
        if call.preview:
            return identity, {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}
        return identity, await self._run(call, inputs, {}, inputs.get("create"))

    async def update(self, call: Operation, state: Properties, inputs: Properties) -> Properties:
        """Run `update`, or `create` if there is none; copy the file if it or its place changed."""
        _allowed_inputs(call)
        if call.token == COPY:
            same = not difference(_copied(state), _copied(inputs))
            return _with_whole_source(inputs) if same else await self._copy(call, inputs)
        if call.preview:
            return {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}
        command = inputs.get("update")
        if command is None:
            command = inputs.get("create")
        return await self._run(call, inputs, reveal(state), command)

    def read(self, call: Operation, inputs: Properties, state: Properties) -> Read:
        """Return the state as it is: nothing on the host says what a command has done."""
        _allowed_inputs(call)
        if not state:
            raise not_supported(f"Importing a {call.token}")
        return Read(inputs, state)

    async def delete(self, call: Operation, state: Properties) -> None:
        """Run `delete` as the state has it; a copied file stays."""
        _allowed_inputs(call)
        if call.token != COPY and state.get("delete") is not None:
            await self._run(call, state, reveal(state), state["delete"])

    async def _run(
        self, call: Operation, inputs: Properties, state: Properties, command: Value
    ) -> Properties:
        """Run `command` and return the resource's outputs; without one they are the state's."""
        stdout, stderr = state.get("stdout", ""), state.get("stderr", "")
        if command is not None:
            output = await self._execute(call, reveal(inputs), state, reveal(command))
            stdout, stderr = output.stdout, output.stderr
        return {**inputs, "stdout": stdout, "stderr": stderr}

    async def _execute(
        self, call: Operation, inputs: Properties, state: Properties, command: str
    ) -> Output:
        previous = local.previous_output(inputs, state)
        if call.token == LOCAL:
            for name in ("assetPaths", "archivePaths"):
                if inputs.get(name):
                    raise not_supported(f"{name} of {LOCAL}")
            return await local.run(command, inputs, previous, call.log)
        output = Output(call.log, inputs.get("logging"))
        await self._connections.run(
            route(inputs["connection"]),
            command,
            output,
            call.log,
            stdin=inputs.get("stdin") or "",
            environment=inputs.get("environment") or {},
            optional_environment=previous,
        )
        return output

    async def _copy(self, call: Operation, inputs: Properties) -> Properties:
        if call.preview:
            return {**inputs, "source": UNKNOWN}
        plain = reveal(inputs)
        source = plain["source"]
        content = _content(source)
        async with self._connections.sftp(route(plain["connection"]), call.log) as client:
            await _put(client, plain["remotePath"], content, Path(source.get("path") or "").name)
        return _with_whole_source(inputs)


def _allowed_inputs(call: Operation) -> frozenset[str]:
    if call.token not in _INPUTS:
        raise not_supported(f"The resource type {call.token}")
    return _INPUTS[call.token]


def _shape_failures(
    inputs: Properties, allowed: frozenset[str], required: tuple[str, ...], where: str
) -> list[str]:
    """Return what is missing or unknown, by name only: the values may be secrets."""
    failures = [
        f"Missing required property '{where}{name}'" for name in required if name not in inputs
    ]
    failures += [f"Unknown property '{where}{name}'" for name in sorted(inputs.keys() - allowed)]
    return failures


def _checked_connection(
    connection: Value, failures: list[str], where: str = "connection."
) -> Value:
    """Return the connection as the official plugin stores it: complete, and secret inside too."""
    if is_secret(connection):
        return secret(_checked_connection(connection.get("value"), failures, where))
    if not isinstance(connection, dict):
        return connection
    failures += _shape_failures(connection, _CONNECTION_INPUTS, ("host",), where)
    checked = {**_CONNECTION_DEFAULTS, **connection}
    for name in _CONNECTION_SECRETS & checked.keys():
        checked[name] = secret(checked[name])
    if isinstance(checked.get("proxy"), dict):
        checked["proxy"] = _checked_connection(checked["proxy"], failures, f"{where}proxy.")
    return checked if where != "connection." else secret(checked)


def _checked_source(source: Value, failures: list[str]) -> Value:
    plain = reveal(source)
    if is_archive(plain):
        failures.append(str(not_supported(f"An archive as source of {COPY}")))
    elif not is_asset(plain) and not has_unknown(plain):
        failures.append("either asset or archive must be set")
    elif is_asset(plain) and plain.get("uri"):
        failures.append("asset must be a path-based file asset or a text asset")
    return complete_asset(source)


def _with_ignored(new: Properties, old: Properties, ignored: Any) -> Properties:
    """Return `new` with the top-level properties named in `ignored` as they were."""
    kept = {name: old[name] for name in ignored if name in old}
    return {**new, **kept}


def _top_level(path: str) -> str:
    return path.split("[", maxsplit=1)[0].split(".", maxsplit=1)[0]


def _copied(properties: Properties) -> Properties:
    plain = reveal(properties)
    return {name: plain.get(name) for name in ("source", "remotePath")}


def _with_whole_source(inputs: Properties) -> Properties:
    return {**inputs, "source": complete_asset(inputs["source"])}


def _content(asset: Value) -> bytes:
    if not is_asset(asset):
        raise not_supported(f"This kind of source of {COPY}")
    if asset.get("path"):
        try:
            return Path(asset["path"]).read_bytes()
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise ProviderError(f"open {asset['path']}: {reason}") from error
    content = str(asset.get("text") or "").encode()
    if asset.get("hash") not in (None, "", hashlib.sha256(content).hexdigest()):
        raise ProviderError("the source's text did not arrive: its hash does not match")
    return content


async def _put(client: "asyncssh.SFTPClient", target: str, content: bytes, name: str) -> None:
    """Write `content` to the file `target`; make the folders it needs.

    If `target` is a folder, a file goes into it under its own `name`; a text has none.
    """
    import asyncssh

    try:
        if await client.isdir(target):
            if not name:
                raise ProviderError(
                    f"remote path {target} is a directory; when using a text asset,"
                    " remotePath must be a file path"
                )
            target = str(PurePosixPath(target, name))
        folder = str(PurePosixPath(target).parent)
        if not await client.isdir(folder):
            await client.makedirs(folder, exist_ok=True)
        async with client.open(target, "wb") as remote:
            await remote.write(content)
    except (OSError, asyncssh.Error) as error:
        raise ProviderError(f"failed to create remote file {target}: {error}") from error
