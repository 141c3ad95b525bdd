"""The `command` stand-in: what reaches the host, and that nothing ever hangs."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from standin.command import CommandProvider

from .support import Host, Served, black_hole, free_port, running, served

REMOTE, LOCAL, COPY = (
    "command:remote:Command",
    "command:local:Command",
    "command:remote:CopyToRemote",
)
MEGABYTE = 1024 * 1024
SIG = "4dabf18193072939515e22adb298388d"
SECRET_MARK = "1b47061264138c4ac30d75fd1eb44270"
ASSET_MARK = "c44067f5952c0a294b673a41bacd8c17"


def run(test: Coroutine[Any, Any, None], seconds: float = 240) -> None:
    """Run a test that fails rather than hangs."""
    asyncio.run(asyncio.wait_for(test, seconds))


@contextlib.asynccontextmanager
async def plugin_and_host(**host: Any) -> AsyncIterator[tuple[Served, Host]]:
    async with running(Host(**host)) as node, served(CommandProvider) as plugin:
        yield plugin, node


async def create(
    plugin: Served, properties: dict[str, Any], token: str = REMOTE, name: str = "c", **more: Any
) -> dict[str, Any]:
    request = {"urn": urn(token, name), "properties": properties, **more}
    reply = await plugin.call("Create", request)
    outputs: dict[str, Any] = reply["properties"]
    return outputs


def urn(token: str, name: str = "c") -> str:
    return f"urn:pulumi:s::p::my:Component${token}::{name}"


async def failure(work: Coroutine[Any, Any, Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        await work
    return caught.value.code(), caught.value.details()


def test_a_failing_script_shows_its_lines_and_the_whole_text_but_not_stdin() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            script = "cat >/dev/null; echo partial; echo bad >&2; exit 3"
            code, text = await failure(
                create(plugin, {"connection": node.connection(), "create": script, "stdin": "hush"})
            )
            assert code is grpc.StatusCode.UNKNOWN
            assert text == f'Process exited with status 3: running "{script}":\nbad\npartial\n'
            assert plugin.engine.status() == ["bad", "partial"]
            assert plugin.engine.diagnostics() == []

    run(test())


def test_a_signal_is_named() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            made = create(plugin, {"connection": node.connection(), "create": "kill -9 $$"})
            _, text = await failure(made)
            assert text == (
                'Process exited with status 137 from signal KILL: running "kill -9 $$":\n'
            )

    run(test())


@pytest.mark.parametrize(
    ("logging", "shown"),
    [
        (None, ["err", "out"]),
        ("stdoutAndStderr", ["err", "out"]),
        ("stdout", ["out"]),
        ("stderr", ["err"]),
        ("none", []),
    ],
)
def test_logging_decides_what_is_shown(logging: str | None, shown: list[str]) -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            properties = {"connection": node.connection(), "create": "echo out; printf err >&2"}
            if logging:
                properties["logging"] = logging
            outputs = await create(plugin, properties)
            assert (outputs["stdout"], outputs["stderr"]) == ("out", "err")
            assert sorted(plugin.engine.status()) == shown

    run(test())


def test_a_refused_variable_stops_the_command_before_it_starts() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            properties = {
                "connection": node.connection(),
                "create": "echo $A",
                "environment": {"A": "b"},
            }
            _, text = await failure(create(plugin, properties))
            assert text == 'could not set environment variable "A": ssh: setenv failed'
            assert node.commands == []
            [(severity, message)] = plugin.engine.diagnostics()
            assert severity == "ERROR"
            assert message.startswith("Unable to set 'A'. This only works if your SSH server is")

    run(test())


def test_an_accepted_variable_arrives() -> None:
    async def test() -> None:
        async with plugin_and_host(accept_env=True) as (plugin, node):
            properties = {
                "connection": node.connection(),
                "create": "echo $A",
                "environment": {"A": "b"},
            }
            assert (await create(plugin, properties))["stdout"] == "b"

    run(test())


@pytest.mark.parametrize("wanted", [None, False])
def test_previous_output_is_offered_and_its_refusal_only_warned_of(wanted: bool | None) -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            inputs: dict[str, Any] = {"connection": node.connection(), "create": "echo v2"}
            if wanted is not None:
                inputs["addPreviousOutputInEnv"] = wanted
            request = {
                "id": "c1",
                "urn": urn(REMOTE),
                "olds": {**inputs, "stdout": "v1", "stderr": ""},
                "news": inputs,
            }
            reply = await plugin.call("Update", request)
            assert reply["properties"]["stdout"] == "v2"
            warned = [severity for severity, _ in plugin.engine.diagnostics()]
            assert warned == (["WARNING"] if wanted is None else [])

    run(test())


def test_delete_runs_what_the_state_says_and_nothing_without_it() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            state = {"connection": node.connection(), "stdout": "", "stderr": ""}
            nowhere = {"connection": node.connection(port=free_port())}
            await plugin.call("Delete", {"id": "a", "urn": urn(REMOTE), "properties": nowhere})
            state["delete"] = "echo gone"
            await plugin.call("Delete", {"id": "a", "urn": urn(REMOTE), "properties": state})
            assert node.commands == ["echo gone"]

    run(test())


def test_commands_for_one_host_run_side_by_side_over_one_connection() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            connection = node.connection(hostKey=node.public_host_key)
            outputs = await asyncio.gather(
                *(
                    create(plugin, {"connection": connection, "create": f"sleep 0.5; echo {n}"})
                    for n in range(8)
                )
            )
            assert [each["stdout"] for each in outputs] == [str(n) for n in range(8)]
            assert node.most_running == 8
            assert len(node.connections) == 1

    run(test())


def test_more_commands_than_a_connection_takes_get_further_connections() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            commands = [
                create(plugin, {"connection": node.connection(), "create": "sleep 0.5"})
                for _ in range(20)
            ]
            await asyncio.gather(*commands)
            assert len(node.commands) == 20
            assert 2 < len(node.connections) < 6

    run(test())


def test_a_server_that_allows_one_session_per_connection_serves_all() -> None:
    async def test() -> None:
        async with plugin_and_host(max_sessions=1) as (plugin, node):
            commands = [
                create(plugin, {"connection": node.connection(), "create": "sleep 0.2"})
                for _ in range(4)
            ]
            await asyncio.gather(*commands)
            assert len(node.commands) == 4

    run(test())


def test_a_connection_that_died_between_two_commands_is_replaced() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            properties = {"connection": node.connection(), "create": "echo on"}
            await create(plugin, properties)
            node.connections[0].abort()
            assert (await create(plugin, properties))["stdout"] == "on"
            assert len(node.commands) == len(node.connections) == 2

    run(test())


def test_a_connection_that_dies_in_the_middle_is_an_error_and_the_command_is_not_repeated() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            properties = {"connection": node.connection(), "create": "echo begun; sleep 30"}
            task = asyncio.create_task(failure(create(plugin, properties)))
            while "begun" not in plugin.engine.status():
                await asyncio.sleep(0.02)
            node.connections[0].abort()
            _, text = await task
            assert text.startswith("wait: remote command exited without exit status or exit signal")
            assert text.endswith("begun\n")
            assert len(node.commands) == 1

    run(test())


def test_a_line_of_a_megabyte_and_a_stdin_of_a_megabyte_pass() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            properties = {
                "connection": node.connection(),
                "create": "cat",
                "stdin": "x" * MEGABYTE + "\nend",
            }
            outputs = await create(plugin, properties)
            assert outputs["stdout"] == "x" * MEGABYTE + "\nend"
            first, last = plugin.engine.status()
            assert (len(first), last) == (64 * 1024, "end")

    run(test())


def test_a_stdin_nobody_reads_is_no_failure() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            properties = {
                "connection": node.connection(),
                "create": "exec 0<&-; echo done",
                "stdin": "x" * MEGABYTE,
            }
            assert (await create(plugin, properties))["stdout"] == "done"

    run(test())


def test_fifty_megabytes_of_output_pass_even_if_the_engine_is_slow() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            plugin.engine.slow = 0.01
            script = "yes 0123456789012345678901234567890123456789 | head -c 52428800"
            outputs = await create(plugin, {"connection": node.connection(), "create": script})
            assert len(outputs["stdout"]) == 50 * MEGABYTE

    run(test())


def test_thirty_megabytes_without_a_line_break_pass() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            script = "yes | tr -d '\\n' | head -c 31457280"
            outputs = await create(plugin, {"connection": node.connection(), "create": script})
            assert len(outputs["stdout"]) == 30 * MEGABYTE

    run(test())


def test_a_failure_after_much_output_quotes_both_ends() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            script = "echo first; yes | head -c 20971520; echo last; exit 1"
            properties = {"connection": node.connection(), "create": script, "logging": "none"}
            _, text = await failure(create(plugin, properties))
            assert text.startswith("Process exited with status 1: running ")
            assert "\nfirst\n" in text
            assert "bytes left out" in text
            assert text.endswith("\nlast\n")
            assert len(text) < MEGABYTE

    run(test())


def test_a_refused_port_is_tried_as_often_as_allowed() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            port = free_port()
            connection = node.connection(port=port, dialErrorLimit=2)
            _, text = await failure(create(plugin, {"connection": connection, "create": "true"}))
            assert text == (
                f"after 2 failed attempts: dial tcp 127.0.0.1:{port}: connect: connection refused"
            )
            assert plugin.engine.status() == [
                "Dial 1/2 failed: retrying",
                "Dial 2/2 failed: retrying",
            ]

    run(test())


def test_a_host_that_comes_up_late_is_waited_for_without_limit() -> None:
    async def test() -> None:
        async with served(CommandProvider) as plugin, running(Host()) as node:
            properties = {
                "connection": node.connection(port=(port := free_port()), dialErrorLimit=-1),
                "create": "echo up",
            }
            task = asyncio.create_task(create(plugin, properties))
            while "Dial 2/inf failed: retrying" not in plugin.engine.status():
                await asyncio.sleep(0.02)

            async def forward(reader: Any, writer: Any) -> None:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", node.port)
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

            await asyncio.start_server(forward, "127.0.0.1", port)
            assert (await task)["stdout"] == "up"

    run(test())


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


def test_a_host_that_does_not_answer_is_given_up_in_time() -> None:
    async def test() -> None:
        with black_hole() as port:
            async with plugin_and_host() as (plugin, node):
                connection = node.connection(port=port, perDialTimeout=1)
                code, text = await failure(
                    create(plugin, {"connection": connection, "create": "true"})
                )
                assert code is grpc.StatusCode.DEADLINE_EXCEEDED
                assert text == f"after 0 failed attempts: dial tcp 127.0.0.1:{port}: i/o timeout"

    run(test())


def test_a_name_nobody_knows_is_said_so() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            connection = node.connection(host="node.invalid")
            _, text = await failure(create(plugin, {"connection": connection, "create": "true"}))
            assert "lookup node.invalid: no such host" in text

    run(test())


def test_another_host_key_is_refused_and_the_right_one_accepted() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            wrong = Host().public_host_key
            properties = {"connection": node.connection(hostKey=wrong), "create": "true"}
            _, text = await failure(create(plugin, properties))
            assert text == "after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch"
            right = node.connection(hostKey=f"{node.public_host_key} root@somewhere")
            await create(plugin, {"connection": right, "create": "true"})

    run(test())


def test_a_password_is_enough_and_a_wrong_one_named_as_the_method_tried() -> None:
    async def test() -> None:
        async with plugin_and_host(password="right") as (plugin, node):
            good = node.connection(privateKey=None, password="right")
            assert (await create(plugin, {"connection": good, "create": "echo in"}))["stdout"]
            bad = node.connection(privateKey=None, password="wrong-password")
            _, text = await failure(create(plugin, {"connection": bad, "create": "true"}))
            assert text == (
                "after 0 failed attempts: ssh: handshake failed: ssh: unable to authenticate,"
                " attempted methods [none password], no supported methods remain"
            )

    run(test())


def test_an_unknown_key_is_refused_and_named() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            stranger = node.connection(privateKey=Host().private_key)
            _, text = await failure(create(plugin, {"connection": stranger, "create": "true"}))
            assert "attempted methods [none publickey], no supported methods remain" in text

    run(test())


@pytest.mark.parametrize("form", ["pkcs8-pem", "openssh"])
def test_an_encrypted_key_needs_its_password(form: str) -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            locked = node.key.export_private_key(form, passphrase="open").decode()
            for password, expected in (
                (None, "ssh: this private key is passphrase protected"),
                ("shut", "x509: decryption password incorrect"),
            ):
                connection = node.connection(privateKey=locked, privateKeyPassword=password)
                made = create(plugin, {"connection": connection, "create": "true"})
                assert (await failure(made))[1] == expected
            connection = node.connection(privateKey=locked, privateKeyPassword="open")
            await create(plugin, {"connection": connection, "create": "true"})

    run(test())


def test_no_key_at_all_is_said_so_without_quoting_it() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            connection = node.connection(privateKey="not a key, but secret")
            _, text = await failure(create(plugin, {"connection": connection, "create": "true"}))
            assert text == "ssh: no key found"

    run(test())


def test_an_agent_lends_its_key(tmp_path: Path) -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            path = str(tmp_path / "agent")
            async with _agent(path, node):
                connection = node.connection(privateKey=None, agentSocketPath=path)
                outputs = await create(plugin, {"connection": connection, "create": "echo in"})
                assert outputs["stdout"] == "in"
            gone = str(tmp_path / "gone")
            connection = node.connection(agentSocketPath=gone)
            _, text = await failure(create(plugin, {"connection": connection, "create": "true"}))
            assert text == f"dial unix {gone}: connect: no such file or directory"

    run(test())


@contextlib.asynccontextmanager
async def _agent(path: str, node: Host) -> AsyncIterator[None]:
    """An ssh-agent that holds the node's key."""
    from asyncssh.packet import Byte, SSHPacket, String, UInt32

    key = node.key

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                packet = SSHPacket(await reader.readexactly(size))
                if packet.get_byte() == 11:
                    answer = Byte(12) + UInt32(1) + String(key.public_data) + String(b"a comment")
                else:
                    _, data = packet.get_string(), packet.get_string()
                    answer = Byte(14) + String(key.sign(data, key.algorithm))
                writer.write(String(answer))
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()


