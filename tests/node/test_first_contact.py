"""The first contact: a machine that has nothing of ours, not even Python perhaps."""

from __future__ import annotations

import base64

import pytest

from etcd_component import contact, packing, render
from tests.node.conftest import Cluster
from tests.node.members import Done, Members

HOME = "/home/admin"
FILE = f"{contact.DIRECTORY}/etcd-node-etcd-1-admin"
CLAIM = "/etc/etcd/etcd/claim"
START = contact.start("etcd-node")


@pytest.fixture
def one(cluster: Cluster) -> Members:
    members = cluster(1)
    members.shell(1, f"rm -rf {HOME}/{contact.DIRECTORY}")
    return members


def contacted(members: Members, step: str, *options: str) -> Done:
    """What a Command of the stack does, by way of a login that is no root."""
    line = contact.command_line(["sudo", "-n", "sh", "-s", "--", step], options)
    return as_admin(members, line, START)


def logged_in(members: Members) -> Done:
    return as_admin(members, "sudo -n sh -s", contact.log_in("etcd-node"))


def as_admin(members: Members, line: str, stdin: str) -> Done:
    return members.lab.exec(
        members.node(1), "su", "-", "admin", "-c", line, stdin=stdin, check=False
    )


def meant(members: Members) -> list[str]:
    return ["--cluster", "etcd", "--owner", "ours", "--name", members.instance(1).name]


def claim(members: Members, *more: str) -> Done:
    one = members.instance(1)
    place = ["--address", one.node.address, "--data", one.data_dir, "--method", "archive"]
    return contacted(members, "claim", FILE, packing.sha256(), *meant(members), *place, *more)


def uninstall(members: Members) -> Done:
    return contacted(members, "uninstall", FILE, CLAIM, *meant(members), "--remove-data")


def copy(members: Members) -> None:
    """As the login, what CopyToRemote does."""
    text = base64.b64encode(packing.agent()).decode()
    members.shell(1, f"su - admin -c 'base64 -d >{FILE}'", stdin=text)


def sent(members: Members) -> None:
    done = logged_in(members)
    assert done.returncode == 0, done.stderr
    assert contact.proves(done.stdout)
    copy(members)


def test_a_machine_without_the_program_is_claimed_and_left(one: Members) -> None:
    sent(one)
    assert one.shell(1, f"stat -c '%U %a' {HOME}/{contact.DIRECTORY}") == "admin 700"
    claimed = claim(one)
    assert claimed.returncode == 0, claimed.stderr
    assert "etcd-1: the machine is fit" in claimed.stdout
    assert contact.proves(claimed.stdout)
    assert one.shell(1, f"grep -x owner=ours {CLAIM}")
    assert "etcd-node COMMAND" in one.shell(1, f"{render.NODE_PROGRAM} --help")

    # Wiped, or uninstalled by an earlier attempt whose answer was lost: first by what was sent.
    one.shell(1, f"rm -f {render.NODE_PROGRAM}")
    for _ in range(2):
        done = uninstall(one)
        assert done.returncode == 0, done.stderr
        assert contact.proves(done.stdout)
        left = f"ls -d /run/etcd-node /etc/etcd {HOME}/{contact.DIRECTORY}"
        assert one.shell(1, left, check=False) == ""


def test_a_claimed_machine_without_any_program_is_not_taken_for_an_empty_one(one: Members) -> None:
    sent(one)
    claim(one)
    one.shell(1, f"rm -rf {render.NODE_PROGRAM} {HOME}/{contact.DIRECTORY}")
    done = uninstall(one)
    assert done.returncode == 1
    assert f"this machine is claimed ({CLAIM}), and etcd-node is missing" in done.stderr
    assert "raise etcd_repair on the host" in done.stderr
    assert one.shell(1, f"ls {CLAIM}") == CLAIM


def test_a_preflight_that_fails_leaves_no_mark_and_fails(one: Members) -> None:
    sent(one)
    refused = claim(one, "--client-port", "22")
    assert refused.returncode == 1
    assert "the client port 22 is held by" in refused.stderr
    assert one.shell(1, f"ls -d /etc/etcd {render.NODE_PROGRAM}", check=False) == ""


