"""What a preview says of the update, in words."""

from __future__ import annotations

from lab import Lab
from tests.live.conftest import inventory
from tests.live.stack import Stack

ALL = "etcd-1, etcd-2 and etcd-3"


def test_a_preview_says_in_one_paragraph_what_the_update_will_do(three: Stack, lab: Lab) -> None:
    before = three.config
    nothing = three.preview().text
    assert "Nothing changes: no member, setting, certificate, user or role." in nothing
    new = three.project.stack(inventory(lab, 3)).preview().text
    assert f"Cluster etcd: a new cluster of etcd-1 ({lab.address(0)}), etcd-2" in new
    try:
        three.write({"sshUser": "admin"} | inventory(lab, 4, etcd_snapshot_count=20000))
        grown = three.preview()
        three.edit(etcd_ca_trusted=[1, 2], etcd_ca_signing=1)
        rotated = three.pulumi("preview").text
    finally:
        three.write(before)
    restart = f"{ALL} get a new configuration (snapshot-count 10000 -> 20000) and restart one"
    assert f"etcd-4 ({lab.address(3)}) joins; {restart} after another." in grown.text
    # At the head: before the first row.
    head = grown.text.partition("command:remote:Command")[0]
    assert "Cluster etcd: " in head, grown.text
    assert "CA 2 becomes trusted by members and clients;" in rotated
