"""Every way to log in to the nodes; and what is found out before anything is touched."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.nodes import FIRST, shell, traces
from tests.live.stack import Outcome, Project, Stack


@pytest.fixture
def keyless(lab: Lab, tmp_path: Path) -> Path:
    """A site file without the private key."""
    site = yaml.safe_load(lab.site_file.read_text())
    del site["sshPrivateKeyFile"]
    file = tmp_path / "site.yaml"
    file.write_text(yaml.safe_dump(site))
    return file


@contextlib.contextmanager
def agent_with(key: Path) -> Iterator[str]:
    """An ssh agent that holds a key: the path of its socket."""
    started = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True)
    found = dict(re.findall(r"(\w+)=([^;]+);", started.stdout))
    environment = os.environ | found
    subprocess.run(["ssh-add", "-q", key], env=environment, check=True)
    yield found["SSH_AUTH_SOCK"]
    subprocess.run(["ssh-agent", "-k"], env=environment, capture_output=True, check=True)


@pytest.fixture
def agent(lab: Lab) -> Iterator[str]:
    """An ssh agent that holds the lab's key."""
    with agent_with(lab.private_key) as socket:
        yield socket


@pytest.fixture
def strange_agent(tmp_path: Path) -> Iterator[str]:
    """An ssh agent that holds a key that no node accepts."""
    key = tmp_path / "strange"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(make, check=True)
    with agent_with(key) as socket:
        yield socket


def key_body(lab: Lab) -> str:
    """A part of the private key that gives it away."""
    return lab.private_key.read_text().splitlines()[3]


def logins_from(lab: Lab, number: int) -> set[str]:
    """Where the logins on a node came from since it was clean."""
    log = shell(lab, number, "journalctl -q -t sshd -o cat --no-pager --since @$(cat /swept)")
    return set(re.findall(r"Accepted publickey for \S+ from (\S+) ", log))


def test_the_key_may_be_a_secret_of_the_stack(
    nodes: Lab, project: Project, ask: Ask, keyless: Path
) -> None:
    stack = project.stack(inventory(nodes, 1))
    stack.environment["ETCD_SITE"] = str(keyless)
    stack.set_secret("sshPrivateKey", nodes.private_key.read_text())
    stack.up()
    ask(stack).assert_one_healthy_cluster("etcd-1")
    assert key_body(nodes) not in stack.state_file.read_text()


def test_with_an_agent_the_key_is_nowhere_in_the_state(
    nodes: Lab, project: Project, ask: Ask, keyless: Path, agent: str
) -> None:
    stack = project.stack(inventory(nodes, 1))
    stack.environment |= {"ETCD_SITE": str(keyless), "SSH_AUTH_SOCK": agent}
    stack.up()
    ask(stack).assert_one_healthy_cluster("etcd-1")
    state = stack.pulumi("stack", "export", "--show-secrets", keep=False).text
    assert "EC PRIVATE KEY" in state  # so secrets are shown
    assert key_body(nodes) not in state


def test_nodes_are_reached_through_a_bastion(nodes: Lab, project: Project, ask: Ask) -> None:
    bastion = nodes.address(4)
    stack = project.stack(
        {"sshBastion": f"admin@{bastion}", "sshUser": "admin"} | inventory(nodes, 2)
    )
    stack.up()
    ask(stack).assert_one_healthy_cluster("etcd-1", "etcd-2")
    for number in (FIRST, FIRST + 1):
        assert logins_from(nodes, number) == {bastion}


def test_a_node_is_reached_as_ssh_s_own_configuration_says(
    nodes: Lab, project: Project, ask: Ask, tmp_path: Path, strange_agent: str
) -> None:
    node, bastion = nodes.address(0), nodes.address(4)
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    known = nodes.known_hosts.read_text()
    # The bastion had another key before; and the node's are of three types.
    stale = next(
        line for line in known.splitlines() if line.startswith(f"{nodes.address(1)} ssh-ed25519")
    )
    (folder / "known").write_text(f"{bastion} {stale.partition(' ')[2]}\n{known}")
    (folder / "config").write_text(
        f"""
        Host n1
            HostName {node}
            ProxyJump gate
        Host gate
            HostName {bastion}
        Host *
            User admin
            UserKnownHostsFile {folder}/known
        """
    )
    # The agent's key is refused, by the bastion too.
    shutil.copy(nodes.private_key, folder / "id_ed25519")
    site = yaml.safe_load(nodes.site_file.read_text())
    own = {name: value for name, value in site.items() if not name.startswith("ssh")}
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(own))
    hosts = {node: {"etcd_seq": 1, "ansible_host": "n1"}}
    stack = project.stack({"inventory": {"etcd": {"hosts": hosts}}})
    stack.environment |= {
        "HOME": str(tmp_path),
        "ETCD_SITE": str(tmp_path / "site.yaml"),
        "SSH_AUTH_SOCK": strange_agent,
    }

    stack.up()

    ask(stack).assert_one_healthy_cluster("etcd-1")
    assert logins_from(nodes, FIRST) == {bastion}
    assert stack.status().status == 0
    asked = stack.preflight()
    assert asked.status == 0, asked.text

    (folder / "config").write_text(f"Host n1\n  ProxyJump gate,{bastion}\n")
    refused = stack.preview(check=False)
    assert refused.status != 0
    assert f"goes through gate and {bastion} to n1" in refused.text


