"""No secret is seen: not in what was printed, in the plain state, in processes, in journals.

These tests come after all that share a cluster, and search what those left. What later ones leave
is searched in the end, see `project`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from lab import Lab
from tests.live.conftest import inventory
from tests.live.nodes import FIRST, shell
from tests.live.secrets import Sampler, files_with, found_on_node, marks
from tests.live.stack import Project, Stack

PASSWORD = "an0ther$ecret pássword"
PLANTED = "planted-4711-secret-that-is-found"


def test_secrets_are_shown_as_such(three: Stack) -> None:
    shown = three.pulumi("stack", "output").text
    names = ("root_password", "client_key", "clients", "user_passwords", "monitoring")
    for name in names:
        assert re.search(rf'{name}\s+{{"etcd":"\[secret\]"}}', shown), shown
    exported = json.loads(three.pulumi("stack", "export").text)
    outputs = exported["deployment"]["resources"][0]["outputs"]
    assert all("ciphertext" in outputs[name]["etcd"] for name in names)


def test_no_process_here_or_on_a_node_shows_a_secret(nodes: Lab, project: Project) -> None:
    stack = project.stack({"sshUser": "admin"} | inventory(nodes, 2))
    stack.set_secret("etcd_root_password", PASSWORD)
    stack.set_secret("sshPrivateKey", nodes.private_key.read_text())
    # A first run makes the keys, so that the sampler knows them while the second works with them.
    stack.up()
    stack.edit(etcd_heartbeat_interval=110)
    with Sampler(marks(project.secrets)) as sampler:
        stack.up()
        stack.preview()
        assert stack.status().status == 0
        stack.destroy()
        stack.pulumi("up", "--yes", "--skip-preview")
    assert sampler.rounds > 20
    assert sampler.found == set()
    stack.learn_secrets()


def test_all_kinds_of_secrets_are_searched_for(project: Project) -> None:
    known = "\n".join(project.secrets)
    assert "OPENSSH PRIVATE KEY" in known
    assert "EC PRIVATE KEY" in known
    assert PASSWORD in known
    assert len(marks(project.secrets)) > 20


def test_nothing_that_was_printed_holds_a_secret(project: Project) -> None:
    assert len(list(project.printed.iterdir())) > 5
    assert files_with(marks(project.secrets), [project.printed]) == []


def test_neither_the_state_nor_the_stack_files_hold_a_secret_in_plain(project: Project) -> None:
    places = [project.home / "state", project.program / "stacks"]
    assert any(place.rglob("*.json") for place in places)
    assert files_with(marks(project.secrets), places) == []


def test_no_journal_and_no_file_that_anybody_can_read_holds_a_secret(
    lab: Lab, project: Project
) -> None:
    # The cluster of the first of these tests, which changed it under the sampler's eyes.
    assert shell(lab, FIRST, "systemctl is-active etcd") == "active"
    for node in lab.nodes():
        assert found_on_node(marks(project.secrets), lab, node.number) == []


def test_the_search_finds_what_is_there(lab: Lab, tmp_path: Path) -> None:
    sought = marks([PLANTED])
    (tmp_path / "printed").write_text(f"error: {PLANTED}!\n")
    assert files_with(sought, [tmp_path]) == [str(tmp_path / "printed")]

    assert found_on_node(sought, lab, FIRST) == []
    shell(lab, FIRST, f"logger 'log in with {PLANTED}' && echo {PLANTED} >/var/tmp/planted")
    time.sleep(0.5)
    shell(lab, FIRST, "chmod 600 /var/tmp/planted")
    assert found_on_node(sought, lab, FIRST) == [f"journal: log in with {PLANTED}"]
    shell(lab, FIRST, "chmod 644 /var/tmp/planted")
    assert "/var/tmp/planted" in found_on_node(sought, lab, FIRST)
    shell(lab, FIRST, "rm /var/tmp/planted")

    for words, environment in (([PLANTED], {}), ([], {"PASSWORD": PLANTED})):
        with Sampler(sought) as sampler:
            sleep = [sys.executable, "-c", "import time; time.sleep(0.5)"]
            subprocess.run([*sleep, *words], env=environment, check=True)
        assert len(sampler.found) == 1
