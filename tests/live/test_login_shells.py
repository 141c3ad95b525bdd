"""Logins whose shell is no sh, and logins that run something else than what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.nodes import FIRST, shell, traces
from tests.live.stack import Project

SHELLS = ("fish", "tcsh")
KEYS = "~admin/.ssh/authorized_keys"


@contextmanager
def login_shell(lab: Lab, number: int, name: str) -> Iterator[None]:
    """The login of the stack has another shell."""
    shell(
        lab,
        number,
        f"command -v {name} >/dev/null || {{ apt-get -q update && DEBIAN_FRONTEND=noninteractive"
        f" apt-get -q -y install --no-install-recommends {' '.join(SHELLS)}; }} >/dev/null 2>&1",
    )
    before = shell(lab, number, "getent passwd admin | cut -d: -f7")
    shell(lab, number, f"usermod -s $(command -v {name}) admin")
    try:
        yield
    finally:
        shell(lab, number, f"usermod -s {before} admin")


@contextmanager
def forced(lab: Lab, number: int, command: str) -> Iterator[None]:
    """The login's key runs this, whatever it is told to run."""
    shell(lab, number, f"cp -p {KEYS} {KEYS}.kept; sed -i 's|^|command=\"{command}\" |' {KEYS}")
    try:
        yield
    finally:
        shell(lab, number, f"mv {KEYS}.kept {KEYS}")


@pytest.mark.parametrize("name", SHELLS)
def test_a_login_with_another_shell_is_as_good(
    nodes: Lab, project: Project, ask: Ask, name: str
) -> None:
    with login_shell(nodes, FIRST, name):
        stack = project.stack({"sshUser": "admin"} | inventory(nodes, 1))
        stack.edit(etcd_roles={"odd": [{"prefix": "it's {a,b} \\ !! $HOME", "permission": "read"}]})
        stack.up()
        ask(stack).assert_one_healthy_cluster("etcd-1")
        assert not stack.preview().changed
        stack.destroy()
        # The programs stay, unless etcd_rm_pkg says otherwise.
        assert traces(nodes, FIRST) == ["/opt/etcd"]


def test_a_key_with_a_forced_command_is_no_success(nodes: Lab, project: Project, ask: Ask) -> None:
    stack = project.stack({"sshUser": "admin"} | inventory(nodes, 2))
    # It says so again and again, and never that all is well.
    for command in ("/bin/true", "/bin/true", "/bin/cat"):
        with forced(nodes, FIRST, command):
            refused = stack.up(check=False)
        assert refused.status != 0
        assert f"etcd-1-login: admin@{nodes.address(0)} reports success, but our program did" in (
            refused.text
        )
        assert "forced command" in refused.text
        assert "Traceback" not in refused.text
        state = stack.state_file.read_text()
        for later in ("agent", "node", "binary", "tls", "config", "member"):
            assert f"::etcd-1-{later}" not in state
        assert traces(nodes, FIRST) == []
    stack.up()
    ask(stack).assert_one_healthy_cluster("etcd-1", "etcd-2")
    assert not stack.preview().changed
    assert not stack.up().changed
