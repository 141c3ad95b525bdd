"""Which key a machine accepts: the real `ssh` and agent, at a real SSH server."""

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from etcd_component.ssh import Access, CannotLogIn

MakeKey = Callable[..., Path]


class Server:
    """An SSH server on loopback, and what it lets in."""

    def __init__(self, authorized: Path, host_key: Path) -> None:
        self._authorized = authorized
        authorized.touch()
        self.connections = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=[host_key])
        self._thread.start()
        assert self._ready.wait(30)

    def accept(self, key: Path, options: str = "") -> None:
        public = key.with_name(f"{key.name}.pub").read_text()
        self._authorized.write_text(f"{options} {public}" if options else public)

    def _run(self, host_key: Path) -> None:
        async def serve() -> None:
            listening = await asyncssh.listen(
                "127.0.0.1",
                0,
                server_host_keys=[str(host_key)],
                server_factory=self._connected,
                process_factory=lambda process: process.exit(0),
            )
            self.port = listening.get_port()
            self._ready.set()

        self._loop.create_task(serve())
        self._loop.run_forever()

    def _connected(self) -> asyncssh.SSHServer:
        self.connections += 1
        authorized = str(self._authorized)

        class Asking(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                self._conn = conn

            def begin_auth(self, username: str) -> bool:
                self._conn.set_authorized_keys(authorized)
                return True

            def connection_requested(self, *where: object) -> bool:
                return True

        return Asking()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.fixture
def server(tmp_path: Path, make_key: MakeKey) -> Iterator[Server]:
    running = Server(tmp_path / "authorized", make_key("host"))
    yield running
    running.close()


@pytest.fixture
def access(tmp_path: Path, server: Server) -> Access:
    """A person without keys, to whom every host is known."""
    (tmp_path / ".ssh").mkdir()
    return Access(home=tmp_path, port=server.port, check_host_keys=False)


@pytest.fixture
def with_agent(
    access: Access, agent: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Access]:
    """The same with an agent that holds keys."""

    def holding(*keys: Path) -> Access:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        for key in keys:
            subprocess.run(["ssh-add", "-q", str(key)], check=True, env=os.environ)
        return Access(
            home=access.home, port=access.port, check_host_keys=False, agent_socket=str(agent)
        )

    return holding


HOST = "127.0.0.1"


def test_an_agent_whose_keys_are_refused_gives_way_to_a_file(
    with_agent: Callable[..., Access], server: Server, make_key: MakeKey
) -> None:
    file = make_key(".ssh/id_rsa")
    server.accept(file)
    login = with_agent(make_key("other")).login(HOST)
    assert (login.agent, login.private_key) == (False, file.read_text())
    assert server.connections == 1  # a login that fails is remembered by sshd


def test_an_agent_whose_key_is_accepted_comes_before_a_file(
    with_agent: Callable[..., Access], server: Server, make_key: MakeKey
) -> None:
    make_key(".ssh/id_ed25519")
    held = make_key("held")
    server.accept(held)
    assert with_agent(held).login(HOST).agent


def test_a_file_that_is_named_comes_before_an_agent_without_it(
    with_agent: Callable[..., Access], access: Access, server: Server, make_key: MakeKey
) -> None:
    named, held = make_key("named"), make_key("held")
    (access.home / ".ssh" / "config").write_text(f"IdentityFile {named}\n")
    reached = with_agent(held)
    server.accept(named)
    assert reached.login(HOST).private_key == named.read_text()
    server.accept(held)
    assert reached.login(HOST).agent
    (access.home / ".ssh" / "config").write_text(f"IdentityFile {named}\nIdentitiesOnly yes\n")
    assert reached.login(HOST).private_key == named.read_text()


def test_of_several_files_the_one_that_is_accepted_is_taken(
    access: Access, server: Server, make_key: MakeKey
) -> None:
    make_key(".ssh/id_ed25519")
    second = make_key(".ssh/id_ecdsa", "ecdsa")
    server.accept(second)
    assert access.login(HOST).private_key == second.read_text()


def test_behind_a_bastion_each_machine_is_asked_and_the_bastion_once(
    access: Access, server: Server, make_key: MakeKey
) -> None:
    make_key(".ssh/id_ed25519")
    second = make_key(".ssh/id_ecdsa", "ecdsa")
    server.accept(second)
    (access.home / ".ssh" / "config").write_text(
        f"Host gate\n  HostName {HOST}\n  Port {server.port}\n"
        f"Host {HOST} localhost\n  ProxyJump gate\n"
    )
    for host in (HOST, "localhost"):
        login = access.login(host)
        assert login.bastion is not None
        assert (login.private_key, login.bastion.private_key) == (second.read_text(),) * 2
    assert server.connections == 1 + 2 * 2


def test_refused_keys_are_named(access: Access, server: Server, make_key: MakeKey) -> None:
    first, second = make_key(".ssh/id_ed25519"), make_key(".ssh/id_ecdsa", "ecdsa")
    server.accept(make_key("another"))
    with pytest.raises(CannotLogIn) as refusal:
        access.login(HOST)
    ((problem, cure),) = refusal.value.findings
    port = server.port
    assert problem == f"root@{HOST} port {port} refuses every key: {first}, {second}"
    assert "ssh-copy-id" in cure


def test_a_machine_that_is_away_refuses_no_key(access: Access, make_key: MakeKey) -> None:
    first = make_key(".ssh/id_ed25519")
    make_key(".ssh/id_ecdsa", "ecdsa")
    assert access.login(HOST, port=1).private_key == first.read_text()


def test_nothing_is_tried_where_only_one_key_is_meant(
    with_agent: Callable[..., Access], server: Server, make_key: MakeKey
) -> None:
    held = make_key(".ssh/id_ed25519")
    access = with_agent(held)
    assert access.login(HOST).agent
    assert access.login(HOST, private_key_file=held).private_key == held.read_text()
    assert server.connections == 0


def test_a_certificate_is_used_by_way_of_an_agent(
    with_agent: Callable[..., Access], access: Access, server: Server, make_key: MakeKey
) -> None:
    authority, key = make_key("authority"), make_key(".ssh/id_ed25519")
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", "root", f"{key}.pub"]
    subprocess.run(sign, check=True)
    server.accept(authority, "cert-authority")
    with pytest.raises(CannotLogIn) as refusal:
        access.login(HOST)
    ((_, cure),) = refusal.value.findings
    assert f"certificates from an agent only: run `ssh-add {key}`" in cure
    assert not cure.endswith("beside it")
    # The cure.
    assert with_agent(key).login(HOST).agent
    # Where the key alone does, the certificate is not missed.
    server.accept(key)
    assert access.login(HOST).private_key == key.read_text()
