"""How a machine is reached: keys, host keys and bastion, asked of the real OpenSSH tools."""

import dataclasses
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from etcd_component.ssh import Access, CannotLogIn, Hop, agent_answers

MakeKey = Callable[..., Path]


def public(file: Path) -> str:
    """Type and key, as a host key is pinned."""
    return " ".join(file.with_name(f"{file.name}.pub").read_text().split()[:2])


def refused(access: Access, host: str = "10.10.10.10", **more: object) -> list[tuple[str, str]]:
    with pytest.raises(CannotLogIn) as refusal:
        access.login(host, **more)  # type: ignore[arg-type]
    return list(refusal.value.findings)


@pytest.fixture
def key(make_key: MakeKey) -> Path:
    return make_key()


@pytest.fixture
def access(tmp_path: Path, key: Path) -> Access:
    """Reaches everything with one key; host keys come from a file that is still empty."""
    known_hosts = tmp_path / "known_hosts"
    known_hosts.touch()
    return Access(home=tmp_path, private_key_file=key, known_hosts=known_hosts)


@pytest.fixture
def unchecked(access: Access) -> Access:
    return dataclasses.replace(access, check_host_keys=False)


# --- private keys


def test_a_login_holds_the_key_itself(unchecked: Access, key: Path) -> None:
    login = unchecked.login("10.10.10.10")
    assert login.private_key == key.read_text()
    assert (login.host, login.port, login.user, login.agent) == ("10.10.10.10", 22, "root", False)


def test_what_the_host_says_wins(unchecked: Access, make_key: MakeKey) -> None:
    other = make_key("other")
    login = unchecked.login("h", port=2222, user="dba", sudo=True, private_key_file=other)
    assert (login.port, login.user, login.sudo) == (2222, "dba", True)
    assert login.private_key == other.read_text()


@pytest.mark.parametrize(
    ("user", "configured", "asked", "sudo"),
    [
        ("root", None, None, False),
        ("root", True, True, False),
        ("dba", None, None, True),
        ("dba", False, None, False),
        ("dba", False, True, True),
        ("dba", True, False, False),
    ],
)
def test_sudo_is_used_unless_the_login_is_root(
    unchecked: Access, user: str, configured: bool | None, asked: bool | None, sudo: bool
) -> None:
    access = dataclasses.replace(unchecked, sudo=configured)
    assert access.login("h", user=user, sudo=asked).sudo is sudo


def test_a_key_given_as_text_needs_no_file(tmp_path: Path, key: Path) -> None:
    access = Access(home=tmp_path, private_key=key.read_text(), check_host_keys=False)
    assert access.login("h").private_key == key.read_text()


def test_a_key_given_as_text_is_ascii(unchecked: Access, key: Path) -> None:
    text = key.read_text().replace("KEY-----\n", "KEY-----\né", 1)
    ((problem, cure),) = refused(
        dataclasses.replace(unchecked, private_key_file=None, private_key=text)
    )
    assert problem.endswith("is not a private key")
    assert cure == "give one in OpenSSH or PEM form"


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_an_encrypted_key_needs_its_passphrase(
    unchecked: Access, make_key: MakeKey, kind: str
) -> None:
    locked = make_key("locked", kind, "open sesame")
    access = dataclasses.replace(unchecked, private_key_file=locked)
    ((problem, cure),) = refused(access)
    assert problem == f"{locked} is encrypted and no passphrase is given"
    assert "etcd:sshPrivateKeyPassphrase" in cure
    login = dataclasses.replace(access, passphrase="open sesame").login("h")
    assert login.private_key_passphrase == "open sesame"


def test_an_old_pem_key_that_is_encrypted_is_recognised(
    unchecked: Access, make_key: MakeKey
) -> None:
    file = make_key("pem", "rsa")
    command = ["ssh-keygen", "-q", "-p", "-m", "PEM", "-N", "open sesame", "-f", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    ((problem, _),) = refused(dataclasses.replace(unchecked, private_key_file=file))
    assert "is encrypted" in problem


def test_a_passphrase_is_not_sent_along_with_a_key_that_has_none(unchecked: Access) -> None:
    # The provider would refuse the key.
    login = dataclasses.replace(unchecked, passphrase="of another key").login("h")
    assert login.private_key_passphrase is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "there is no private key file {}"),
        ("ssh-ed25519 AAAA me", "{} is a public key"),
        ("ecdsa-sha2-nistp256 AAAA me", "{} is a public key"),
        ("-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----", "{} is a public key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519", "{} is a key in PuTTY's form"),
        ("hello", "{} is not a private key"),
        ("", "{} is not a private key"),
        ("\0\xff", "{} is not a private key"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY----- AA -----END OPENSSH PRIVATE KEY-----",
            "{} has lost its line breaks",
        ),
    ],
)
def test_a_file_that_is_no_usable_key_is_said_to_be_what_it_is(
    unchecked: Access, tmp_path: Path, content: str | None, problem: str
) -> None:
    file = tmp_path / "given"
    if content is not None:
        file.write_text(content)
    ((said, cure),) = refused(dataclasses.replace(unchecked, private_key_file=file))
    assert said == problem.format(file)
    assert cure


