"""What a node tells of itself, from an edit of the inventory to a scrape, and back."""

from __future__ import annotations

import urllib.request

from lab import Lab
from tests.live.conftest import inventory
from tests.live.nodes import FIRST, process, shell, traces
from tests.live.stack import Project

UNITS = "/etc/systemd/system/etcd_exporter"


def test_a_node_tells_where_the_inventory_says_so_and_etcd_does_not_notice(
    nodes: Lab, project: Project
) -> None:
    def told(port: int) -> str:
        address = f"http://{nodes.address(0)}:{port}/metrics"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return str(answer.read().decode())

    stack = project.stack(inventory(nodes, 1))
    stack.up()
    begun = process(nodes, FIRST)
    stack.edit(etcd_exporter_port=2381)
    assert stack.up().changed == {"created": 1}
    labels = f'cls="etcd",ins="etcd-1",ip="{nodes.address(0)}"'
    assert f'etcd_node_seat{{{labels},state="taken"}} 1\n' in told(2381)
    assert stack.output("monitoring")["members"][0]["exporter"] == f"{nodes.address(0)}:2381"
    assert stack.up().changed == {}

    stack.edit(etcd_exporter_port=2382)
    assert f"+ ListenStream={nodes.address(0)}:2382" in stack.preview().text
    assert stack.up().changed == {"updated": 1}
    told(2382)

    # Somebody takes it away by hand; that is noticed, and put back when it is asked for.
    shell(nodes, FIRST, f"systemctl disable -q --now etcd_exporter.socket && rm {UNITS}.socket")
    assert "what tells of its node (etcd_exporter_port, etcd_textfile_dir) is" in (
        stack.status().text
    )
    stack.edit(etcd_repair=1)
    stack.up()
    told(2382)
    assert "Everything is as the stack says." in stack.status().text

    stack.edit(etcd_exporter_port=0)
    assert stack.up().changed == {"deleted": 1}
    assert shell(nodes, FIRST, f"ls -d {UNITS}* /run/etcd-node/*.prom 2>/dev/null || :") == ""
    assert process(nodes, FIRST) == begun

    stack.edit(etcd_exporter_port=2381)
    stack.up()
    stack.destroy()
    assert [one for one in traces(nodes, FIRST) if one != "/opt/etcd"] == []
