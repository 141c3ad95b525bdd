"""Clients beside Patroni, as docs/clients.md says: its lines run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from lab import Lab
from tests.live.cluster import Asked
from tests.live.conftest import inventory
from tests.live.nodes import FIRST, process
from tests.live.stack import CHECKOUT, Project

PAGE = (CHECKOUT / "docs" / "clients.md").read_text()


def printed(asked: Asked, *program: str, language: str) -> str:
    """What the page's lines of one language print, run as a person who has evaluated the output."""
    (lines,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        program,
        input=lines,
        env={"PATH": os.environ["PATH"], **asked.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def test_the_page_s_lines_work_as_they_stand_there(
    nodes: Lab, project: Project, etcdctl: Path, tmp_path: Path
) -> None:
    (declared,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    stack = project.stack(inventory(nodes, 1, **yaml.safe_load(declared)))
    stack.up()
    stack.client("tool", tmp_path / "tool")
    asked = Asked(stack.evaluated(f". {tmp_path}/tool/etcdctl.env"), etcdctl)
    assert asked.environment["ETCDCTL_USER"] == "tool"

    def assert_all_are_served() -> None:
        assert printed(asked, sys.executable, "-", language="python") == "[b'hello']\n"
        asked("put", "/tool/greeting", "by Go")
        assert '"kvs":[{' in printed(asked, "sh", "-eu", language="sh")
        assert asked("get", "--print-value-only", "/tool/greeting") == "hello"

    assert_all_are_served()
    assert "permission denied" in asked.run("put", "/other", "by Go").stderr

    # With tokens of the other kind, and with other keys for them, nothing is different.
    stack.edit(etcd_auth_token="jwt")
    assert "+ auth-token: jwt,pub-key=/etc/etcd/etcd/pki/token.pub" in stack.preview().text
    assert "etcd-1: restarted" in stack.up().text
    assert_all_are_served()
    before = process(nodes, FIRST)
    assert stack.up().changed == {}
    assert process(nodes, FIRST) == before
    stack.edit(etcd_auth_token_generation=2)
    assert "etcd-1: restarted" in stack.up().text
    assert_all_are_served()
