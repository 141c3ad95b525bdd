"""What `~/.ssh/config` says of a host, as the real `ssh -G` resolves it."""

import contextlib
import dataclasses
import socket
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from etcd_component.ssh import Access, CannotLogIn, Hop, Login, config, offer, tools

MakeKey = Callable[..., Path]
Configured = Callable[..., Access]


@pytest.fixture
def configured(tmp_path: Path, make_key: MakeKey) -> Configured:
    """Access of a person with this `~/.ssh/config`, a default key, and no agent."""
    folder = tmp_path / ".ssh"
    folder.mkdir()
    make_key(".ssh/id_ed25519")

    def write(text: str, **more: object) -> Access:
        (folder / "config").write_text(textwrap.dedent(text))
        return Access(home=tmp_path, **{"check_host_keys": False, **more})  # type: ignore[arg-type]

    return write


def way(login: Login) -> str:
    """As an URL would have it."""
    return f"{login.user}@{login.host}:{login.port}"


def refused(access: Access, host: str, **more: object) -> list[tuple[str, str]]:
    with pytest.raises(CannotLogIn) as refusal:
        access.login(host, **more)  # type: ignore[arg-type]
    return list(refusal.value.findings)


def public(file: Path) -> str:
    return " ".join(file.with_name(f"{file.name}.pub").read_text().split()[:2])


def test_a_host_is_what_the_configuration_makes_of_it(
    configured: Configured, tmp_path: Path, make_key: MakeKey
) -> None:
    key = make_key("own key")
    access = configured(
        f"""
        Host n1
            HostName 10.10.10.10
            User admin
            Port 2222
            IdentityFile "{key}"
        """
    )
    login = access.login("n1")
    assert way(login) == "admin@10.10.10.10:2222"
    assert login.sudo
    assert login.private_key == key.read_text()
    assert login.bastion is None


def test_what_is_not_configured_is_as_ever(configured: Configured, tmp_path: Path) -> None:
    login = configured("Host other\n  User admin\n").login("10.10.10.10")
    assert way(login) == "root@10.10.10.10:22"
    assert login.private_key == (tmp_path / ".ssh" / "id_ed25519").read_text()


def test_inventory_and_settings_win_over_the_configuration(
    configured: Configured, make_key: MakeKey
) -> None:
    text = f"Host *\n  User bob\n  Port 2222\n  IdentityFile {make_key('theirs')}\n"
    own = make_key("own")
    assert way(configured(text).login("h")) == "bob@h:2222"
    login = configured(text, user="dba", port=22, private_key_file=own).login("h")
    assert (way(login), login.private_key) == ("dba@h:22", own.read_text())
    assert way(configured(text, user="dba").login("h", user="eve", port=23)) == "eve@h:23"
    assert configured(text, private_key=own.read_text()).login("h").private_key == own.read_text()


def test_a_match_sees_the_user_of_the_inventory(configured: Configured) -> None:
    access = configured("Match user admin\n  Port 2222\n")
    assert access.login("h").port == 22
    assert access.login("h", user="admin").port == 2222


def test_files_may_be_included(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "more").write_text("Host n1\n  HostName 10.10.10.10\n")
    access = configured(f"Include {tmp_path}/more\nHost *\n  User admin\n")
    assert way(access.login("n1")) == "admin@10.10.10.10:22"


def test_tilde_and_tokens_in_paths_are_expanded(configured: Configured, make_key: MakeKey) -> None:
    key = make_key(".ssh/n1-bob-2222")
    access = configured("IdentityFile ~/.ssh/%n-%r-%p\nHost n1\n  User bob\n  Port 2222\n")
    assert access.login("n1").private_key == key.read_text()


def test_tokens_for_this_machine_are_expanded(
    configured: Configured, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "desk.example")
    key = make_key(".ssh/desk-desk.example")
    access = configured("IdentityFile ~/.ssh/%L-%l\n")
    assert access.login("n1").private_key == key.read_text()


