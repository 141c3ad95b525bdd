"""A changed setting, a renewed certificate, and no change at all."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.writer import Writer
from lab import Lab
from tests.live.cluster import served_certificate
from tests.live.conftest import Ask
from tests.live.nodes import FIRST, processes, shell
from tests.live.stack import Outcome, Stack

NAMES = ("etcd-1", "etcd-2", "etcd-3")


def changed_lines(preview: Outcome) -> list[str]:
    """The lines of a preview that stand for a change of a text, in order."""
    return [
        line.strip()
        for line in preview.text.splitlines()
        if re.match(r"\s+[-+] ", line) and not re.match(r"\s+[-+] \d+ to ", line)
    ]


def away(lab: Lab, number: int) -> tuple[int, int]:
    """From when to when the member was last away; microseconds of the clock all nodes share."""
    shown = shell(
        lab,
        number,
        "systemctl show etcd -p ActiveExitTimestampMonotonic -p ActiveEnterTimestampMonotonic",
    )
    found = dict(line.split("=") for line in shown.splitlines())
    return (
        int(found["ActiveExitTimestampMonotonic"]),
        int(found["ActiveEnterTimestampMonotonic"]),
    )


def test_nothing_changed_means_no_change_and_no_restart(three: Stack, lab: Lab) -> None:
    before = processes(lab, 3)
    assert three.up().changed == {}
    three.preview("--expect-no-changes")
    assert processes(lab, 3) == before


def test_a_changed_setting_previews_as_two_lines_a_member_and_one_for_its_rollout(
    three: Stack, lab: Lab
) -> None:
    before = three.config
    three.edit(etcd_heartbeat_interval=150)
    try:
        preview = three.preview()
    finally:
        three.write(before)
    lines = changed_lines(preview)
    assert lines.count("- heartbeat-interval: 100") == 3, preview.text
    assert lines.count("+ heartbeat-interval: 150") == 3
    rest = [line for line in lines if "heartbeat-interval" not in line]
    assert len(rest) == 6, preview.text
    assert all(re.fullmatch(r"[-+]\s+--to [0-9a-f]{12}", line) for line in rest), rest
    assert preview.changed == {"update": 6}


def test_a_changed_setting_is_rolled_out_one_by_one_and_no_acknowledged_write_is_lost(
    three: Stack, lab: Lab, ask: Ask
) -> None:
    asked = ask(three)
    cluster_id = asked.assert_one_healthy_cluster(*NAMES)
    before = processes(lab, 3)
    leader = asked.leader()
    three.edit(etcd_heartbeat_interval=120)

    with Writer(asked.access()) as writer:
        rolled = three.up()

    print(
        f"{len(writer.acknowledged)} writes acknowledged, {writer.failed} attempts failed, "
        f"longest gap {writer.longest_gap() * 1000:.0f} ms"
    )
    assert not writer.lost()
    assert all(new != old for new, old in zip(processes(lab, 3), before, strict=True))
    times = sorted(away(lab, FIRST + position) for position in range(3))
    assert all(left < back for left, back in times)
    assert all(times[at][1] <= times[at + 1][0] for at in range(2)), times
    assert re.search(rf"{leader}: restarted after etcd-\d took over as leader", rolled.text)
    (done,) = set(re.findall("Done in cluster.*", rolled.text))
    assert f"{leader} restarted after etcd-" in done
    assert {*re.findall(r"etcd-\d", done)} == {*NAMES}
    assert asked.assert_one_healthy_cluster(*NAMES) == cluster_id
    for number in range(FIRST, FIRST + 3):
        assert "heartbeat-interval: 120" in shell(lab, number, "cat /etc/etcd/etcd/etcd.yaml")

    after = processes(lab, 3)
    again = three.up()
    assert again.changed == {}
    assert "Done in cluster" not in again.text
    assert processes(lab, 3) == after


def test_an_up_inside_the_window_renews_certificates_without_a_restart(
    three: Stack, lab: Lab, ask: Ask
) -> None:
    before = processes(lab, 3)
    addresses = [lab.address(position) for position in range(3)]
    old = [served_certificate(address).serial_number for address in addresses]
    let_time_pass(three)

    three.up()

    for address, serial in zip(addresses, old, strict=True):
        served = {served_certificate(address, port).serial_number for port in (2379, 2380)}
        assert len(served) == 1
        assert serial not in served
    assert processes(lab, 3) == before
    ask(three).assert_one_healthy_cluster(*NAMES)
    assert three.up().changed == {}


def let_time_pass(stack: Stack) -> None:
    """Let the state say that all leaf certificates end soon, as it would some years later."""
    exported = stack.pulumi("stack", "export", keep=False).text
    state: dict[str, Any] = json.loads(exported)
    end = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    aged = 0
    for resource in state["deployment"]["resources"]:
        if resource["type"].endswith(":LocallySignedCert"):
            resource["outputs"]["validityEndTime"] = end
            aged += 1
    # And those of who looks after the cluster and of who watches it.
    assert aged == len(NAMES) + 2
    stack.pulumi("stack", "import", stdin=json.dumps(state))
