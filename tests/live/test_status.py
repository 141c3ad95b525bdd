"""What a person is told of a running cluster, and how what was changed by hand is put back."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from lab import Lab
from tests.live.conftest import Ask, inventory
from tests.live.nodes import FIRST, processes, shell
from tests.live.stack import Project, Stack


@dataclass(frozen=True)
class Told:
    """What `status` printed for a program."""

    exit: int
    seconds: float
    shown: dict[str, Any]

    @property
    def cluster(self) -> dict[str, Any]:
        (found,) = self.shown["clusters"]
        assert isinstance(found, dict)
        return found

    @property
    def found(self) -> set[tuple[str, str]]:
        """Whom each finding is about, and its key."""
        return {(one["member"], one["key"]) for one in self.cluster["findings"]}


def look(stack: Stack, *words: str) -> Told:
    begun = time.monotonic()
    done = stack.status("--json", *words)
    return Told(done.status, time.monotonic() - begun, json.loads(done.text))


def apply_edits(stack: Stack, told: Told) -> None:
    """Write what status says into the inventory."""
    config = stack.config
    hosts = config["inventory"]["etcd"]["hosts"]
    for line in told.cluster["edits"]:
        address, _, number = line.partition(":")
        words = number.strip(" {}").split(", ")
        hosts[address] = {key: int(value) for key, value in (word.split(": ") for word in words)}
    stack.write(config)


SPOIL = {
    # Runs with another setting than the stack's: the only one that must be restarted.
    1: "sed -i 's/^snapshot-count: .*/snapshot-count: 5000/' /etc/etcd/etcd/etcd.yaml"
    " && systemctl restart etcd",
    # Everything is different on disk, and nothing of it runs.
    2: "cd /etc/etcd/etcd && systemctl disable -q etcd && rm /usr/local/sbin/etcd-node claim"
    " && sed -i 's/^RestartSec=.*/RestartSec=9s/' /etc/systemd/system/etcd.service"
    " && cp pki/ca.crt pki/ca.old && cat pki/ca.old pki/server.crt >pki/ca.crt"
    " && rm -r /opt/etcd/versions/*",
    # A foreign certificate, as served.
    3: "cd /etc/etcd/etcd/pki && cp ca.crt server.crt && mkdir /etc/systemd/system/etcd.service.d"
    " && printf '[Service]\\nNice=1\\n' >/etc/systemd/system/etcd.service.d/nice.conf"
    " && systemctl daemon-reload && ln -sfn ../versions/3.5.0 /opt/etcd/clusters/etcd",
}


def test_what_was_changed_by_hand_is_named_and_put_back_when_asked_to(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack({"sshUser": "admin"} | inventory(nodes, 3))
    new = stack.status()
    assert new.status == 3
    assert "has got so far; run it" in new.text
    stack.up()

    told = look(stack)
    assert (told.exit, told.found) == (0, set())
    assert [one["looked_at"] for one in told.cluster["members"]] == [True] * 3
    assert sorted(one["role"] for one in told.cluster["members"]) == ["leader", "voter", "voter"]
    assert "\x1b" not in stack.status().text

    for seq, script in SPOIL.items():
        shell(nodes, FIRST + seq - 1, script)
    ask(stack)("put", "written", "meanwhile")
    before = processes(nodes, 3)

    told = look(stack)
    assert told.exit == 1
    keys = {
        1: {"settings", "restart-pending"},
        2: {"unit", "unit-disabled", "unit-not-loaded", "program", "owner", "ca"}
        | {"version-linked", "restart-pending"},
        3: {"certificate", "drop-in", "version-linked", "restart-pending"},
    }
    assert {one for one in told.found if one[1] not in {"certificate-served", "no-answer"}} == {
        (f"etcd-{seq}", key) for seq, own in keys.items() for key in own
    }
    assert "+ snapshot-count: 5000" in str(told.cluster["findings"])
    assert told.cluster["edits"] == [
        f"{nodes.address(seq - 1)}: {{ etcd_seq: {seq}, etcd_repair: 1 }}" for seq in (1, 2, 3)
    ]
    # Without a look at the nodes only etcd itself is heard, which runs as before.
    assert {one for _, one in look(stack, "--no-ssh").found} <= {"certificate-served", "no-answer"}

    apply_edits(stack, told)
    repaired = stack.up()
    assert "etcd-1: restarted" in repaired.text
    told = look(stack)
    assert (told.exit, told.found) == (0, {("etcd-3", "drop-in")})
    assert processes(nodes, 3)[0] != before[0]
    assert processes(nodes, 3)[1:] == before[1:]
    assert stack.up().changed == {}
    ask(stack).assert_one_healthy_cluster("etcd-1", "etcd-2", "etcd-3")


def test_margins_lost_data_and_strangers_are_named_in_time(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    stack = project.stack(inventory(nodes, 3))
    stack.up()
    # Not before the last start is five seconds ago does etcd take anybody.
    time.sleep(5)
    ask(stack)("member", "add", "stranger", "--learner", "--peer-urls", "https://10.9.9.9:2380")
    shell(nodes, FIRST + 2, "systemctl stop etcd && mv /data/etcd/member /data/lost")

    told = look(stack)
    assert told.exit == 1
    assert {key for _, key in told.found} >= {"unknown-member", "data-lost", "no-answer"}
    assert told.cluster["edits"] == [f"{nodes.address(2)}: {{ etcd_seq: 3, etcd_reseat: 1 }}"]
    assert (told.cluster["voters"], told.cluster["voters_well"]) == (3, 2)
    assert told.cluster["may_be_lost"] == 0
    assert "SERVES WITHOUT MARGIN" in told.cluster["verdict"]

    nodes.kill(FIRST + 1)
    # A failed update takes the outputs away; they are not needed.
    stack.edit(etcd_heartbeat_interval=110)
    assert stack.up(check=False).status != 0
    told = look(stack)
    assert told.exit == 2
    assert told.seconds < 20
    assert told.cluster["verdict"].startswith("NO QUORUM. 0 of 3 voters are well")
    # Nobody serves a login now; the node that is left says who the members are.
    assert told.cluster["voters"] == 3
    assert {("etcd-2", "no-answer"), ("etcd-2", "not-looked-at")} <= told.found
    assert "unknown-member" in {key for _, key in told.found}