def test_an_unknown_host_key_fails_the_preview_with_the_line_to_run(
    nodes: Lab, project: Project, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    lines = nodes.known_hosts.read_text().splitlines()
    known.write_text("".join(f"{line}\n" for line in lines if nodes.address(1) not in line))
    stack = project.stack({"sshKnownHostsFile": str(known)} | inventory(nodes, 2))

    refused = stack.preview(check=False)

    assert refused.status != 0
    assert f"the host key of {nodes.address(1)} port 22 is not in {known}" in refused.text
    (scan,) = re.findall(r"run `(ssh-keyscan [^`]+ >> \S+)`", refused.text)
    assert nothing_was_made(refused)
    # The line cures it.
    subprocess.run(["sh", "-c", scan], capture_output=True, check=True)
    assert stack.preview().changed


def test_hashed_known_hosts_are_understood(nodes: Lab, project: Project, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    shutil.copy(nodes.known_hosts, known)
    subprocess.run(["ssh-keygen", "-H", "-f", known], capture_output=True, check=True)
    assert nodes.address(0) not in known.read_text()
    stack = project.stack({"sshKnownHostsFile": str(known)} | inventory(nodes, 1))
    stack.up()


def test_a_host_that_shows_another_key_is_not_dialled_further(
    nodes: Lab, project: Project, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    text = nodes.known_hosts.read_text()
    first, second = (
        next(line for line in text.splitlines() if f"{nodes.address(at)} " in line) for at in (0, 1)
    )
    known.write_text(f"{nodes.address(0)} {' '.join(second.split()[1:])}\n")
    assert first not in known.read_text()
    stack = project.stack({"sshKnownHostsFile": str(known)} | inventory(nodes, 1))
    refused = stack.up(check=False, seconds=120)
    assert refused.status != 0
    assert traces(nodes, FIRST) == []


def test_switching_the_check_of_host_keys_off_warns(nodes: Lab, project: Project) -> None:
    stack = project.stack({"sshHostKeyChecking": "false"} | inventory(nodes, 1))
    assert "sshHostKeyChecking is false: whoever answers" in stack.preview().text


def test_all_mistakes_of_an_inventory_are_told_at_once_and_nothing_is_made(
    nodes: Lab, project: Project
) -> None:
    address = nodes.address(0)
    hosts = {
        address: {"etcd_seq": 1},
        nodes.address(1): {"etcd_seq": 1},
        nodes.address(2): {"etcd_seq": "three"},
    }
    variables = {"etcd_hartbeat_interval": 100, "etcd_version": "3.4.1", "etcd_cluster": "Etcd_"}
    stack = project.stack({"inventory": {"etcd": {"hosts": hosts, "vars": variables}}})

    for refused in (stack.preview(check=False), stack.up(check=False)):
        assert refused.status != 0
        assert "did you mean etcd_heartbeat_interval?" in refused.text
        assert "etcd 3.4.1 must not run" in refused.text
        assert "three" in refused.text
        assert "Etcd_" in refused.text
        assert "Traceback" not in refused.text
        assert nothing_was_made(refused)
    assert resources(stack) <= {"pulumi:pulumi:Stack"}


def nothing_was_made(outcome: Outcome) -> bool:
    """Whether nothing but the stack itself was or would be created."""
    return not re.search(r"(tls|command|etcd):\w+:\w+", outcome.text)


def resources(stack: Stack) -> set[str]:
    """Types of all resources in the state."""
    exported = stack.pulumi("stack", "export", keep=False).text
    return set(re.findall(r'"type": "(\w+:[^"]+)"', exported))