def test_a_bastion_leads_to_a_host_behind_it() -> None:
    async def test() -> None:
        async with (
            running(Host(user="jump", password="hop")) as bastion,
            plugin_and_host() as (plugin, node),
        ):
            proxy = bastion.connection(privateKey=None, password="hop")
            proxy["hostKey"] = bastion.public_host_key
            connection = node.connection(proxy=proxy, hostKey=node.public_host_key)
            outputs = await create(plugin, {"connection": connection, "create": "hostname"})
            assert outputs["stdout"] == "node-10"
            assert bastion.commands == []
            assert len(bastion.connections) == 1

    run(test())


def test_each_leg_of_the_way_through_a_bastion_names_itself_when_it_fails() -> None:
    async def test() -> None:
        async with running(Host()) as bastion, plugin_and_host() as (plugin, node):
            port = free_port()
            wrong_key = Host().public_host_key
            failed_at_once = "proxy: after 0 failed attempts"
            for connection, expected in (
                (
                    node.connection(proxy=bastion.connection(port=port)),
                    f"{failed_at_once}: dial tcp 127.0.0.1:{port}: connect: connection refused",
                ),
                (
                    node.connection(port=port, proxy=bastion.connection()),
                    f"{failed_at_once}: ssh: rejected: ",
                ),
                (
                    node.connection(hostKey=wrong_key, proxy=bastion.connection()),
                    f"{failed_at_once}: ssh: handshake failed: ssh: host key mismatch",
                ),
            ):
                made = create(plugin, {"connection": connection, "create": "true"})
                assert (await failure(made))[1].startswith(expected)

    run(test())


