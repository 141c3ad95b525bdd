"""A machine whose SSH port accepts connections and says nothing is found, and no other."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from etcd_component import banner
from etcd_component.banner import Banners
from etcd_component.inventory import Plan
from etcd_component.model import Cluster, Monitor, Node
from tests.unit.recording import cluster, node

BANNER = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
Serve = Callable[..., int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Listen on a port of this machine that says these texts, each after a tenth of a second.

    With `close` it then ends the connection; otherwise it leaves it open.
    """
    with contextlib.ExitStack() as stack:

        def start(*texts: bytes, close: bool = False) -> int:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def answer() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        accepted = stack.enter_context(server.accept()[0])
                        for text in texts:
                            time.sleep(0.1)
                            accepted.sendall(text)
                        if close:
                            accepted.close()

            threading.Thread(target=answer, daemon=True).start()
            port: int = server.getsockname()[1]
            return port

        yield start


def at(ports: list[int], bastion: int | None = None, *, lost: bool = False) -> Plan:
    """A plan with a cluster whose machines have these SSH ports."""
    made = cluster(len(ports))
    instances = [
        replace(one, node=_reached(one.node, port, bastion), lost=lost)
        for one, port in zip(made.instances, ports, strict=True)
    ]
    return Plan((Cluster(made.name, tuple(instances), made.settings),), ())


def _reached(machine: Node, port: int, bastion: int | None) -> Node:
    hop = None if bastion is None else replace(machine.login, host="127.0.0.1", port=bastion)
    return Node(machine.address, replace(machine.login, host="127.0.0.1", port=port, bastion=hop))


def test_a_silent_port_is_named_with_its_instance_and_the_cure(serve: Serve) -> None:
    fine, mute = serve(BANNER), serve()
    (complaint,) = Banners(at([fine, mute])).complaints()
    assert complaint.startswith(f"etcd-2 at 127.0.0.1:{mute} accepts connections but shows no SSH")
    assert "Restart the machine" in complaint
    assert "gets `etcd_lost: true`" in complaint


@pytest.mark.parametrize(
    "texts",
    [[BANNER], [b"Authorised use only\r\n", BANNER], [b"SSH-", b"2.0-dropbear\r\n"]],
    ids=["banner", "with words before", "in pieces"],
)
def test_an_ssh_server_is_known_by_its_banner(serve: Serve, texts: list[bytes]) -> None:
    began = time.monotonic()
    assert Banners(at([serve(*texts)])).complaints() == []
    assert time.monotonic() - began < banner.SECONDS / 2


def test_a_server_that_waits_for_the_client_s_banner_is_no_silent_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            accepted = server.accept()[0]
            with accepted:
                if accepted.recv(100).startswith(b"SSH-2.0-"):
                    accepted.sendall(BANNER)

        threading.Thread(target=answer, daemon=True).start()
        assert Banners(at([server.getsockname()[1]])).complaints() == []


def test_a_server_that_says_something_else_and_waits_is_silent_too(serve: Serve) -> None:
    assert len(Banners(at([serve(b"220 mail ESMTP\r\n")])).complaints()) == 1


def test_what_refuses_or_hangs_up_is_left_to_the_provider(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        refuses = server.getsockname()[1]
    assert Banners(at([refuses, serve(close=True)])).complaints() == []


def test_all_ports_are_looked_at_at_once(serve: Serve) -> None:
    began = time.monotonic()
    assert len(Banners(at([serve() for _ in range(5)])).complaints()) == 5
    assert time.monotonic() - began < banner.SECONDS + 0.8


def test_a_lost_machine_is_not_dialled(serve: Serve) -> None:
    assert Banners(at([serve()], lost=True)).complaints() == []
    monitor = Monitor(_reached(node("10.10.10.20"), serve(), None), lost=True)
    assert Banners(Plan((), (), monitor)).complaints() == []


def test_of_machines_behind_a_bastion_the_bastion_is_looked_at(serve: Serve) -> None:
    mute = serve()
    (complaint,) = Banners(at([22, 22], bastion=mute)).complaints()
    assert complaint.startswith(f"the bastion 127.0.0.1:{mute} of etcd-1, etcd-2 accepts")
    assert "etcd:sshBastion" in complaint


def test_the_monitor_s_machine_is_looked_at_too(serve: Serve) -> None:
    monitor = Monitor(_reached(node("10.10.10.20"), serve(), None))
    (complaint,) = Banners(Plan((), (), monitor)).complaints()
    assert complaint.startswith("the monitor at 127.0.0.1:")
    assert "etcd_lost" not in complaint
    assert "`lost: true`" in complaint
