"""What is wrong with a cluster, and the alerts that say so: one cluster for each case.

Each function is a case; its name is the name of its cluster. It makes a healthy cluster, breaks it,
and returns all alerts that fire in the last minute. `spares` names those that must not, though
little is missing: to be a case of an alert's silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.monitoring.series import (
    QUOTA,
    Series,
    always,
    at,
    growing,
    since,
)


@dataclass(frozen=True)
class Firing:
    """An alert of an instance of the case's cluster."""

    alert: str
    seq: int
    summary: str
    labels: dict[str, str] = field(default_factory=dict)


Case = Callable[[Series, str], list[Firing]]

CASES: list[Case] = []
SPARED: dict[str, list[str]] = {}
"""Alerts, and the cases that come near to them."""


def case(*spares: str) -> Callable[[Case], Case]:
    def register(function: Case) -> Case:
        CASES.append(function)
        for alert in spares:
            SPARED.setdefault(alert, []).append(function.__name__)
        return function

    return register


def _margin_gone(cls: str, seq: int) -> Firing:
    return Firing("EtcdQuorumMarginGone", seq, f"One more loss stops {cls}: {cls}-{seq} is missing")


def _down(cls: str, seq: int, ip: str) -> Firing:
    return Firing("EtcdServerDown", seq, f"{cls}-{seq} at {ip} does not answer")


# ---- what is well


