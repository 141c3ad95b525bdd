"""Data that are lost in other ways than by an empty directory, from status to the cure."""

from __future__ import annotations

import re

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.hosts import names
from tests.live.nodes import FIRST, processes, shell, traces
from tests.live.stack import CHECKOUT, Outcome, Project, Stack
from tests.live.test_status import apply_edits, look

WIPE = (
    "systemctl disable -q --now etcd; rm -rf /etc/etcd /data /opt/etcd /run/etcd-node"
    " /usr/local/sbin/etcd* /etc/systemd/system/etcd.service; systemctl daemon-reload;"
    " userdel etcd"
)
FLIP = (
    "systemctl stop etcd; for page in $(seq 2 200); do printf '\\377\\376\\375\\374' |"
    " dd of=/data/etcd/member/snap/db bs=1 seek=$((page * 512)) conv=notrunc status=none"
    " 2>/dev/null; done; systemctl start --no-block etcd; sleep 4"
)
SILENT_PORT = (
    "systemctl stop ssh.socket ssh sshd 2>/dev/null; systemd-run -q --unit silent perl"
    ' -MIO::Socket::INET -e \'my $s = IO::Socket::INET->new(LocalAddr => "0.0.0.0:22",'
    " Listen => 9, ReuseAddr => 1) or die; my @all; while (1) { push @all, $s->accept }'"
)


def destroy_as_make_does(stack: Stack) -> Outcome:
    stack.environment["PYTHONPATH"] = str(CHECKOUT)
    done = stack._python("destroy", "-m", "toolchain.destroy", "--lab", stack.name)
    return Outcome(done.returncode, done.stdout + done.stderr)


def test_what_status_proposes_cures_damaged_data_and_a_wiped_machine(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*names(1, 2, 3))
    for number in range(20):
        ask(stack)("put", f"key {number}", "x" * 3000)
    before = processes(nodes, 3)

    shell(nodes, FIRST + 1, FLIP)
    told = look(stack)
    assert ("etcd-2", "data-broken") in told.found
    assert told.cluster["edits"] == [f"{nodes.address(1)}: {{ etcd_seq: 2, etcd_reseat: 1 }}"]
    apply_edits(stack, told)
    cured = stack.up()
    assert "its data are set aside in /data/etcd/member.before-reseat-" in cured.text
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3)) == cluster_id
    assert look(stack).exit == 0

    shell(nodes, FIRST + 2, WIPE)
    told = look(stack)
    assert {one for one in told.found if one[0] == "etcd-3"} == {
        ("etcd-3", "no-answer"),
        ("etcd-3", "wiped"),
    }
    assert told.cluster["edits"] == [f"{nodes.address(2)}: {{ etcd_seq: 3, etcd_reseat: 1 }}"]
    apply_edits(stack, told)
    stack.up()
    assert ask(stack).assert_one_healthy_cluster(*names(1, 2, 3)) == cluster_id
    assert look(stack).exit == 0
    assert stack.up().changed == {}
    assert processes(nodes, 3)[0] == before[0]


def test_a_destroy_ends_and_says_what_was_left_where(nodes: Lab, project: Project) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    nodes.kill(FIRST + 2)
    shell(nodes, FIRST + 1, SILENT_PORT)

    done = destroy_as_make_does(stack)

    shell(nodes, FIRST + 1, "systemctl stop silent; systemctl start ssh")
    assert done.status == 0, done.text
    assert f"etcd-2 on {nodes.address(1)}: no answer on port 22 within 2 s" in done.text
    assert f"etcd-3 on {nodes.address(2)}, data in /data/etcd" in done.text
    assert re.search("etcd-node uninstall .*--name etcd-3 .*--yes", done.text)
    assert not [one for one in traces(nodes, FIRST) if one != "/opt/etcd"]
    assert "etcd-2" in shell(nodes, FIRST + 1, "cat /etc/etcd/etcd/etcd.yaml")
    exported = stack.pulumi("stack", "export", keep=False)
    assert "command:remote:Command" not in exported.text


def test_a_destroy_ends_on_a_machine_on_which_nothing_is_left(nodes: Lab, project: Project) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    shell(nodes, FIRST + 2, WIPE)

    assert stack.destroy().status == 0

    assert not [one for one in traces(nodes, FIRST) if one != "/opt/etcd"]
    assert traces(nodes, FIRST + 2) == []
