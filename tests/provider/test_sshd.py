"""The `command` stand-in against OpenSSH's own server with its stock settings, on loopback."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from standin.command import CommandProvider

from lab import base

from .support import free_port, served

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="sshd needs root to log in as root")
URN = "urn:pulumi:s::p::command:remote:Command::c"


def _key(path: Path, *options: str) -> str:
    arguments: list[str | Path] = [
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        *options,
        "-f",
        path,
    ]
    subprocess.run(arguments, check=True)
    return path.read_text()


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("sshd ended instead of listening")


# In a name space of its own: what is mounted there goes with sshd.
_IN_BASE = """\
base=$1 folder=$2
mount -t tmpfs none "$base/tmp"
mkdir "$base$folder"
mount --bind "$folder" "$base$folder"
mount -t tmpfs none "$base/run"
mkdir "$base/run/sshd"
mount --rbind /dev "$base/dev"
mount --bind /proc "$base/proc"
exec chroot "$base" /usr/sbin/sshd -D -f "$folder/sshd_config"
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A directory that is the same one here and where sshd runs commands."""
    with tempfile.TemporaryDirectory(prefix="sshd-", dir="/tmp") as place:
        yield Path(place)


@pytest.fixture(scope="module")
def command(folder: Path, request: pytest.FixtureRequest) -> list[str]:
    """What starts sshd: this machine's, or that of the lab's nodes where it has none.

    Installing one would open a port of this machine.
    """
    path = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path:
        Path("/run/sshd").mkdir(exist_ok=True)
        return [path, "-D", "-f", str(folder / "sshd_config")]
    request.getfixturevalue("lab_or_fail")
    root = base.ensure(print)
    return ["unshare", "--mount", "sh", "-euc", _IN_BASE, "sh", str(root), str(folder)]


@pytest.fixture(scope="module")
def connection(folder: Path, command: list[str]) -> Iterator[dict[str, Any]]:
    """An sshd with nothing but a port and keys of its own; gives how to reach it."""
    private_key = _key(folder / "user")
    _key(folder / "host")
    port = free_port()
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "KbdInteractiveAuthentication": "no",  # as distributions ship it
        "Subsystem": "sftp internal-sftp",
    }
    config = folder / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port, server)
            yield {
                "host": "127.0.0.1",
                "port": port,
                "user": "root",
                "privateKey": private_key,
                "hostKey": (folder / "host.pub").read_text(),
                "dialErrorLimit": 10,
                "perDialTimeout": 15,
            }
        finally:
            server.terminate()


def outputs(*properties: dict[str, Any]) -> list[Any]:
    """Create a Command of each at once; give their outputs or error texts."""

    async def test() -> list[Any]:
        async with served(CommandProvider) as plugin:
            requests = [{"urn": URN, "properties": each} for each in properties]
            replies = await asyncio.gather(
                *(plugin.call("Create", request) for request in requests), return_exceptions=True
            )
        return [_plain(reply) for reply in replies]

    return asyncio.run(asyncio.wait_for(test(), 240))


def _plain(reply: Any) -> Any:
    if isinstance(reply, grpc.RpcError):
        return reply.details()
    if isinstance(reply, BaseException):
        raise reply
    return reply["properties"]


def test_failures_are_worded_as_recorded(connection: dict[str, Any]) -> None:
    failing = "echo partial; echo bad >&2; exit 3"
    wrong_key = {**connection, "privateKey": None, "password": "nope", "dialErrorLimit": 0}
    wrong_host = {**connection, "hostKey": connection["hostKey"][:30] + _other_key()[30:]}
    unable = "ssh: unable to authenticate, attempted methods [none password]"
    texts = outputs(
        {"connection": connection, "create": failing},
        {"connection": connection, "create": "kill -9 $$"},
        {"connection": connection, "create": "echo $A", "environment": {"A": "b"}},
        {"connection": {**wrong_host, "dialErrorLimit": 0}, "create": "true"},
        {"connection": wrong_key, "create": "true"},
    )
    assert texts == [
        f'Process exited with status 3: running "{failing}":\nbad\npartial\n',
        'Process exited with status 137 from signal KILL: running "kill -9 $$":\n',
        'could not set environment variable "A": ssh: setenv failed',
        "after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch",
        f"after 0 failed attempts: ssh: handshake failed: {unable}, no supported methods remain",
    ]


def _other_key() -> str:
    with tempfile.TemporaryDirectory() as folder:
        _key(Path(folder) / "key")
        return (Path(folder) / "key.pub").read_text()


def test_many_commands_at_once_with_much_to_say(connection: dict[str, Any]) -> None:
    made = outputs(
        *(
            {"connection": connection, "create": f"sleep 0.2; cat; echo {n}", "stdin": "x" * 100000}
            for n in range(24)
        )
    )
    assert [each["stdout"][-2:].lstrip("x") for each in made] == [str(n) for n in range(24)]


def test_a_megabyte_in_and_ten_out(connection: dict[str, Any]) -> None:
    script = "cat >/dev/null; yes | tr -d '\\n' | head -c 10485760"
    [made] = outputs({"connection": connection, "create": script, "stdin": "x" * 1024 * 1024})
    assert len(made["stdout"]) == 10 * 1024 * 1024


def test_a_server_process_killed_in_the_middle_is_an_error(connection: dict[str, Any]) -> None:
    [text] = outputs({"connection": connection, "create": "echo begun; kill -9 $PPID; sleep 20"})
    assert text.startswith("wait: remote command exited without exit status or exit signal")


def test_cancel_answers_at_once(connection: dict[str, Any], folder: Path) -> None:
    mark = folder / "mark"

    async def test() -> None:
        async with served(CommandProvider) as plugin:
            script = f"touch {mark}; sleep 5"
            request = {"urn": URN, "properties": {"connection": connection, "create": script}}
            task = asyncio.ensure_future(plugin.call("Create", request))
            while not mark.exists():
                await asyncio.sleep(0.02)
            cancelled = time.monotonic()
            await plugin.call("Cancel", {})
            with pytest.raises(grpc.RpcError):
                await task
            assert time.monotonic() - cancelled < 2.5

    asyncio.run(asyncio.wait_for(test(), 20))