def test_cancel_ends_a_running_command_at_once_and_on_the_host_too() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            properties = {"connection": node.connection(), "create": "echo begun; sleep 30"}
            task = asyncio.create_task(failure(create(plugin, properties)))
            while "begun" not in plugin.engine.status():
                await asyncio.sleep(0.02)
            started = time.monotonic()
            await plugin.call("Cancel", {})
            code, text = await task
            assert (code, text) == (grpc.StatusCode.CANCELLED, "context canceled")
            assert time.monotonic() - started < 10
            while node.running:
                await asyncio.sleep(0.02)

    run(test())


def test_cancel_ends_dialling() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            connection = node.connection(port=free_port(), dialErrorLimit=-1)
            made = create(plugin, {"connection": connection, "create": "true"})
            task = asyncio.create_task(failure(made))
            while not plugin.engine.status():
                await asyncio.sleep(0.02)
            await plugin.call("Cancel", {})
            assert (await task)[0] is grpc.StatusCode.CANCELLED

    run(test())


def test_a_time_limit_of_the_resource_ends_the_command() -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            properties = {"connection": node.connection(), "create": "sleep 30"}
            code, text = await failure(create(plugin, properties, timeout=1))
            assert code is grpc.StatusCode.DEADLINE_EXCEEDED
            assert text == "context deadline exceeded"

    run(test())


