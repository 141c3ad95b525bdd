"""The part of a provider that is the same for every plugin: calls in, replies and errors out."""

import abc
import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from .engine import Engine, Log, ResourceLog
from .wire import Properties, ProviderError, read_properties, write_properties

_Result = TypeVar("_Result")
_Context = Any
"""A call's context; grpc's own types have two unrelated classes for it."""


@dataclass(frozen=True)
class Operation:
    """The resource a call is about.

    Attributes:
        token: its type, `command:remote:Command`.
        name: its name in the program.
        log: where to report while working.
        preview: True if nothing may be changed.
    """

    token: str
    name: str
    log: Log
    preview: bool = False


@dataclass(frozen=True)
class Checked:
    """The answer to Check: the inputs to go on with, and why they are refused (sentences)."""

    inputs: Properties
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Read:
    """The answer to Read: the state and the inputs the resource has now."""

    inputs: Properties
    state: Properties


class Provider(provider_pb2_grpc.ResourceProviderServicer, abc.ABC):
    """A provider plugin's service. One instance serves one engine.

    Long calls run as tasks of their own, which `Cancel`, the engine's time limit for the operation
    and an engine that hangs up all end at once.
    """

    version: str
    """The version of the official plugin this one stands in for."""

    def __init__(self, engine: Engine) -> None:
        """Serve calls of `engine` and report to it."""
        self._engine = engine
        self._running: set[asyncio.Task[Any]] = set()

    @abc.abstractmethod
    def check(self, call: Operation, inputs: Properties) -> Checked:
        """Validate `inputs` and complete them as the official plugin does."""

    @abc.abstractmethod
    def diff(self, call: Operation, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:
        """Compare a resource's state with the inputs it shall have."""

    @abc.abstractmethod
    async def create(self, call: Operation, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; return its id (empty if still unknown) and its outputs."""

    @abc.abstractmethod
    async def update(self, call: Operation, state: Properties, inputs: Properties) -> Properties:
        """Change the resource from `state` to `inputs`; return its outputs."""

    @abc.abstractmethod
    def read(self, call: Operation, inputs: Properties, state: Properties) -> Read:
        """Return what the resource is now."""

    @abc.abstractmethod
    async def delete(self, call: Operation, state: Properties) -> None:
        """Remove the resource."""

    # The calls of the service, in the engine's order. Their names are the protocol's.

    async def GetPluginInfo(  # noqa: D102
        self, request: empty_pb2.Empty, context: _Context
    ) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.version)

    async def Check(  # noqa: D102
        self, request: provider_pb2.CheckRequest, context: _Context
    ) -> provider_pb2.CheckResponse:
        call = self._call(request.urn)

        async def work() -> provider_pb2.CheckResponse:
            checked = self.check(call, read_properties(request.news))
            return provider_pb2.CheckResponse(
                inputs=write_properties(checked.inputs),
                failures=[provider_pb2.CheckFailure(reason=text) for text in checked.failures],
            )

        return await self._answer(call, work(), context)

    async def Diff(  # noqa: D102
        self, request: provider_pb2.DiffRequest, context: _Context
    ) -> provider_pb2.DiffResponse:
        call = self._call(request.urn)

        async def work() -> provider_pb2.DiffResponse:
            return self.diff(call, request)

        return await self._answer(call, work(), context)

    async def Create(  # noqa: D102
        self, request: provider_pb2.CreateRequest, context: _Context
    ) -> provider_pb2.CreateResponse:
        call = self._call(request.urn, preview=request.preview)

        async def work() -> provider_pb2.CreateResponse:
            identity, outputs = await self.create(call, read_properties(request.properties))
            return provider_pb2.CreateResponse(id=identity, properties=write_properties(outputs))

        return await self._answer(call, work(), context, request.timeout)

    async def Update(  # noqa: D102
        self, request: provider_pb2.UpdateRequest, context: _Context
    ) -> provider_pb2.UpdateResponse:
        call = self._call(request.urn, preview=request.preview)

        async def work() -> provider_pb2.UpdateResponse:
            outputs = await self.update(
                call, read_properties(request.olds), read_properties(request.news)
            )
            return provider_pb2.UpdateResponse(properties=write_properties(outputs))

        return await self._answer(call, work(), context, request.timeout)

    async def Read(  # noqa: D102
        self, request: provider_pb2.ReadRequest, context: _Context
    ) -> provider_pb2.ReadResponse:
        call = self._call(request.urn)

        async def work() -> provider_pb2.ReadResponse:
            found = self.read(
                call, read_properties(request.inputs), read_properties(request.properties)
            )
            return provider_pb2.ReadResponse(
                id=request.id,
                inputs=write_properties(found.inputs),
                properties=write_properties(found.state),
            )

        return await self._answer(call, work(), context)

    async def Delete(  # noqa: D102
        self, request: provider_pb2.DeleteRequest, context: _Context
    ) -> empty_pb2.Empty:
        call = self._call(request.urn)

        async def work() -> empty_pb2.Empty:
            await self.delete(call, read_properties(request.properties))
            return empty_pb2.Empty()

        return await self._answer(call, work(), context, request.timeout)

    async def Cancel(  # noqa: D102
        self, request: empty_pb2.Empty, context: _Context
    ) -> empty_pb2.Empty:
        for task in self._running:
            task.cancel()
        return empty_pb2.Empty()

    async def Attach(  # noqa: D102
        self, request: plugin_pb2.PluginAttach, context: _Context
    ) -> empty_pb2.Empty:
        self._engine = Engine(request.address)
        return empty_pb2.Empty()

    async def Parameterize(self, request: Any, context: _Context) -> NoReturn:  # noqa: D102
        await refuse(context, "Parameterize")

    async def GetSchema(self, request: Any, context: _Context) -> NoReturn:  # noqa: D102
        await refuse(context, "GetSchema")

    async def Invoke(self, request: Any, context: _Context) -> NoReturn:  # noqa: D102
        await refuse(context, f"The function {request.tok}")

    async def Call(self, request: Any, context: _Context) -> NoReturn:  # noqa: D102
        await refuse(context, f"The method {request.tok}")

    async def Construct(self, request: Any, context: _Context) -> NoReturn:  # noqa: D102
        await refuse(context, f"The component {request.type}")

    async def GetMapping(self, request: Any, context: _Context) -> NoReturn:  # noqa: D102
        await refuse(context, "GetMapping")

    async def GetMappings(self, request: Any, context: _Context) -> NoReturn:  # noqa: D102
        await refuse(context, "GetMappings")

    async def _answer(
        self,
        call: Operation,
        work: Coroutine[Any, Any, _Result],
        context: _Context,
        seconds: float = 0,
    ) -> _Result:
        """Answer with the result of `work`, or abort the call with its error.

        `seconds` bounds the work; 0 is no bound.
        """
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        try:
            return await _bounded(task, seconds)
        except ProviderError as error:
            await _flush(call)
            code = grpc.StatusCode.UNKNOWN
            if error.deadline:
                code = grpc.StatusCode.DEADLINE_EXCEEDED
            return await _abort(context, code, str(error))
        except TimeoutError:
            message = "context deadline exceeded"
            return await _abort(context, grpc.StatusCode.DEADLINE_EXCEEDED, message)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            return await _abort(context, grpc.StatusCode.CANCELLED, "context canceled")
        finally:
            await _flush(call)
            self._running.discard(task)

    def _call(self, urn: str, *, preview: bool = False) -> Operation:
        _, _, types, *name = urn.split("::")
        return Operation(types.split("$")[-1], "::".join(name), self._engine.log(urn), preview)


async def _bounded(task: "asyncio.Task[_Result]", seconds: float) -> _Result:
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds or None)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if done:
        return task.result()
    task.cancel()
    await asyncio.wait({task})
    raise TimeoutError


async def _flush(call: Operation) -> None:
    if isinstance(call.log, ResourceLog):
        await call.log.flush()


async def _abort(context: _Context, code: grpc.StatusCode, message: str) -> NoReturn:
    await context.abort(code, message)
    raise AssertionError  # abort raises; grpc's types do not say so


async def refuse(context: _Context, what: str) -> NoReturn:
    """Abort a call for something only the official plugin does."""
    message = f"{what} is not supported by the stand-in; use the official Pulumi plugin"
    await _abort(context, grpc.StatusCode.UNIMPLEMENTED, message)


async def unimplemented(context: _Context, message: str) -> NoReturn:
    """Abort a call that the official plugin does not implement either, with its words."""
    await _abort(context, grpc.StatusCode.UNIMPLEMENTED, message)