def test_a_directory_is_no_key(unchecked: Access, tmp_path: Path) -> None:
    ((problem, _),) = refused(dataclasses.replace(unchecked, private_key_file=tmp_path))
    assert "cannot be read (Is a directory)" in problem


@pytest.mark.parametrize("name", ["id_ed25519", "id_ecdsa", "id_rsa"])
def test_without_a_key_the_default_identities_of_ssh_are_tried(
    tmp_path: Path, key: Path, name: str
) -> None:
    (tmp_path / ".ssh").mkdir()
    shutil.copy(key, tmp_path / ".ssh" / name)
    assert Access(home=tmp_path, check_host_keys=False).login("h").private_key == key.read_text()


def test_without_any_key_the_ways_to_give_one_are_listed(tmp_path: Path) -> None:
    ((problem, cure),) = refused(Access(home=tmp_path, check_host_keys=False))
    assert f"{tmp_path}/.ssh has none of id_ed25519, id_ecdsa, id_rsa" in problem
    for way in ("etcd:sshPrivateKeyFile", "etcd:sshPrivateKey,", "ssh-add", "ansible_ssh_private"):
        assert way in cure


# --- the agent


def test_an_agent_that_has_keys_is_used(agent: Path, tmp_path: Path, key: Path) -> None:
    environ = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    subprocess.run(["ssh-add", "-q", str(key)], check=True, env=environ)
    login = Access(home=tmp_path, agent_socket=str(agent), check_host_keys=False).login("h")
    assert login.agent
    assert login.private_key is None


def test_an_agent_without_keys_is_passed_over(agent: Path, tmp_path: Path, key: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    shutil.copy(key, tmp_path / ".ssh" / "id_rsa")
    login = Access(home=tmp_path, agent_socket=str(agent), check_host_keys=False).login("h")
    assert not login.agent
    assert login.private_key == key.read_text()


def test_a_socket_that_nobody_listens_on_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    assert not agent_answers(str(path))
    assert not agent_answers(str(tmp_path / "missing"))


# --- host keys


def known_hosts_file(access: Access) -> Path:
    assert access.known_hosts is not None
    return access.known_hosts


def learn(access: Access, *lines: str) -> None:
    with known_hosts_file(access).open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_a_host_key_is_looked_up_and_pinned(access: Access, key: Path) -> None:
    learn(access, f"10.10.10.10 {public(key)} a comment")
    assert access.login("10.10.10.10").host_key == public(key)


def test_on_another_port_the_host_is_another(access: Access, make_key: MakeKey) -> None:
    usual, other = public(make_key("usual")), public(make_key("other"))
    learn(access, f"h {usual}", f"[h]:2222 {other}")
    assert access.login("h").host_key == usual
    assert access.login("h", port=2222).host_key == other


def test_hashed_names_patterns_and_ipv6_are_found(access: Access, key: Path) -> None:
    learn(access, f"hashed.example.com {public(key)}")
    command = ["ssh-keygen", "-q", "-H", "-f", str(known_hosts_file(access))]
    subprocess.run(command, check=True, capture_output=True)
    assert "hashed" not in known_hosts_file(access).read_text()
    learn(access, f"*.lab {public(key)}", f"fd00::1,[fd00::1]:2222 {public(key)}")
    for host in ("hashed.example.com", "n1.lab", "fd00::1"):
        assert access.login(host).host_key == public(key)
    assert access.login("fd00::1", port=2222).host_key == public(key)


def test_the_best_kind_of_key_is_pinned(access: Access, make_key: MakeKey) -> None:
    keys = {kind: public(make_key(kind, kind)) for kind in ("rsa", "ecdsa", "ed25519")}
    learn(access, f"h {keys['rsa']}", f"h {keys['ecdsa']}")
    assert access.login("h").host_key == keys["ecdsa"]
    learn(access, f"h {keys['ed25519']}")
    assert access.login("h").host_key == keys["ed25519"]


def test_an_unknown_host_comes_with_the_line_to_run(access: Access) -> None:
    ((problem, cure),) = refused(access, port=2222)
    file = known_hosts_file(access)
    assert problem == f"the host key of 10.10.10.10 port 2222 is not in {file}"
    assert f"`ssh-keyscan -t ed25519 -p 2222 10.10.10.10 >> {file}`" in cure
    assert "compare the fingerprint" in cure


def test_a_missing_file_knows_no_host(access: Access, tmp_path: Path) -> None:
    absent = dataclasses.replace(access, known_hosts=None)
    ((problem, _),) = refused(absent)
    assert problem.endswith(f"is not in {tmp_path}/.ssh/known_hosts")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("h {rsa}", "knows h port 22 only by ssh-rsa, which cannot be used here"),
        ("@revoked h {ed}", "has only revoked host keys of h port 22"),
        ("h {ed}\n@revoked * {ed}", "has only revoked host keys of h port 22"),
        ("@cert-authority h {ed}", "knows h port 22 only by a certificate authority"),
    ],
)
def test_a_host_known_in_a_way_that_cannot_be_used_is_told_apart(
    access: Access, make_key: MakeKey, line: str, problem: str
) -> None:
    learn(access, line.format(rsa=public(make_key("r", "rsa")), ed=public(make_key("e"))))
    ((said, cure),) = refused(access, "h")
    assert problem in said
    assert "ssh-keyscan -t ed25519 -p 22 h" in cure


