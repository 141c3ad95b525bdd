"""What a preview says of the update, in words."""

from __future__ import annotations

import re
import time

from lab import Lab
from tests.live.conftest import inventory
from tests.live.nodes import FIRST, shell
from tests.live.stack import Stack

ALL = "etcd-1, etcd-2 and etcd-3"


def test_a_preview_says_in_one_paragraph_what_the_update_will_do(three: Stack, lab: Lab) -> None:
    before = three.config
    nothing = three.preview().text
    assert "Nothing changes: no member, setting, certificate, user or role." in nothing
    new = three.project.stack(inventory(lab, 3)).preview().text
    assert f"Cluster etcd: a new cluster of etcd-1 ({lab.address(0)}), etcd-2" in new
    try:
        with_fourth = three.config
        with_fourth["inventory"]["etcd"]["hosts"][lab.address(3)] = {"etcd_seq": 4}
        three.write(with_fourth)
        # Others have edited this cluster before; none of them to that number.
        three.edit(etcd_snapshot_count=12345)
        grown = three.preview()
        three.edit(etcd_ca_trusted=[1, 2], etcd_ca_signing=1)
        rotated = three.pulumi("preview").text
    finally:
        three.write(before)
    joins = re.escape(f"etcd-4 ({lab.address(3)}) joins; {ALL} get a new configuration")
    restart = r"\(snapshot-count \d+ -> 12345\) and restart one after another\."
    assert re.search(f"{joins} {restart}", grown.text), grown.text
    # At the head: before the first row.
    head = grown.text.partition("command:remote:Command")[0]
    assert "Cluster etcd: " in head, grown.text
    assert "CA 2 becomes trusted by members and clients;" in rotated


def test_a_preview_says_what_was_changed_by_hand_and_what_would_be_refused(
    three: Stack, lab: Lab
) -> None:
    before = three.config
    differs = "cluster etcd differs from what the last update left"
    file = "/etc/etcd/etcd/etcd.yaml"
    timed = {"off": seconds(three, drift="false"), "on": seconds(three)}
    print(f"seconds of a preview, by whether it looks for drift: {timed}")
    assert "etcd-2: etcd.yaml" not in three.preview().text
    shell(
        lab,
        FIRST + 1,
        f"cp -p {file} /root/kept; sed -i 's/^snapshot-count: .*/snapshot-count: 5/' {file}",
    )
    try:
        found = three.preview("--expect-no-changes").text
        three.write(before | {"drift": "false"})
        assert differs not in three.preview().text
    finally:
        three.write(before)
        shell(lab, FIRST + 1, f"mv /root/kept {file}")
    assert differs in found
    assert "etcd-2: etcd.yaml differs from the stack" in found
    assert "+ snapshot-count: 5" in found

    shell(lab, FIRST + 2, "systemctl stop etcd")
    three.edit(etcd_heartbeat_interval=150)
    try:
        found = three.preview().text
    finally:
        three.write(before)
        shell(lab, FIRST + 2, "systemctl start etcd")
    assert "etcd-3: its unit is inactive" in found
    assert (
        "this update would be refused: etcd-3 is not healthy (nothing listens there), so" in found
    )
    assert "would be refused" not in three.preview().text


def seconds(stack: Stack, **settings: str) -> list[float]:
    """Of three previews."""
    before = stack.config
    found = []
    stack.write(before | settings)
    try:
        for _ in range(3):
            start = time.monotonic()
            stack.pulumi("preview")
            found.append(round(time.monotonic() - start, 2))
    finally:
        stack.write(before)
    return found