def test_a_local_command_gets_its_folder_environment_interpreter_and_stdin(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(CommandProvider) as plugin:
            outputs = await create(
                plugin,
                {
                    "create": "pwd; echo $A; cat; echo oops >&2",
                    "dir": str(tmp_path),
                    "environment": {"A": "b"},
                    "interpreter": ["/bin/sh", "-e", "-c"],
                    "stdin": "in",
                },
                LOCAL,
            )
            assert outputs["stdout"] == f"{tmp_path}\nb\nin"
            assert outputs["stderr"] == "oops"
            for script, ending in (("exit 3", "exit status 3"), ("kill -9 $$", "signal: killed")):
                _, text = await failure(create(plugin, {"create": script}, LOCAL))
                assert text == f'{ending}: running "{script}":\n'

    run(test())


def test_a_cancelled_local_command_is_killed_with_its_children(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(CommandProvider) as plugin:
            mark = tmp_path / "mark"
            script = f"echo begun; (sleep 1; touch {mark}) & wait"
            task = asyncio.create_task(failure(create(plugin, {"create": script}, LOCAL)))
            while "begun" not in plugin.engine.status():
                await asyncio.sleep(0.02)
            await plugin.call("Cancel", {})
            assert (await task)[0] is grpc.StatusCode.CANCELLED
            await asyncio.sleep(1.2)
            assert not mark.exists()

    run(test())


def test_a_text_and_a_file_are_copied_into_folders_made_for_them(tmp_path: Path) -> None:
    async def test() -> None:
        async with plugin_and_host() as (plugin, node):
            source = tmp_path / "source"
            source.write_bytes(bytes(range(256)) * 5000)
            for asset, content in (
                ({"text": "hällo\n"}, "hällo\n".encode()),
                ({"path": str(source)}, source.read_bytes()),
            ):
                target = tmp_path / "deep" / "er" / "target"
                properties = {
                    "connection": node.connection(),
                    "remotePath": str(target),
                    "source": {SIG: ASSET_MARK, **asset},
                }
                await create(plugin, properties, COPY)
                assert target.read_bytes() == content
            properties["remotePath"] = str(tmp_path / "deep")
            await create(plugin, properties, COPY)
            assert (tmp_path / "deep" / "source").read_bytes() == source.read_bytes()

    run(test())


def test_check_names_unknown_properties_without_their_values() -> None:
    async def test() -> None:
        async with served(CommandProvider) as plugin:
            news = {"connection": {"host": "h", "privatKey": "top-secret"}, "creat": "x"}
            reply = await plugin.call("Check", {"urn": urn(REMOTE), "news": news})
            reasons = [failure["reason"] for failure in reply["failures"]]
            assert reasons == [
                "Unknown property 'creat'",
                "Unknown property 'connection.privatKey'",
            ]

    run(test())


def test_check_completes_and_seals_a_connection_and_its_bastion() -> None:
    async def test() -> None:
        async with served(CommandProvider) as plugin:
            news = {"connection": {"host": "h", "proxy": {"host": "b", "password": "p"}}}
            reply = await plugin.call("Check", {"urn": urn(REMOTE), "news": news})
            defaults = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
            proxy = {"host": "b", "password": {SIG: SECRET_MARK, "value": "p"}, **defaults}
            sealed = {"host": "h", "proxy": proxy, **defaults}
            assert reply == {"inputs": {"connection": {SIG: SECRET_MARK, "value": sealed}}}

    run(test())


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Invoke", {"tok": "command:local:run"}),
        ("Create", {"urn": urn("command:remote:CopyFile")}),
        ("Read", {"urn": urn(REMOTE), "id": "imported"}),
        ("Create", {"urn": urn(LOCAL), "properties": {"create": "true", "assetPaths": ["*"]}}),
    ],
)
def test_what_it_cannot_do_is_refused_clearly(method: str, request_: dict[str, Any]) -> None:
    async def test() -> None:
        async with served(CommandProvider) as plugin:
            _, text = await failure(plugin.call(method, request_))
            assert "not supported by the stand-in" in text

    run(test())
