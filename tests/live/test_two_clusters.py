"""Two clusters in one stack: each is reached by its name, and nothing secret is shown."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from lab import Lab
from tests.live.cluster import Asked
from tests.live.stack import Project, Stack
from tests.live.test_layout import assert_two_clusters, group


def etcdctl_lines(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m etcd_component etcdctl`, as `make etcdctl` runs it."""
    return subprocess.run(
        [sys.executable, "-m", "etcd_component", "etcdctl", *words, stack.name],
        cwd=stack.project.program,
        env=stack.project.environment | stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def on_a_terminal(stack: Stack, *words: str) -> str:
    """All that somebody sees who types the command and forgets `eval`."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "etcd_component", "etcdctl", *words, stack.name],
        cwd=stack.project.program,
        env=stack.project.environment | stack.environment,
        stdout=theirs,
        stderr=theirs,
        check=False,
    )
    os.close(theirs)
    assert done.returncode == 0
    seen = os.read(ours, 65536).decode()
    os.close(ours)
    return seen


def test_each_of_two_clusters_is_reached_by_its_name_and_nothing_secret_is_shown(
    nodes: Lab, project: Project, etcdctl: Path
) -> None:
    client = {"tool": {"kind": "plain", "prefix": "/tool/"}}
    first = group("etcd", [nodes.address(0)], etcd_clients=client)
    second = group("other", [nodes.address(1), nodes.address(2)], etcd_clients=client)
    stack = project.stack({"inventory": {"etcd": first}})
    stack.up()
    alone = stack.output("endpoints", "etcd")
    assert stack.output("endpoints") == alone == [f"{nodes.address(0)}:2379"]

    stack.write({"inventory": {"etcd": first, "other": second}})
    stack.up()
    assert stack.output("endpoints", "etcd") == alone
    assert stack.output("endpoints", "other") == [f"{nodes.address(at)}:2379" for at in (1, 2)]
    assert stack.up().changed == {}

    # Without a name nothing is there for a shell to evaluate.
    unsaid = etcdctl_lines(stack)
    assert (unsaid.returncode, unsaid.stdout) == (1, "")
    assert "has the clusters etcd, other: name one, such as CLUSTER=etcd" in unsaid.stderr

    passwords = {name: stack.output("root_password", name) for name in ("etcd", "other")}
    assert len(set(passwords.values())) == 2
    members = {"etcd": ["etcd-1"], "other": ["other-1", "other-2"]}
    for name, other in (("etcd", "other"), ("other", "etcd")):
        lines = etcdctl_lines(stack, "--cluster", name)
        assert lines.returncode == 0, lines.stderr
        assert "PRIVATE KEY" not in lines.stdout + lines.stderr
        assert passwords[other] not in lines.stdout
        asked = Asked(stack.evaluated(lines.stdout), etcdctl)
        asked.assert_one_healthy_cluster(*members[name])
        assert asked.environment == stack.client_environment(name)

        seen = on_a_terminal(stack, "--cluster", name)
        assert "ETCDCTL_KEY" in seen
        assert not [one for one in ("PRIVATE KEY", *passwords.values()) if one in seen]

    assert_two_clusters(*(Asked(stack.client_environment(name), etcdctl) for name in members))
    shown = stack.pulumi("stack", "output", "--json").text
    assert not [one for one in ("PRIVATE KEY", *passwords.values()) if one in shown]
    # The other readers take one of several, too.
    place = project.home / "tool-of-other"
    stack.client("tool", place, "--cluster", "other")
    tool = Asked(stack.evaluated(f". {place}/etcdctl.env"), etcdctl)
    assert tool.endpoints == [f"https://{nodes.address(at)}:2379" for at in (1, 2)]
    stack.destroy()
