"""`make destroy` where machines are off, frozen, or let nobody in."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from etcd_component import backend
from etcd_component.recorded import COMMAND
from tests.toolchain.conftest import Project
from toolchain import destroy

SCRIPT = (
    "sudo -n sh -s -- uninstall \\\n"
    "  .etcd-node/etcd-node-etcd-2-root-10.9.9.9 /etc/etcd/etcd/claim \\\n"
    "  --cluster etcd \\\n  --reseat 2 \\\n"
    "  --owner 0123456789abcdef \\\n  --remove-data"
)
URN = "urn:pulumi:three::etcd::etcd:index:Cluster$etcd:index:Instance$command:remote:Command::"


def command(name: str, host: str = "10.9.9.9", port: int = 22, **more: Any) -> dict[str, Any]:
    """A Command as the state has it."""
    inputs = {
        "connection": {"host": host, "port": port, "user": "root", "privateKey": "no key"},
        "create": "sudo -n sh -s preflight --data /data/etcd",
        "delete": SCRIPT,
    }
    return {
        "urn": URN + name,
        "custom": True,
        "id": name,
        "type": COMMAND,
        "inputs": inputs,
        "outputs": dict(inputs),
        **more,
    }


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def serve(listener: socket.socket, banner: bytes) -> int:
    def answer() -> None:
        line, _ = listener.accept()
        with line:
            line.sendall(banner)

    threading.Thread(target=answer, daemon=True).start()
    return int(listener.getsockname()[1])


def test_a_port_that_accepts_and_keeps_silent_is_a_machine_that_is_away(
    listener: socket.socket,
) -> None:
    reason = destroy.silent("127.0.0.1", listener.getsockname()[1])
    assert "within 2 s" in reason


def test_a_port_that_refuses_or_speaks_something_else_is_named(listener: socket.socket) -> None:
    assert "no SSH server" in destroy.silent("127.0.0.1", serve(listener, b"HTTP/1.1 400\r\n"))
    port = listener.getsockname()[1]
    listener.close()
    assert destroy.silent("127.0.0.1", port) == "connection refused"


def test_a_server_that_greets_is_there(listener: socket.socket) -> None:
    assert destroy.silent("127.0.0.1", serve(listener, b"SSH-2.0-x\r\n")) == ""


def test_a_machine_that_greets_and_lets_nobody_in_is_away_too(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    monkeypatch.setattr(destroy, "LOGIN_SECONDS", 1)
    port = serve(listener, b"SSH-2.0-x\r\n")
    (one,) = destroy.erasures({"resources": [command("etcd-2-node", "127.0.0.1", port)]})
    assert [login.host for login in destroy.away([one])] == ["127.0.0.1"]


def test_machines_behind_one_address_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {2201: "no answer on port 2201 within 2 s", 2202: ""}
    asked: list[int] = []

    def silent(_: str, port: int) -> str:
        asked.append(port)
        return reasons[port]

    monkeypatch.setattr(destroy, "silent", silent)
    monkeypatch.setattr(destroy, "why_away", lambda _, mute, __: mute)
    commands = [command(f"etcd-{port - 2200}-node", port=port) for port in reasons]
    other = command("etcd-3-node", port=2202)
    other["inputs"]["connection"]["user"] = "other"
    commands.append(other)
    found = destroy.away(destroy.erasures({"resources": commands}))
    assert [login.port for login in found] == [2201]
    # Each once, whoever logs in there.
    assert sorted(asked) == [2201, 2202]


def test_what_is_run_on_machines_is_read_from_the_state() -> None:
    kept = command("etcd-2-member", deletedWith="genesis")
    without = command("etcd-2-config")
    del without["inputs"]["delete"]
    monitor = command("monitor-node")
    monitor["urn"] = monitor["urn"].replace("etcd:index:Cluster", "etcd:index:Monitor")
    monitor["inputs"]["delete"] = (
        "sudo -n sh -s -- uninstall .etcd-node/etcd-monitor-x /etc/etcd-monitor/owner"
        " --owner x --remove-data"
    )
    found = destroy.erasures({"resources": [command("etcd-2-node"), kept, without, monitor]})
    assert [(one.name, one.host, one.data) for one in found] == [
        ("etcd-2", "10.9.9.9", "/data/etcd"),
        ("monitor", "10.9.9.9", "/data/etcd"),
    ]
    options = "--cluster etcd --remove-data --name etcd-2 --yes"
    assert found[0].by_hand == f"etcd-node uninstall {options}"
    assert found[1].by_hand == "etcd-monitor uninstall --remove-data --yes"


def test_nothing_is_done_where_nobody_says_yes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {"deployment": {"resources": [command("etcd-2-node", "127.0.0.1", 1)]}}
    monkeypatch.setattr(backend, "ask", lambda *_: json.dumps(state))
    monkeypatch.setattr(destroy, "destroy", lambda *_: pytest.fail("destroyed"))
    monkeypatch.setattr(destroy, "leave_alone", lambda *_: pytest.fail("changed the state"))
    assert destroy.run("three", lab=False, confirm=lambda _: False) == 1
    told = capsys.readouterr().err
    assert "etcd-2 on 127.0.0.1: connection refused" in told
    assert "Nothing was changed" in told


def with_commands(project: Project, *commands: dict[str, Any]) -> None:
    state = project.state()
    own = list(state["deployment"].get("resources") or [])
    state["deployment"]["resources"] = [*own, *commands]
    project.pulumi("stack", "import", "--stack", "three", stdin=json.dumps(state))


def deletes(project: Project) -> dict[str, bool]:
    """Whether the outputs of each Command have something to run at its deletion."""
    resources = project.state()["deployment"].get("resources") or []
    return {one["id"]: "delete" in one["outputs"] for one in resources if one["type"] == COMMAND}


def test_only_machines_that_are_away_are_left_alone_and_the_state_is_as_before_in_the_end(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in project.backend.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.directory)
    with_commands(project, command("etcd-1-node"), command("etcd-2-node"))
    destroy.leave_alone("three", {URN + "etcd-2-node"})
    assert deletes(project) == {"etcd-1-node": True, "etcd-2-node": False}
    # What a run that was killed here left is put right by the next one.
    destroy.leave_alone("three", {URN + "etcd-1-node"})
    assert deletes(project) == {"etcd-1-node": False, "etcd-2-node": True}
    destroy.leave_alone("three", set())
    assert deletes(project) == {"etcd-1-node": True, "etcd-2-node": True}