def test_the_first_identity_that_can_be_used_is_taken(
    configured: Configured, make_key: MakeKey
) -> None:
    locked, second = make_key("locked", passphrase="open sesame"), make_key("second")
    text = f"Host *\n  IdentityFile /missing\n  IdentityFile {locked}\n  IdentityFile {second}\n"
    assert configured(text).login("h").private_key == second.read_text()
    login = configured(text, passphrase="open sesame").login("h")
    assert login.private_key == locked.read_text()


def test_identities_that_are_missing_are_named(configured: Configured) -> None:
    ((problem, _),) = refused(configured("IdentityFile /nowhere/key\n"), "h")
    assert "/nowhere has none of key" in problem


def test_a_name_that_no_file_can_have_is_no_file(configured: Configured, tmp_path: Path) -> None:
    long = "x" * 300
    access = configured(
        f"Include {long}\nCertificateFile ~/{long}\nIdentityFile ~/{long}\n"
        f"IdentityFile ~/.ssh/id_ed25519\nUserKnownHostsFile {tmp_path}/{long}\n"
    )
    assert access.login("h").private_key == (tmp_path / ".ssh" / "id_ed25519").read_text()
    ((problem, _),) = refused(dataclasses.replace(access, check_host_keys=True), "h")
    assert problem == f"the host key of h port 22 is not in {tmp_path / long}"


def test_a_configuration_that_ssh_refuses_is_quoted(configured: Configured) -> None:
    ((problem, cure),) = refused(configured("Host h\n  User me\n  Prot 22\n"), "h")
    assert problem.startswith("`ssh -G h` fails: ")
    assert "ssh -G h" in cure