def test_a_revoked_key_does_not_spoil_another(access: Access, make_key: MakeKey) -> None:
    old, new = public(make_key("old")), public(make_key("new", "ecdsa"))
    learn(access, f"h {old}", f"@revoked h {old}", f"h {new}")
    assert access.login("h").host_key == new


def test_without_checking_no_host_key_is_pinned(unchecked: Access) -> None:
    assert unchecked.login("h").host_key is None


def test_key_and_host_key_are_missed_together(access: Access) -> None:
    findings = refused(access, private_key_file=Path("/nowhere"))
    assert [problem.split()[1] for problem, _ in findings] == ["is", "host"]


# --- the bastion


def behind(access: Access, private_key_file: Path | None = None) -> Access:
    return dataclasses.replace(access, bastion=Hop("ops", "gate", 2222, private_key_file))


def test_a_bastion_is_a_login_of_its_own(access: Access, make_key: MakeKey) -> None:
    own, inner, outer = make_key("own"), make_key("inner"), make_key("outer")
    learn(access, f"[gate]:2222 {public(outer)}", f"h {public(inner)}")
    login = behind(access, own).login("h", user="dba")
    assert login.bastion is not None
    assert (login.bastion.host, login.bastion.port, login.bastion.user) == ("gate", 2222, "ops")
    assert (login.bastion.sudo, login.bastion.bastion) == (False, None)
    assert login.bastion.private_key == own.read_text()
    assert (login.bastion.host_key, login.host_key) == (public(outer), public(inner))


def test_a_bastion_takes_the_nodes_key_unless_it_has_its_own(access: Access, key: Path) -> None:
    hop = behind(dataclasses.replace(access, check_host_keys=False)).login("h").bastion
    assert hop is not None
    assert hop.private_key == key.read_text()


def test_behind_a_bastion_the_host_key_is_scanned_through_it(access: Access) -> None:
    (_, inner), (_, outer) = refused(behind(access), "h")
    file = known_hosts_file(access)
    assert f"`ssh -p 2222 ops@gate ssh-keyscan -t ed25519 -p 22 h >> {file}`" in inner
    assert f"`ssh-keyscan -t ed25519 -p 2222 gate >> {file}`" in outer


def test_no_secret_shows_when_access_or_login_is_printed(unchecked: Access) -> None:
    access = dataclasses.replace(unchecked, private_key="a key", passphrase="a phrase")
    for printed in (repr(access), repr(access.login("h"))):
        assert "a key" not in printed
        assert "a phrase" not in printed
        assert "PRIVATE KEY" not in printed


def test_a_machine_without_openssh_is_told_what_to_install(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    findings = refused(access)
    assert findings == [("ssh-keygen is not installed here", "install OpenSSH's client")]
