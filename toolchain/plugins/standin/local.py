"""Run a command on this machine, for `command:local:Command`."""

import asyncio
import contextlib
import os
import signal

from .engine import Log
from .output import Output, failed
from .wire import Properties

_CHUNK = 64 * 1024
_SHELL = ["/bin/sh", "-c"]


async def run(command: str, inputs: Properties, previous: dict[str, str], log: Log) -> Output:
    """Run `command` as the resource's `inputs` say, with `previous` in its environment.

    Returns:
        its output.

    Raises:
        ProviderError: it did not start, or did not end with status 0.
    """
    output = Output(log, inputs.get("logging"))
    arguments = [*(inputs.get("interpreter") or _SHELL), command]
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE if inputs.get("stdin") else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=inputs.get("dir"),
            env={**os.environ, **(inputs.get("environment") or {}), **previous},
            start_new_session=True,
        )
    except OSError as error:
        message = f"fork/exec {arguments[0]}: {os.strerror(error.errno or 0).lower()}"
        raise failed(message, command, output) from error
    try:
        await asyncio.gather(
            _collect(process.stdout, output, is_stderr=False),
            _collect(process.stderr, output, is_stderr=True),
            _feed(process.stdin, inputs.get("stdin") or ""),
        )
        status = await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        output.finish()
    if status:
        raise failed(_ending(status), command, output)
    return output


async def _collect(stream: asyncio.StreamReader | None, output: Output, *, is_stderr: bool) -> None:
    while stream and (data := await stream.read(_CHUNK)):
        output.add(data, is_stderr=is_stderr)


async def _feed(stream: asyncio.StreamWriter | None, text: str) -> None:
    if stream:
        with contextlib.suppress(OSError):
            stream.write(text.encode())
            await stream.drain()
        stream.close()


def _ending(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    return f"signal: {signal.strsignal(-status) or -status}".lower()


def previous_output(inputs: Properties, state: Properties) -> dict[str, str]:
    """Return the variables that hand a command what the resource's last one wrote.

    Empty if `inputs` do not want them or nothing was written.
    """
    if inputs.get("addPreviousOutputInEnv") is False:
        return {}
    names = {"PULUMI_COMMAND_STDOUT": "stdout", "PULUMI_COMMAND_STDERR": "stderr"}
    return {name: state[key] for name, key in names.items() if state.get(key)}
