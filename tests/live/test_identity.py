"""What `pulumi up` changes or removes is the instance that it means, and nothing else."""

from __future__ import annotations

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.hosts import names, write_hosts
from tests.live.nodes import FIRST, processes, shell
from tests.live.stack import Project


def test_an_older_state_neither_changes_nor_removes_what_came_after_it(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    older = project.home / "older.json"
    stack.pulumi("stack", "export", "--file", str(older))
    write_hosts(stack, nodes, {1: {}, 2: {}})
    stack.up()
    write_hosts(stack, nodes, {1: {}, 2: {}, 5: {}}, at={5: 3})
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 5))
    before = processes(nodes, 3)

    stack.pulumi("stack", "import", "--file", str(older))
    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {}}, etcd_heartbeat_interval=200)
    refused = stack.up(check=False)
    assert refused.status != 0
    assert "this machine holds etcd-5 of cluster etcd, not etcd-3" in refused.text
    assert processes(nodes, 3)[2] == before[2]

    # To the old state etcd-5 is a new number on the machine of etcd-3. Its cure is the way out.
    write_hosts(stack, nodes, {1: {}, 2: {}, 5: {}}, at={5: 3})
    refused = stack.up(check=False)
    assert "this machine is etcd-3, a member of cluster etcd, and not etcd-5" in refused.text
    write_hosts(stack, nodes, {1: {}, 2: {}})
    done = stack.up()
    assert "etcd-3 is not on this machine, which holds etcd-5 of cluster etcd" in done.text
    assert processes(nodes, 3)[2] == before[2]
    write_hosts(stack, nodes, {1: {}, 2: {}, 5: {}}, at={5: 3})
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 5)) == cluster_id
    assert stack.up().changed == {}


def test_a_machine_that_comes_back_after_it_was_lost_joins_under_a_new_number(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    nodes.kill(FIRST + 2)
    write_hosts(stack, nodes, {1: {}, 2: {}, 3: {"etcd_lost": True}})
    stack.up()
    write_hosts(stack, nodes, {1: {}, 2: {}})
    stack.up()
    nodes.start(FIRST + 2)

    write_hosts(stack, nodes, {1: {}, 2: {}, 5: {}}, at={5: 3})
    done = stack.up()
    assert "etcd-3: its cluster has removed it, so this machine is free for etcd-5" in done.text
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 5)) == cluster_id
    assert shell(nodes, FIRST + 2, "ls -d /data/etcd/member.removed-*")
    assert stack.up().changed == {}


def test_a_reinstalled_system_takes_its_data_back_when_it_is_repaired(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    ask(stack)("put", "kept", "yes")
    for number in (FIRST + 1, FIRST + 2):
        shell(
            nodes,
            number,
            "systemctl disable -q etcd; systemctl kill -s KILL etcd; systemctl stop etcd;"
            " rm -rf /etc/etcd /opt/etcd /etc/systemd/system/etcd* /usr/local/sbin/etcd*"
            " /run/etcd-node; userdel etcd; systemctl daemon-reload",
        )
    raised: dict[str, object] = {"etcd_repair": 1}
    write_hosts(stack, nodes, {1: {}, 2: raised, 3: raised})
    done = stack.up()
    assert done.text.count("finds its own data in /data/etcd") == 2
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3)) == cluster_id
    assert ask(stack)("get", "kept", "--print-value-only") == "yes"