def test_a_file_that_is_missing_or_another_is_not_run(one: Members) -> None:
    logged_in(one)
    missing = claim(one)
    assert missing.returncode == 1
    assert f"{HOME}/{FILE} cannot be read (No such file or directory)" in missing.stderr
    copy(one)
    one.shell(1, f"echo >>{HOME}/{FILE}")
    another = claim(one)
    assert another.returncode == 1
    assert f"{HOME}/{FILE} is not what was sent" in another.stderr
    one.shell(1, f"rm {HOME}/{FILE}; ln -s /root/agent {HOME}/{FILE}")
    assert claim(one).returncode == 1
    assert one.shell(1, f"ls -d /etc/etcd {render.NODE_PROGRAM}", check=False) == ""


@pytest.mark.parametrize("found", ["no Python", "Python 3.8"])
def test_python_that_is_missing_or_too_old_is_named_with_its_package(
    one: Members, found: str
) -> None:
    # Without it the lab's node is as one that never had it.
    old = "#!/bin/sh\\n[ $1 = -V ] && echo Python 3.8.2 || exit 1\\n"
    one.shell(1, "mv /usr/bin/python3 /usr/bin/hidden3")
    try:
        if found != "no Python":
            one.shell(1, f"printf '{old}' >/usr/bin/python3; chmod 755 /usr/bin/python3")
        refused = logged_in(one)
    finally:
        one.shell(1, "mv /usr/bin/hidden3 /usr/bin/python3")
    assert refused.returncode == 1
    assert "etcd-node: Python 3.9 or newer is needed here" in refused.stderr
    assert "install the package python3" in refused.stderr
    assert ("3.8.2" in refused.stderr) is (found != "no Python")
    assert one.shell(1, f"ls -d {HOME}/{contact.DIRECTORY}", check=False) == ""


SFTP = ["/usr/lib/openssh/sftp-server is gone", "no Subsystem"]


@pytest.mark.parametrize("how", SFTP)
def test_sftp_that_is_switched_off_is_named_with_its_cure(one: Members, how: str) -> None:
    config = "/etc/ssh/sshd_config"
    one.shell(1, f"cp {config} /root/sshd_config")
    try:
        gone = "s,^Subsystem.*,Subsystem sftp /nowhere/sftp-server,"
        one.shell(1, f"sed -i '{gone if how != SFTP[1] else '/^Subsystem/d'}' {config}")
        refused = logged_in(one)
    finally:
        one.shell(1, f"mv /root/sshd_config {config}")
    assert refused.returncode == 1
    assert "sftp is switched off here" in refused.stderr
    assert "Subsystem sftp internal-sftp" in refused.stderr
    assert one.shell(1, f"ls -d {HOME}/{contact.DIRECTORY}", check=False) == ""
    assert logged_in(one).returncode == 0


PLANTED = {
    "a link": "mkdir /srv/theirs; ln -s /srv/theirs {}",
    "a file": "touch {}",
    "another's": "mkdir {}; chown nobody {}",
    "in a home that is open to all": "chmod 777 /home/admin",
}


@pytest.mark.parametrize("planted", PLANTED)
def test_no_directory_but_the_login_s_own_is_used(one: Members, planted: str) -> None:
    path = f"{HOME}/{contact.DIRECTORY}"
    one.shell(1, PLANTED[planted].replace("{}", path))
    try:
        refused = logged_in(one)
        assert refused.returncode == 1
        assert "Nothing was changed" in refused.stderr
        assert (path if "home" not in planted else HOME) in refused.stderr
        assert "admin" not in one.shell(1, f"stat -c %U {path} /srv/theirs", check=False)
    finally:
        one.shell(1, f"rm -rf {path} /srv/theirs; chmod 700 {HOME}")


def test_a_login_without_root_is_told_so(one: Members) -> None:
    done = as_admin(one, "sh -s", contact.log_in("etcd-node"))
    assert done.returncode == 1
    assert "etcd-node: only root can do this; run it with sudo" in done.stderr
