"""The three dashboards: all clusters, one cluster, one instance."""

from __future__ import annotations

from etcd_component.monitoring.dashboards import panels
from etcd_component.monitoring.dashboards.shape import Board, Row

_SAFE = "Is it safe?"
_WHICH = "Which member is it?"
_NEXT = "What comes next?"
_FAST = "How fast is it?"
_LOAD = "How much is asked of it?"
_LIES = "What lies in it?"
_REFUSED = "Who is refused?"
_WITH = "What does it use?"

OVERVIEW = Board(
    "etcd-clusters",
    "etcd: all clusters",
    (
        Row(
            _SAFE,
            (
                panels.MARGIN.but(width=3),
                panels.LEADERLESS.but(width=3),
                panels.ALERTS_OF_CLUSTERS.but(width=3),
                panels.DOWN.but(width=3),
            ),
        ),
        Row(
            _WHICH,
            (
                panels.MEMBERS,
                panels.BLIND,
                panels.LAG,
                panels.DIFFERS,
            ),
        ),
        Row(
            _NEXT,
            (
                panels.QUOTA.by_cluster("max").but(width=3),
                panels.QUOTA_DAYS.by_cluster("min").but(width=3),
                panels.CERTIFICATES.by_cluster("min").but(width=3),
                panels.DISK.by_cluster("min").but(width=3),
            ),
        ),
        Row(
            _FAST,
            (
                panels.FSYNC.by_cluster("max"),
                panels.PEER.by_cluster("max"),
                panels.LEADER_CHANGES,
            ),
        ),
        Row(
            _LOAD,
            (
                panels.READS.by_cluster("sum"),
                panels.WRITES.by_cluster("max"),
                panels.SIZE.by_cluster("max"),
            ),
        ),
    ),
    ("cls",),
)

CLUSTER = Board(
    "etcd-cluster",
    "etcd: one cluster",
    (
        Row(
            _SAFE,
            (
                panels.MARGIN.but(width=3),
                panels.VOTERS.but(width=3),
                panels.ALERTS.but(width=3),
                panels.DOWN.but(width=3),
                panels.LEADERLESS,
                panels.BLIND,
                panels.ALARMS,
            ),
        ),
        Row(
            _WHICH,
            (
                panels.MEMBERS,
                panels.LEADER,
                panels.PEERS,
                panels.LAG,
                panels.AGE,
                panels.VERSIONS,
                panels.DIFFERS,
            ),
        ),
        Row(
            _NEXT,
            (
                panels.QUOTA,
                panels.QUOTA_DAYS,
                panels.FRAGMENTATION,
                panels.CERTIFICATES.but(width=6),
                panels.DISK.but(width=6),
            ),
        ),
        Row(
            _FAST,
            (
                panels.FSYNC,
                panels.COMMIT,
                panels.APPLY,
                panels.PEER.but(width=6),
                panels.LEADER_CHANGES.but(width=6),
            ),
        ),
        Row(
            _LOAD,
            (
                panels.READS,
                panels.WRITES,
                panels.REQUESTS,
                panels.PROPOSALS.but(width=3),
                panels.WATCHERS.but(width=3),
                panels.LEASES.but(width=3),
                panels.TRAFFIC.but(width=3),
            ),
        ),
        Row(_LIES, (panels.SIZE, panels.KEYS, panels.REVISIONS)),
        Row(_REFUSED, (panels.LOGINS, panels.FORBIDDEN, panels.FAILED)),
        Row(
            _WITH,
            (
                panels.MEMORY.but(width=3),
                panels.CPU.but(width=3),
                panels.FILES.but(width=3),
                panels.PEER_TRAFFIC.but(width=3),
            ),
        ),
    ),
    ("cls",),
)

INSTANCE = Board(
    "etcd-instance",
    "etcd: one instance",
    (
        Row(
            _SAFE,
            (
                panels.DOWN.but(width=3),
                panels.BLIND.but(width=3),
                panels.LEADER.but(width=3),
                panels.ALERTS.but(width=3),
                panels.PEERS.but(width=3),
                panels.LAG.but(width=3),
                panels.AGE.but(width=3),
                panels.ALARMS.but(width=3),
            ),
        ),
        Row(
            _NEXT,
            (
                panels.QUOTA,
                panels.QUOTA_DAYS,
                panels.FRAGMENTATION,
                panels.DIFFERS,
                panels.CERTIFICATES,
                panels.DISK,
            ),
        ),
        Row(
            _FAST,
            (
                panels.FSYNC_SPREAD,
                panels.COMMIT_SPREAD,
                panels.EACH_PEER,
                panels.APPLY.but(width=6),
                panels.PROPOSALS.but(width=6),
            ),
        ),
        Row(
            _LOAD,
            (
                panels.METHODS.but(width=6),
                panels.TRAFFIC.but(width=6),
                panels.READS.but(width=3),
                panels.WRITES.but(width=3),
                panels.WATCHERS.but(width=3),
                panels.LEASES.but(width=3),
            ),
        ),
        Row(_LIES, (panels.SIZE, panels.KEYS, panels.REVISIONS)),
        Row(_REFUSED, (panels.LOGINS, panels.FORBIDDEN, panels.FAILED)),
        Row(
            _WITH,
            (
                panels.MEMORY,
                panels.CPU,
                panels.FILES,
                panels.GOROUTINES.but(width=6),
                panels.PEER_TRAFFIC.but(width=6),
            ),
        ),
    ),
    ("cls", "ins"),
)

BOARDS = (OVERVIEW, CLUSTER, INSTANCE)
