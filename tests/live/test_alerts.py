"""Alerts: what happens to members on the lab is what the monitor raises."""

from __future__ import annotations

import base64
import contextlib

import pytest

from bench.client import Member
from etcd_component.etcd_api.errors import ApiError
from lab import Lab
from tests.live.cluster import Asked
from tests.live.conftest import Ask, inventory
from tests.live.monitor import Labels, Watcher, hurry
from tests.live.nodes import shell
from tests.live.slow import slow_disk
from tests.live.stack import Project

Firing = set[tuple[str, str]]

AWAY: Firing = {("EtcdServerDown", "etcd-3"), ("EtcdQuorumMarginGone", "etcd-3")}
FULL: Firing = {("EtcdAlarmNospace", "etcd-1"), ("EtcdQuotaFull", "etcd-1")}
ENDING: Firing = {("EtcdCertificateEndsNow", f"etcd-{seq}") for seq in (1, 2, 3)}
SLOW: Firing = {("EtcdWalFsyncSlow", "etcd-2")}

AT_ONCE = """
cd /etc/etcd-monitor/rules
sed -i 's/^ *for: .*//; s/\\[2m\\]/[1m]/' alerting.yml
"""
"""How long something lasts and counts is not waited for here: the tests of the rules do that."""

FIRING = 'ALERTS{alertstate="firing"}'


def firing(found: dict[Labels, float]) -> Firing:
    """The alerts, each with the instance that it is about."""
    alerts = [dict(one) for one in found]
    assert all(one["cls"] == "etcd" and one["job"] == "etcd" and one["ip"] for one in alerts)
    return {(one["alertname"], one["ins"]) for one in alerts}


class Leader:
    """Requests to the first member, which leads."""

    def __init__(self, asked: Asked) -> None:
        access = asked.access()
        self._member = Member(access.urls[0], access)
        access.renew("", self._member)

    def fill(self) -> None:
        """Write until there is no space."""
        with pytest.raises(ApiError, match="space exceeded"):
            self._put(40)

    def _put(self, mebibytes: int) -> None:
        for number in range(mebibytes):
            body = {"key": _encoded(str(number)), "value": _encoded("x" * 2**20)}
            self._member.call("kv/put", body)

    def is_busy(self) -> bool:
        """Have a few entries agreed upon, for which even a full database has space."""
        for _ in range(5):
            # It may take longer than a request may: the second member's disk is slow.
            with contextlib.suppress(ApiError):
                self._member.call("kv/deleterange", {"key": _encoded("nothing")})
        return True


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_what_is_wrong_with_members_is_raised_and_ends_when_it_is_mended(
    watched: Lab, project: Project, ask: Ask
) -> None:
    days = {"etcd_cert_days": 5, "etcd_cert_renew_days": 1}
    stack = project.stack(inventory(watched, 3, etcd_quota="16MiB", **days))
    stack.up()
    asked, monitor = ask(stack), Watcher.of(stack)
    hurry(watched, AT_ONCE)
    if asked.leader() != "etcd-1":
        asked("move-leader", f"{asked.members()['etcd-1']['ID']:x}")
    leader = Leader(asked)

    # It is raised while writes are refused, so until a minute after this.
    leader.fill()
    monitor.until(FIRING, lambda found: firing(found) >= FULL | ENDING)
    with slow_disk(watched, 11, seconds=0.2):
        shell(watched, 12, "systemctl stop etcd")
        monitor.until(FIRING, lambda found: leader.is_busy() and firing(found) >= AWAY | SLOW)
    assert monitor.query('{__name__=~"etcd_node_.*", exported_cls!=""}') == {}

    shell(watched, 12, "systemctl start etcd")
    # What it still has to apply would fill its database once more.
    monitor.until(
        "etcd:ins:raft_lag",
        lambda found: len(found) == 3 and max(found.values()) < 100,
    )
    asked("compact", str(asked.statuses()[0]["header"]["revision"]))
    for endpoint in asked.endpoints:
        assert asked.run("defrag", ETCDCTL_ENDPOINTS=endpoint).returncode == 0
    asked("alarm", "disarm")
    stack.edit(etcd_cert_days=1825, etcd_cert_renew_days=365)
    stack.up()
    monitor.until(FIRING, lambda found: not firing(found) & (AWAY | FULL | ENDING))
