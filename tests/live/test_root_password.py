"""Root's password changes while the cluster runs, whatever comes in between."""

from __future__ import annotations

from typing import Any

from lab import Lab
from tests.live.cluster import Asked
from tests.live.conftest import Ask, inventory
from tests.live.hosts import names, write_hosts
from tests.live.nodes import processes
from tests.live.stack import Project, Stack

GIVEN = 'gïven "once" it\'s \\ there'
DECLARED: dict[str, Any] = {
    "etcd_roles": {"app": [{"permission": "read", "prefix": "/app/"}]},
    "etcd_users": {"app": {"roles": ["app"]}},
}


def assert_is_root_s(stack: Stack, asked: Asked, refused: str) -> None:
    """The stack's password lets root in, and this one does not."""
    assert asked.environment["ETCDCTL_PASSWORD"] == stack.output("root_password") != refused
    asked("user", "get", "root")
    for endpoint in asked.endpoints:
        former = asked.run("get", "x", ETCDCTL_ENDPOINTS=endpoint, ETCDCTL_PASSWORD=refused)
        assert "invalid user ID or password" in former.stderr


def test_root_s_password_is_changed_by_number_and_a_cut_off_change_is_finished(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3, **DECLARED))
    stack.up()
    first, before = stack.output("root_password"), processes(nodes, 3)

    # Nobody would know the second password, with which the third would have to be set.
    stack.edit(etcd_root_password_generation=3)
    outcome = stack.preview(check=False)
    assert outcome.status != 0
    assert "run it once more, and raise it by one" in " ".join(outcome.text.split())

    stack.edit(etcd_root_password_generation=2)
    preview = stack.preview()
    assert "etcd-root-password-2" in preview.text
    assert first not in preview.text
    stack.killed_when("etcd-2-rollout updated")
    assert "well. 3 of 3 voters are well" in stack.status().text
    assert "root's password is the new one; the former is refused" in stack.up().text
    second = stack.output("root_password")
    assert_is_root_s(stack, ask(stack), refused=first)

    # The next one is given; what no longer counts leaves the state.
    stack.set_secret("etcd_root_password", GIVEN)
    outcome = stack.preview(check=False)
    assert outcome.status != 0
    assert "raise etcd_root_password_generation to 3" in " ".join(outcome.text.split())
    # What goes does so last, and with the former password.
    write_hosts(stack, nodes, {1: {}, 2: {}}, etcd_root_password_generation=3)
    said = "member etcd-3, user app, role app would be removed with the former password"
    assert said in stack.up(check=False).text
    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {}}, etcd_root_password_generation=3, **DECLARED)
    assert stack.up().counts["deleted"] == 1
    assert stack.output("root_password") == GIVEN
    assert_is_root_s(stack, ask(stack), refused=second)
    assert stack.up().changed == {}

    write_hosts(stack, nodes, {1: {}, 2: {}}, etcd_root_password_generation=3)
    left = stack.up().text
    assert "etcd-3: removed from the cluster" in left
    assert "user app is removed" in left
    ask(stack).assert_one_healthy_cluster(*names(1, 2))
    assert processes(nodes, 2) == before[:2]