@case()
def well(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    return []


@case("EtcdWalFsyncSlow", "EtcdBackendCommitSlow", "EtcdApplySlow", "EtcdNetworkPeerRTSlow")
def idle(s: Series, cls: str) -> list[Firing]:
    """Nothing happens at all: latencies are of nothing."""
    s.found(cls)
    for key, value in list(s.values.items()):
        if dict(key[1])["cls"] == cls and key[0].endswith(("_bucket", "_total")):
            s.values[key] = always(value(0) or 0)
    return []


@case("EtcdQuorumMarginGone", "EtcdQuorumLost")
def solo(s: Series, cls: str) -> list[Firing]:
    """One member has no margin, and is not to be told so for ever."""
    s.found(cls, 1)
    return []


@case("EtcdQuorumMarginGone")
def couple(s: Series, cls: str) -> list[Firing]:
    s.found(cls, 2)
    return []


@case("EtcdMemberUndeclared", "EtcdVersionUndeclared", "EtcdNodeMetricsMissing")
def foreign(s: Series, cls: str) -> list[Firing]:
    """A cluster that no stack declares, and whose nodes tell nothing of themselves."""
    s.found(cls, declared=False)
    for seq in (1, 2, 3):
        s.drop(cls, seq, "etcd_node_")
        del s.values[
            "up",
            tuple(
                sorted(
                    (
                        s.member(cls, seq)
                        | {"job": "etcd-node", "instance": f"{s.member(cls, seq)['ip']}:2379"}
                    ).items()
                )
            ),
        ]
    return []


# ---- members


@case("EtcdQuorumLost", "EtcdPeerDisconnected", "EtcdNodeMetricsMissing", "EtcdNoLeader")
def down(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.kill(cls, 3, 10)
    for seq in (1, 2):
        remote = {"Local": f"{cls}-id-{seq}", "Remote": f"{cls}-id-3"}
        s.put(cls, seq, "etcd_network_active_peers", since(10, 0, 1), **remote)
    return [_down(cls, 3, s.member(cls, 3)["ip"]), _margin_gone(cls, 3)]


@case("EtcdQuorumMarginGone", "EtcdNodeMetricsMissing")
def dark(s: Series, cls: str) -> list[Firing]:
    """A whole machine is off, of five."""
    s.found(cls, 5)
    s.kill(cls, 5, 10)
    s.put(cls, 5, "up", since(10, 0, 1), job="etcd-node")
    s.drop(cls, 5, "etcd_node_")
    return [_down(cls, 5, s.member(cls, 5)["ip"])]


@case("EtcdServerDown", "EtcdQuorumMarginGone")
def blink(s: Series, cls: str) -> list[Firing]:
    """Away for one moment, as in a rollout, and before once for longer."""
    s.found(cls)
    s.put(cls, 3, "up", lambda minute: 0 if minute == 44 or 10 < minute < 20 else 1)
    return []


@case("EtcdQuorumMarginGone")
def halted(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    for seq in (2, 3):
        s.kill(cls, seq, 10)
    s.put(cls, 1, "etcd_server_has_leader", since(10, 0, 1))
    s.put(cls, 1, "etcd_server_is_leader", since(10, 0, 1))
    lost = f"{cls} has no quorum; {cls}-{{}} is missing (margin -1)"
    return [
        *(_down(cls, seq, s.member(cls, seq)["ip"]) for seq in (2, 3)),
        *(Firing("EtcdQuorumLost", seq, lost.format(seq)) for seq in (2, 3)),
        Firing("EtcdNoLeader", 1, f"{cls}-1 sees no leader"),
    ]


@case("EtcdNotScraped")
def alone(s: Series, cls: str) -> list[Firing]:
    """The only member is down: margin and quorum are one thing then."""
    s.found(cls, 1)
    s.kill(cls, 1, 10)
    return [
        _down(cls, 1, s.member(cls, 1)["ip"]),
        Firing("EtcdQuorumLost", 1, f"{cls} has no quorum; {cls}-1 is missing (margin -1)"),
    ]


@case()
def unscraped(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.drop(cls, 3, "")
    return [
        Firing("EtcdNotScraped", 3, f"{cls}-3 is declared, and nobody scrapes it"),
        _margin_gone(cls, 3),
    ]


@case()
def parted(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    remote = {"Local": f"{cls}-id-2", "Remote": f"{cls}-id-3"}
    s.put(cls, 2, "etcd_network_active_peers", since(40, 0, 1), **remote)
    return [
        Firing(
            "EtcdPeerDisconnected",
            2,
            f"{cls}-2 has no connection to the member {cls}-id-3, which answers the monitor",
            {"Remote": f"{cls}-id-3"},
        )
    ]


@case()
def fewer(s: Series, cls: str) -> list[Firing]:
    """As etcd 3.5 is seen: only the node tells how many members there are."""
    s.found(cls)
    for seq in (1, 2, 3):
        s.drop(cls, seq, "etcd_network_known_peers")
        s.put(cls, seq, "etcd_node_members", since(30, 2, 3))
    summary = f"{cls} has 2 members, fewer than are declared (asked: {cls}-1)"
    return [Firing("EtcdMemberMissing", 1, summary)]


@case()
def more(s: Series, cls: str) -> list[Firing]:
    """As a cluster without the nodes' own metrics is seen."""
    s.found(cls)
    for seq in (1, 2, 3):
        s.drop(cls, seq, "etcd_node_members")
        remote = {"Local": f"{cls}-id-{seq}", "Remote": f"{cls}-id-4"}
        s.put(cls, seq, "etcd_network_known_peers", always(1), **remote)
        gone = remote | {"Remote": f"{cls}-id-5"}
        s.put(cls, seq, "etcd_network_known_peers", always(0), **gone)
    summary = f"{cls} has 4 members, more than are declared (asked: {cls}-1)"
    return [Firing("EtcdMemberUndeclared", 1, summary)]


@case("EtcdMemberMissing", "EtcdMemberUndeclared")
def joining(s: Series, cls: str) -> list[Firing]:
    """The list of members and what is declared differ for a moment."""
    s.found(cls)
    for seq in (1, 2, 3):
        s.put(cls, seq, "etcd_node_members", since(43, 4, 3))
    return []


@case()
def stays(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.put(cls, 3, "etcd_server_is_learner", always(1))
    return [
        Firing("EtcdLearnerStays", 3, f"{cls}-3 is declared a voter, and still a learner"),
        _margin_gone(cls, 3),
    ]


@case("EtcdLearnerStays", "EtcdQuorumMarginGone")
def reader(s: Series, cls: str) -> list[Firing]:
    """A learner that is declared one; when it is down, no quorum is nearer to its end."""
    s.found(cls, 4, learners=[4])
    s.kill(cls, 4, 20)
    return [_down(cls, 4, s.member(cls, 4)["ip"])]


@case("EtcdVersionUndeclared")
def mixed(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.drop(cls, 2, "etcd_server_version")
    s.put(cls, 2, "etcd_server_version", always(1), server_version="3.6.15")
    return [Firing("EtcdVersionSkew", 1, f"{cls} runs 2 versions of etcd at once")]


@case("EtcdVersionSkew")
def older(s: Series, cls: str) -> list[Firing]:
    s.found(cls, version="3.5.35")
    said = "runs etcd 3.5.35, which is not what is declared"
    return [
        Firing("EtcdVersionUndeclared", seq, f"{cls}-{seq} {said}", {"version": "3.5.35"})
        for seq in (1, 2, 3)
    ]


@case("EtcdRestartLoop", "EtcdLeaderChanges")
def restarted(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.put(cls, 2, "process_start_time_seconds", since(40, 2400, -86400))
    s.put(cls, 2, "etcd_server_leader_changes_seen_total", since(40, 1, 3))
    return [Firing("EtcdRestarted", 2, f"{cls}-2 was restarted 4m 0s ago")]


@case("EtcdRestarted")
def rested(s: Series, cls: str) -> list[Firing]:
    """Restarted a while ago."""
    s.found(cls)
    s.put(cls, 2, "process_start_time_seconds", since(30, 1800, -86400))
    return []


@case()
def looping(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    starts = (20, 25, 30, 35, 40)
    s.put(
        *(cls, 2, "process_start_time_seconds"),
        lambda minute: max((60 * one for one in starts if one <= minute), default=-86400),
    )
    return [
        Firing("EtcdRestarted", 2, f"{cls}-2 was restarted 4m 0s ago"),
        Firing("EtcdRestartLoop", 2, f"{cls}-2 was restarted 5 times within 30 minutes"),
    ]


@case()
def dying(s: Series, cls: str) -> list[Firing]:
    """It dies too soon to be scraped: systemd counts."""
    s.found(cls, 5)
    s.kill(cls, 2, 5)
    s.put(cls, 2, "etcd_node_unit_restarts", growing(1, 0))
    return [
        _down(cls, 2, s.member(cls, 2)["ip"]),
        Firing("EtcdRestartLoop", 2, f"{cls}-2 was restarted 30 times within 30 minutes"),
    ]


# ---- raft


@case()
def elections(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    for seq in (1, 2, 3):
        s.put(cls, seq, "etcd_server_leader_changes_seen_total", growing(1))
    seen = "saw 15 changes of the leader within 15 minutes"
    return [Firing("EtcdLeaderChanges", seq, f"{cls}-{seq} {seen}") for seq in (1, 2, 3)]


@case("EtcdLeaderChanges")
def calmer(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    for seq in (1, 2, 3):
        s.put(cls, seq, "etcd_server_leader_changes_seen_total", at(35, 38, 41))
    return []


@case()
def disagreed(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.put(cls, 1, "etcd_server_proposals_failed_total", growing(2, 0))
    return [Firing("EtcdProposalsFailing", 1, f"10 proposals of {cls}-1 failed within 5 minutes")]


@case("EtcdProposalsFailing", "EtcdProposalsPending", "EtcdNetworkPeerRTSlow", "EtcdRaftLag")
def busy(s: Series, cls: str) -> list[Firing]:
    """A thousand writes a second; the third is scraped half a minute before the first."""
    s.found(cls)
    s.put(cls, 1, "etcd_server_proposals_failed_total", growing(1, 0))
    s.put(cls, 1, "etcd_server_proposals_pending", lambda minute: 500 if minute % 3 else 100)
    for seq, behind in ((1, 0), (2, 0), (3, 30_000)):
        for kind in ("committed", "applied"):
            metric = f"etcd_server_proposals_{kind}_total"
            s.put(cls, seq, metric, growing(60_000, 100_000 - behind))
    metric = "etcd_network_peer_round_trip_time_seconds"
    s.histogram(cls, 1, metric, 0.05, To=f"{cls}-id-2")
    return []


@case()
def pending(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.put(cls, 1, "etcd_server_proposals_pending", always(150))
    summary = f"Never fewer than 150 proposals waited in {cls}-1 for 5 minutes"
    return [Firing("EtcdProposalsPending", 1, summary)]


@case()
def lagging(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.put(cls, 3, "etcd_server_proposals_applied_total", lambda minute: 1000 + 60 * min(minute, 10))
    return [Firing("EtcdRaftLag", 3, f"{cls}-3 is 2040 entries behind its cluster")]


@case()
def far(s: Series, cls: str) -> list[Firing]:
    """One of two ways is slow."""
    s.found(cls)
    metric = "etcd_network_peer_round_trip_time_seconds"
    s.histogram(cls, 1, metric, 0.2, To=f"{cls}-id-2")
    summary = f"{cls}-1 needs 246.4ms to the slowest of its peers and back (p95)"
    return [Firing("EtcdNetworkPeerRTSlow", 1, summary)]


# ---- requests


@case("EtcdRequestsFailingMany")
def failing(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.handled(cls, 1, "Put", "OK", 97)
    s.handled(cls, 1, "Put", "Unavailable", 3)
    summary = f"3.0 % of Put requests to {cls}-1 fail"
    return [Firing("EtcdRequestsFailing", 1, summary, {"grpc_method": "Put"})]


@case("EtcdRequestsFailing")
def broken(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.handled(cls, 2, "Put", "ResourceExhausted", 60)
    summary = f"50.0 % of Put requests to {cls}-2 fail"
    return [Firing("EtcdRequestsFailingMany", 2, summary, {"grpc_method": "Put"})]


@case("EtcdRequestsFailing", "EtcdRequestsFailingMany", "EtcdRequestsSlow", "EtcdAuthFailures")
def normal(s: Series, cls: str) -> list[Firing]:
    """One of few failed, watches end, a client errs, logins and a defragmentation take long."""
    s.found(cls)
    s.handled(cls, 1, "Txn", "Unavailable", 1)
    s.handled(cls, 1, "Watch", "Unavailable", 100, "bidi_stream")
    s.handled(cls, 1, "Put", "NotFound", 100)
    s.handled(cls, 1, "Authenticate", "InvalidArgument", 2)
    metric = "grpc_server_handling_seconds"
    for method in ("Authenticate", "Defragment"):
        s.histogram(cls, 1, metric, 2, grpc_method=method, grpc_type="unary")
    s.histogram(cls, 1, metric, 0.06, grpc_method="Range", grpc_type="unary")
    s.histogram(cls, 1, metric, 2, grpc_method="Snapshot", grpc_type="server_stream")
    return []


@case()
def waiting(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    metric = "grpc_server_handling_seconds"
    s.histogram(cls, 1, metric, 0.3, grpc_method="Txn", grpc_type="unary")
    labels = {"grpc_method": "Txn"}
    return [Firing("EtcdRequestsSlow", 1, f"Txn takes 509.4ms in {cls}-1 (p99)", labels)]


@case()
def terse(s: Series, cls: str) -> list[Firing]:
    """etcd 3.7 with `metrics: basic`."""
    s.found(cls)
    s.drop(cls, 1, "grpc_server_handling_seconds")
    metric = "etcd_server_request_duration_seconds"
    s.histogram(cls, 1, metric, 0.3, type="Range", success="true")
    s.histogram(cls, 1, metric, 2, type="Compaction", success="true")
    labels = {"grpc_method": "Range"}
    return [Firing("EtcdRequestsSlow", 1, f"Range takes 509.4ms in {cls}-1 (p99)", labels)]


@case()
def refused(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.handled(cls, 1, "Authenticate", "InvalidArgument", 3)
    s.handled(cls, 1, "Range", "PermissionDenied", 2)
    summary = f"{cls}-1 refused 10 logins or requests within 2 minutes"
    return [Firing("EtcdAuthFailures", 1, summary)]


# ---- the database

_SIZE, _IN_USE = "etcd_mvcc_db_total_size_in_bytes", "etcd_mvcc_db_total_size_in_use_in_bytes"


def _quota_full(cls: str, seq: int, usage: str) -> Firing:
    summary = f"The database of {cls}-{seq} has used {usage} of its quota"
    return Firing("EtcdQuotaFull", seq, summary)


def _nospace(cls: str, seq: int, usage: str) -> Firing:
    summary = f"{cls}-{seq} has no space ({usage} of its quota): {cls} refuses to write"
    return Firing("EtcdAlarmNospace", seq, summary)


def _sized(s: Series, cls: str, seq: int, usage: float) -> None:
    for metric in (_SIZE, _IN_USE):
        s.put(cls, seq, metric, always(usage * QUOTA))


@case("EtcdAlarmNospace", "EtcdQuotaFillsSoon")
def nearly(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    _sized(s, cls, 2, 0.998)
    return [_quota_full(cls, 2, "99.8%")]


@case("EtcdQuotaFull", "EtcdQuotaFillsSoon")
def roomy(s: Series, cls: str) -> list[Firing]:
    """Less than 90 %; another is small still and grows; a third has no quota."""
    s.found(cls)
    _sized(s, cls, 1, 0.899)
    for metric in (_SIZE, _IN_USE):
        s.put(cls, 2, metric, growing(QUOTA / 500, QUOTA / 10))
    s.put(cls, 3, "etcd_server_quota_backend_bytes", always(0))
    return []


@case()
def swelling(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    for metric in (_SIZE, _IN_USE):
        s.put(cls, 1, metric, growing(QUOTA / 250, QUOTA / 2))
    summary = f"The database of {cls}-1, 67.6% of its quota, is full within a day"
    return [Firing("EtcdQuotaFillsSoon", 1, summary)]


@case()
def full(s: Series, cls: str) -> list[Firing]:
    """etcd 3.5 does not tell its alarms."""
    s.found(cls)
    _sized(s, cls, 1, 1)
    return [_quota_full(cls, 1, "100%"), _nospace(cls, 1, "100%")]


@case()
def alarmed(s: Series, cls: str) -> list[Firing]:
    """Defragmented and not disarmed; the one that raised it was restarted and forgot its metric."""
    s.found(cls)
    _sized(s, cls, 3, 0.1)
    for seq in (1, 3):
        which = {"server_id": f"{cls}-id-2", "alarm_type": "NOSPACE"}
        s.put(cls, seq, "etcd_debugging_server_alarms", always(2), **which)
    s.handled(cls, 3, "Put", "ResourceExhausted", 1)
    return [_nospace(cls, 3, "10%")]


@case("EtcdAlarmNospace", "EtcdAlarmCorrupt")
def disarmed(s: Series, cls: str) -> list[Firing]:
    """The metric of NOSPACE stays, once it was raised twice; something else was refused."""
    s.found(cls)
    _sized(s, cls, 3, 0.1)
    which = {"server_id": f"{cls}-id-2", "alarm_type": "NOSPACE"}
    s.put(cls, 1, "etcd_debugging_server_alarms", since(30, 1, 2), **which)
    which["alarm_type"] = "CORRUPT"
    s.put(cls, 2, "etcd_debugging_server_alarms", since(30, 0, 1), **which)
    s.handled(cls, 3, "Put", "InvalidArgument", 1)
    return []


@case()
def corrupt(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    for seq in (1, 2, 3):
        which = {"server_id": f"{cls}-id-3", "alarm_type": "CORRUPT"}
        s.put(cls, seq, "etcd_debugging_server_alarms", always(1), **which)
    return [Firing("EtcdAlarmCorrupt", 3, f"{cls} says that its data are corrupt: {cls}-3")]


@case()
def damaged(s: Series, cls: str) -> list[Firing]:
    """etcd 3.5: only its answers tell."""
    s.found(cls)
    s.handled(cls, 1, "Txn", "DataLoss", 10)
    labels = {"grpc_method": "Txn"}
    return [
        Firing("EtcdAlarmCorrupt", 1, f"{cls} says that its data are corrupt: {cls}-1"),
        Firing("EtcdRequestsFailingMany", 1, f"100.0 % of Txn requests to {cls}-1 fail", labels),
    ]


@case()
def hollow(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.put(cls, 1, _SIZE, always(1e9))
    s.put(cls, 1, _IN_USE, always(3e8))
    return [Firing("EtcdFragmentation", 1, f"70% of the database of {cls}-1 is empty")]


@case("EtcdFragmentation")
def small(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.put(cls, 1, _SIZE, always(1e8))
    s.put(cls, 1, _IN_USE, always(1e7))
    s.put(cls, 2, _SIZE, always(1e9))
    s.put(cls, 2, _IN_USE, always(6e8))
    return []


# ---- the disk

_FSYNC = "etcd_disk_wal_fsync_duration_seconds"
_COMMIT = "etcd_disk_backend_commit_duration_seconds"
_APPLY = "etcd_server_apply_duration_seconds"


@case("EtcdWalFsyncStalled", "EtcdBackendCommitSlow")
def slow(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.histogram(cls, 1, _FSYNC, 0.3)
    s.histogram(cls, 1, _COMMIT, 0.2)
    s.histogram(cls, 2, _FSYNC, 0.03)
    s.histogram(cls, 2, _COMMIT, 0.3)
    s.histogram(cls, 3, _APPLY, 0.1, op="Put", success="true")
    summary = "{} needs {} to {} (p95)"
    return [
        Firing(
            *("EtcdWalFsyncSlow", 1),
            summary.format(f"{cls}-1", "499.2ms", "write its log to the disk"),
        ),
        Firing(
            *("EtcdBackendCommitSlow", 2),
            summary.format(f"{cls}-2", "499.2ms", "commit to its database"),
        ),
        Firing("EtcdApplySlow", 3, summary.format(f"{cls}-3", "246.4ms", "apply a write")),
    ]


@case("EtcdWalFsyncSlow", "EtcdApplySlow")
def stalled(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.histogram(cls, 1, _FSYNC, 1)
    s.histogram(cls, 2, _FSYNC, 0.03)
    s.histogram(cls, 2, _APPLY, 0.05, op="Put", success="true")
    summary = f"{cls}-1 needs 1.971s to write its log to the disk (p95)"
    return [Firing("EtcdWalFsyncStalled", 1, summary)]


_FREE = "etcd_node_data_free_bytes"


def _free(cls: str, seq: int, percent: str) -> str:
    return f"{percent} % of the disk with the data of {cls}-{seq} is free"


@case("EtcdDiskFull")
def filling(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.put(cls, 1, _FREE, always(10e9))
    s.put(cls, 2, _FREE, growing(-2e8, 35e9))
    return [
        Firing("EtcdDiskFilling", 1, _free(cls, 1, "10")),
        Firing("EtcdDiskFilling", 2, _free(cls, 2, "26")),
    ]


@case("EtcdDiskFilling")
def filled(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    s.put(cls, 1, _FREE, always(3e9))
    return [Firing("EtcdDiskFull", 1, _free(cls, 1, "3.0"))]


# ---- what the nodes tell


@case()
def mute(s: Series, cls: str) -> list[Firing]:
    """One has no listener any more, another's file is not written."""
    s.found(cls)
    s.put(cls, 1, "up", always(0), job="etcd-node")
    s.drop(cls, 1, "etcd_node_")
    s.put(cls, 2, "etcd_node_written_timestamp_seconds", always(1200))
    said = "does not tell its own metrics, or tells old ones"
    return [
        Firing("EtcdNodeMetricsMissing", seq, f"The node of {cls}-{seq} {said}") for seq in (1, 2)
    ]


@case()
def ending(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    for seq, days in enumerate((20, 5, 7.5), 1):
        s.ends(cls, seq, days, certificate="server")
    s.ends(cls, 1, 50, certificate="ca", number="1")
    s.ends(cls, 1, 5000, certificate="ca", number="2")
    certificate = f"The certificate of {cls}-{{}} ends in {{}} days"
    return [
        Firing("EtcdCertificateEnds", 1, certificate.format(1, "20.0")),
        Firing("EtcdCertificateEndsNow", 2, certificate.format(2, "5.0")),
        Firing("EtcdCertificateEnds", 3, certificate.format(3, "7.5")),
        Firing("EtcdCaEnds", 1, f"A CA that {cls}-1 trusts ends in 50.0 days"),
    ]


@case()
def clocks(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    for seq, skew in ((1, 3), (2, -3)):
        s.put(cls, seq, "etcd_node_time_seconds", growing(60, skew))
    s.put(cls, 3, "etcd_node_clock_synchronized", always(0))
    away = f"The clock of {cls}-{{}} is 3.0 s away from the monitor's"
    return [
        Firing("EtcdClockSkew", 1, away.format(1)),
        Firing("EtcdClockSkew", 2, away.format(2)),
        Firing("EtcdClockUnsynchronized", 3, f"Nothing sets the clock of {cls}-3"),
    ]


def _seat(s: Series, cls: str, seq: int, state: str) -> None:
    s.drop(cls, seq, "etcd_node_seat")
    s.put(cls, seq, "etcd_node_seat", always(1), state=state)


def _seat_lost(cls: str, seq: int, state: str) -> Firing:
    summary = f"{cls}-{seq} has no seat any more: {state}"
    return Firing("EtcdSeatLost", seq, summary, {"state": state})


@case()
def unlike(s: Series, cls: str) -> list[Firing]:
    s.found(cls)
    _seat(s, cls, 1, "lost")
    _seat(s, cls, 2, "gone")
    s.put(cls, 1, "etcd_node_files_changed_by_hand", since(35, 1))
    s.put(cls, 1, "etcd_node_restart_pending", since(10, 1))
    pending = f"{cls}-1 still runs with other settings than its files say"
    return [
        _seat_lost(cls, 1, "lost"),
        _seat_lost(cls, 2, "gone"),
        Firing("EtcdFilesChangedByHand", 1, f"Somebody changed files of {cls}-1 by hand"),
        Firing("EtcdRestartPending", 1, pending),
    ]


@case(
    "EtcdCertificateEnds",
    "EtcdCertificateEndsNow",
    "EtcdCaEnds",
    "EtcdClockSkew",
    "EtcdClockUnsynchronized",
    "EtcdSeatLost",
    "EtcdFilesChangedByHand",
    "EtcdRestartPending",
    "EtcdDiskFilling",
)
def tolerable(s: Series, cls: str) -> list[Firing]:
    """All that the nodes tell is just good enough, or was bad for a moment."""
    s.found(cls)
    s.ends(cls, 1, 31, certificate="server")
    s.ends(cls, 1, 91, certificate="ca", number="1")
    s.put(cls, 1, "etcd_node_time_seconds", growing(60, 1))
    s.put(cls, 1, "etcd_node_clock_synchronized", since(35, 0, 1))
    _seat(s, cls, 1, "being-taken")
    s.put(cls, 1, "etcd_node_files_changed_by_hand", since(42, 1))
    s.put(cls, 1, "etcd_node_restart_pending", since(20, 1))
    s.put(cls, 1, _FREE, always(16e9))
    return []
