"""Clients beside Patroni, as docs/clients.md says: its lines run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from lab import Lab
from tests.live.cluster import Asked
from tests.live.conftest import Ask, inventory
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


def test_the_page_s_lines_work_as_they_stand_there(nodes: Lab, project: Project, ask: Ask) -> None:
    stack = project.stack(inventory(nodes, 1))
    stack.up()
    asked = ask(stack)
    assert printed(asked, sys.executable, "-", language="python") == "[b'hello']\n"
    asked("put", "/tool/greeting", "by Go")
    said = printed(asked, "sh", "-eu", language="sh")
    assert '"kvs":[{' in said
    assert asked("get", "--print-value-only", "/tool/greeting") == "hello"

    # With tokens of the other kind nothing is different for them.
    stack.edit(etcd_auth_token="jwt")
    preview = stack.preview().text
    assert "+ auth-token: jwt,pub-key=/etc/etcd/etcd/pki/token.pub" in preview
    assert "etcd-1: restarted" in stack.up().text
    assert printed(asked, sys.executable, "-", language="python") == "[b'hello']\n"
    assert '"kvs":[{' in printed(asked, "sh", "-eu", language="sh")
    assert asked("get", "--print-value-only", "/tool/greeting") == "hello"
    before = process(nodes, FIRST)
    assert stack.up().changed == {}
    assert process(nodes, FIRST) == before
    stack.edit(etcd_auth_token_generation=2)
    assert "etcd-1: restarted" in stack.up().text
    assert asked("get", "--print-value-only", "/tool/greeting") == "hello"