def test_without_ssh_the_configuration_says_nothing(
    configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = configured("Host *\n  User bob\n")
    monkeypatch.setenv("PATH", "")
    assert way(access.login("h")) == "root@h:22"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that were run."""
    names: list[str] = []
    real = tools.run

    def run(*command: str, **more: str) -> object:
        names.append(command[0])
        return real(*command, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tools, "run", run)
    return names


@pytest.mark.parametrize(
    ("system", "included", "asks"),
    [
        (None, None, False),
        ("Host *\n  SendEnv LANG\n  HashKnownHosts yes\n", None, False),
        ("Include {}/more.d/*.conf\nHost *\n", None, False),
        ("Include more.d/*.conf\nHost *\n", "Host *\n  ForwardAgent no\n", False),
        ("Include more.d/*.conf\nHost *\n", "Host *\n  user = me\n", True),
        ("Include ~/more.conf\n", None, True),
        ("Include system\n", None, True),  # for ever
        ("Match all\n  ProxyJump gate\n", None, True),
        ("CanonicalizeHostname yes\n", None, True),
    ],
)
def test_ssh_is_run_only_where_a_configuration_has_a_setting_that_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ran: list[str],
    system: str | None,
    included: str | None,
    asks: bool,
) -> None:
    file = tmp_path / "system"
    monkeypatch.setattr(config, "SYSTEM_FILE", file)
    if system is not None:
        file.write_text(system.format(tmp_path))
    (tmp_path / "more.d").mkdir()
    if included is not None:
        (tmp_path / "more.d" / "1.conf").write_text(included)
    with contextlib.suppress(CannotLogIn):  # ssh's own refusal of what includes itself
        config.of_host("h", port=None, user=None, home=tmp_path)
    assert ran == (["ssh"] if asks else [])


def test_each_host_is_asked_about_once(configured: Configured, ran: list[str]) -> None:
    access = configured("Host *\n  User bob\n")
    for host in ("h", "h", "i", "h"):
        access.login(host)
    assert ran == ["ssh", "ssh"]


# --- the way there


def test_a_proxyjump_is_a_bastion(configured: Configured, make_key: MakeKey) -> None:
    key = make_key("gate key")
    access = configured(
        f"""
        Host gate
            HostName 192.0.2.1
            User ops
            IdentityFile "{key}"
        Host 10.10.10.*
            ProxyJump gate
        """
    )
    login = access.login("10.10.10.10")
    assert login.bastion is not None
    assert way(login) == "root@10.10.10.10:22"
    assert way(login.bastion) == "ops@192.0.2.1:22"
    assert login.bastion.private_key == key.read_text()
    assert login.private_key != key.read_text()


def test_tokens_in_a_proxyjump_are_expanded(configured: Configured) -> None:
    text = "Host n1\n  HostName n1.example\n  User dba\n  ProxyJump %n.%h.%r.%p.jump:2222\n"
    bastion = configured(text).login("n1").bastion
    assert bastion
    assert way(bastion) == "root@n1.n1.example.dba.22.jump:2222"


@pytest.mark.parametrize("written", ["ops@192.0.2.1:2222", "ssh://ops@192.0.2.1:2222"])
def test_a_proxyjump_may_say_user_and_port(configured: Configured, written: str) -> None:
    bastion = configured(f"Host h\n  ProxyJump {written}\n").login("h").bastion
    assert bastion is not None
    assert way(bastion) == "ops@192.0.2.1:2222"


def test_a_bastion_without_keys_of_its_own_takes_the_nodes(
    configured: Configured, make_key: MakeKey
) -> None:
    own = make_key("own")
    bastion = configured("Host h\n  ProxyJump gate\n", private_key_file=own).login("h").bastion
    assert bastion is not None
    assert bastion.private_key == own.read_text()


def test_the_stack_s_bastion_wins_over_a_proxyjump(configured: Configured) -> None:
    text = "Host h\n  ProxyJump a,b\nHost gate\n  HostName 192.0.2.1\n  User ops\n  Port 2222\n"
    hop = Hop(user=None, host="gate", port=None, private_key_file=None)
    bastion = configured(text, bastion=hop).login("h").bastion
    assert bastion is not None
    assert way(bastion) == "ops@192.0.2.1:2222"
    given = dataclasses.replace(hop, user="me", port=22)
    bastion = configured(text, bastion=given).login("h").bastion
    assert bastion is not None
    assert way(bastion) == "me@192.0.2.1:22"


@pytest.mark.parametrize(
    "text",
    [
        "Host h\n  ProxyJump outer,ops@inner\n",
        "Host h\n  ProxyJump ops@inner\nHost inner\n  ProxyJump outer\n",
    ],
)
def test_two_bastions_are_refused_with_a_way_out(configured: Configured, text: str) -> None:
    ((problem, cure),) = refused(configured(text), "h")
    assert "goes through outer and inner to h" in problem
    assert "`ssh -fNL 127.0.0.1:2222:inner:22 outer`" in cure
    assert "etcd:sshBastion to ops@127.0.0.1:2222" in cure


def test_a_proxycommand_is_refused(configured: Configured) -> None:
    ((problem, cure),) = refused(configured("Host h\n  ProxyCommand ssh -W %h:%p gate\n"), "h")
    assert "reaches h with a ProxyCommand" in problem
    assert "ProxyJump" in cure
    text = "Host h\n  ProxyJump gate\nHost gate\n  ProxyCommand connect %h\n"
    ((problem, _),) = refused(configured(text), "h")
    assert "reaches gate with a ProxyCommand" in problem


def test_proxyjump_none_goes_straight(configured: Configured) -> None:
    text = "Host h\n  ProxyJump none\nHost *\n  ProxyJump gate\n"
    assert configured(text).login("h").bastion is None


# --- host keys


def test_host_keys_are_looked_up_in_the_files_of_the_configuration(
    configured: Configured, tmp_path: Path, make_key: MakeKey
) -> None:
    first, second, system = make_key("first"), make_key("second"), make_key("system")
    for name, key in (("one", first), ("two", second), ("all", system)):
        (tmp_path / f"known-{name}").write_text(f"{name} {public(key)}\n")
    known = tmp_path / "known-"
    access = configured(
        f"UserKnownHostsFile {known}one {known}two\nGlobalKnownHostsFile {known}all\n",
        check_host_keys=True,
    )
    for name, key in (("one", first), ("two", second), ("all", system)):
        assert access.login(name).host_key == public(key)
    ((problem, cure),) = refused(access, "h")
    assert problem.endswith(f"is not in {known}one")
    assert f">> {known}one`" in cure
    named = dataclasses.replace(access, known_hosts=tmp_path / "known-two")
    assert refused(named, "all")
    assert named.login("two").host_key == public(second)


def test_a_host_is_known_by_its_alias_on_any_port(
    configured: Configured, tmp_path: Path, make_key: MakeKey
) -> None:
    key = make_key("host")
    text = "Host n1\n  HostName 10.10.10.10\n  Port 2222\n  HostKeyAlias n1.lab\n"
    access = configured(text, check_host_keys=True)
    ((problem, cure),) = refused(access, "n1")
    assert "the host key of n1.lab" in problem
    assert "ssh-keyscan -t ed25519 -p 2222 10.10.10.10 | sed 's/^[^ ]*/n1.lab/' >>" in cure
    (tmp_path / ".ssh" / "known_hosts").write_text(f"n1.lab {public(key)}\n")
    assert access.login("n1").host_key == public(key)


def test_of_several_host_keys_of_a_type_the_one_that_the_host_shows_is_pinned(
    configured: Configured, tmp_path: Path, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = public(make_key("old")), public(make_key("new"))
    rsa = public(make_key("rsa", "rsa"))
    known = tmp_path / ".ssh" / "known_hosts"
    shown, words = tmp_path / "shown", tmp_path / "words"
    script = tmp_path / "bin" / "ssh-keyscan"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$*" >{words}\ncat {shown}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    access = configured("", check_host_keys=True)
    known.write_text("".join(f"h {key}\n" for key in (rsa, old, new)))
    for offered, pinned in (
        ([new], new),
        ([old], old),
        (["ssh-ed25519 AAAA"], old),  # changed: the login will be refused
        ([], old),  # away
    ):
        shown.write_text("# h:22 SSH-2.0\n" + "".join(f"h {key}\n" for key in offered))
        assert access.login("h").host_key == pinned
    assert words.read_text().split() == ["-T", "2", "-t", "ed25519", "-p", "22", "h"]


class Offering:
    """A port that begins as an SSH server does, then hangs up."""

    def __init__(self, *said: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._said = said
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connected, _ = self._listener.accept()
            with connected:
                connected.recv(len(offer.GREETING))
                connected.sendall(b"".join(self._said))


def key_exchange(*types: str) -> bytes:
    """The first packet of a server that has host keys of these types."""
    lists = b"".join(
        len(names).to_bytes(4, "big") + names
        for names in (b"curve25519-sha256", ",".join(types).encode())
    )
    body = bytes([4, 20]) + bytes(16) + lists + bytes(40)
    return len(body).to_bytes(4, "big") + body


BANNER = b"a greeting\r\nSSH-2.0-OpenSSH_9.2\r\n"
ED, EC = "ssh-ed25519", "ecdsa-sha2-nistp256"


@pytest.mark.parametrize(
    ("said", "pinned"),
    [
        ([BANNER, key_exchange("rsa-sha2-512", EC, ED)], ED),
        ([BANNER, key_exchange("rsa-sha2-512", EC)], EC),
        ([BANNER, key_exchange("rsa-sha2-512")], ED),  # ssh has none to choose from either
        ([BANNER, key_exchange(EC)[:30]], ED),
        ([BANNER, b"\0\0\0\x02\4\5"], ED),
        ([BANNER], ED),
        ([b"HTTP/1.1 400 Bad Request\r\n"], ED),
    ],
)
def test_of_host_keys_of_several_types_the_best_that_the_host_has_is_pinned(
    configured: Configured, tmp_path: Path, make_key: MakeKey, said: list[bytes], pinned: str
) -> None:
    keys = {ED: public(make_key("ed")), EC: public(make_key("ec", "ecdsa"))}
    port = Offering(*said).port
    known = tmp_path / ".ssh" / "known_hosts"
    known.write_text("".join(f"[127.0.0.1]:{port} {keys[kind]}\n" for kind in (EC, ED)))
    access = configured("", check_host_keys=True)
    assert access.login("127.0.0.1", port=port).host_key == keys[pinned]
