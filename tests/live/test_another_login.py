"""Who logs in is no part of the diff: people with other keys and users share a stack."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.nodes import FIRST, shell
from tests.live.stack import Project, Stack

KEYS = {
    user: f"{home}/.ssh/authorized_keys"
    for user, home in (("root", "/root"), ("admin", "/home/admin"))
}


@contextmanager
def only_key(lab: Lab, numbers: range, user: str, public: str) -> Iterator[None]:
    """Another key lets a user in, and the one before does not any more."""
    file = KEYS[user]
    try:
        for number in numbers:
            shell(lab, number, f"cp -p {file} {file}.kept; cat > {file}", stdin=public)
        yield
    finally:
        for number in numbers:
            shell(lab, number, f"mv {file}.kept {file}")


def log_in_as(stack: Stack, user: str, key: Path) -> None:
    """Edit the stack as the person would who runs it next."""
    stack.write(stack.config | {"sshUser": user, "sshPrivateKeyFile": str(key)})


def test_another_login_changes_nothing_and_does_what_changes(
    nodes: Lab, project: Project, ask: Ask, tmp_path: Path
) -> None:
    key = tmp_path / "colleague"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    project.secrets.add(key.read_text())
    public = key.with_suffix(".pub").read_text()
    numbers = range(FIRST, FIRST + 2)
    stack = project.stack({"sshUser": "admin"} | inventory(nodes, 2))
    stack.up()

    log_in_as(stack, "root", key)
    with only_key(nodes, numbers, "root", public), only_key(nodes, numbers, "admin", ""):
        assert not stack.preview().changed
        assert not stack.up().changed

        stack.edit(etcd_snapshot_count=5000)
        shown = stack.preview()
        assert shown.changed == {"update": 4}
        assert "connection" in shown.text
        assert stack.up().changed == {"updated": 4}
        ask(stack).assert_one_healthy_cluster("etcd-1", "etcd-2")
        assert not stack.preview().changed

        # The one whose key is revoked sees the same.
        log_in_as(stack, "admin", nodes.private_key)
        assert not stack.preview().changed

        # What is removed or looked at takes the login in the state: another one is put there.
        log_in_as(stack, "root", key)
        assert "have another login in the state" in stack.relogin()
        assert stack.relogin().startswith("0 commands")
        assert not stack.preview().changed
        assert stack.status().status == 0
        stack.write(stack.config | inventory(nodes, 1, etcd_snapshot_count=5000))
        stack.up()
        ask(stack).assert_one_healthy_cluster("etcd-1")
        stack.destroy()
