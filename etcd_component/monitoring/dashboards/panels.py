"""What is looked at, once for every program that draws it.

The order is that of the questions: Is it safe? Which member is it? What comes next? Only then how
fast, how much, and with what.
"""

from __future__ import annotations

from etcd_component.monitoring.dashboards.shape import Colour, Kind, Needs, Panel, Query, Unit

_YES = ("no", "yes")


def _one(
    title: str,
    says: str,
    unit: Unit,
    expr: str,
    legend: str = "{{ins}}",
    words: tuple[str, ...] = (),
) -> Panel:
    return Panel(title, says, unit, (Query(expr, legend, words=words),))


_ZERO = "sum by (cls, ins) (etcd_up{$where} == 1) * 0"


def _or_zero(rule: str) -> str:
    """A latency is not known while nothing happens, which is no reason to show nothing."""
    # Without a name on either side: to VictoriaMetrics they would be two series of one member.
    return f"max by (cls, ins) ({rule}{{$where}}) or {_ZERO}"


# ---- Is it safe?

MARGIN = _one(
    "Voters that may still fail",
    "0 is the last warning: one more loss and nothing can be written. Below 0 the cluster stands"
    " still. A cluster of one member is always at 0.",
    Unit.COUNT,
    "etcd:cls:quorum_margin{$where}",
    "{{cls}}",
).but(kind=Kind.NOW, steps=((0, Colour.WATCH), (1, Colour.WELL)), below=Colour.ILL)

VOTERS = Panel(
    "Voters",
    "Up must stay at or above the quorum; where it is less than declared, a voter is missing.",
    Unit.COUNT,
    (
        Query("etcd:cls:voters_declared{$where}", "declared"),
        Query("etcd:cls:voters_up{$where}", "up"),
        Query("etcd:cls:quorum{$where}", "quorum"),
    ),
)

LEADERLESS = _one(
    "Without a leader",
    "At 1 no member leads, so no write is possible at this moment. Short after a leader was lost;"
    " longer, there is no quorum.",
    Unit.COUNT,
    "sum by (cls) (etcd_server_is_leader{$where}) < bool 1"
    " or count by (cls) (etcd_up{$where}) > bool 0",
    "{{cls}}",
    words=("has a leader", "no leader"),
).but(kind=Kind.NOW, steps=((1, Colour.ILL),))

# What is only good to know, such as a restart, does not make a cluster unsafe.
_FIRING = 'ALERTS{alertstate="firing",severity=~"CRIT|WARN",$where}'

ALERTS_OF_CLUSTERS = _one(
    "Alerts that fire",
    "Of CRIT and WARN; 0 when all is well. Each has a section in docs/alerts.md with what to do.",
    Unit.COUNT,
    f"count by (cls) ({_FIRING}) or sum by (cls) (etcd_up{{$where}}) * 0",
    "{{cls}}",
).but(kind=Kind.NOW, steps=((1, Colour.ILL),))

ALERTS = _one(
    "Alerts that fire",
    "Of CRIT and WARN; `none` when all is well. Each has a section in docs/alerts.md with what to"
    " do.",
    Unit.COUNT,
    f"count by (cls, alertname, ins) ({_FIRING})"
    ' or on (cls) label_replace(sum by (cls) (etcd_up{$where}) * 0, "alertname", "none", "", "")',
    "{{alertname}} {{ins}}",
).but(kind=Kind.NOW, steps=((1, Colour.ILL),))

ALARMS = _one(
    "Alarms of etcd",
    "0 when all is well. NOSPACE: the quota is full and only reads and deletes work. CORRUPT:"
    " members do not hold the same data. etcd 3.6 and newer tell.",
    Unit.COUNT,
    "sum by (cls, alarm_type) (etcd_debugging_server_alarms{$where})"
    ' or on (cls) label_replace(sum by (cls) (etcd_up{$where}) * 0, "alarm_type", "none", "", "")',
    "{{cls}} {{alarm_type}}",
).but(kind=Kind.NOW, steps=((1, Colour.ILL),))

# ---- Which member is it?

DOWN = _one(
    "Members that do not answer",
    "At 0 a member gives its metrics, at 1 it does not.",
    Unit.COUNT,
    "1 - etcd_up{$where}",
    words=("answers", "does not answer"),
).but(kind=Kind.STATES, steps=((1, Colour.ILL),))

LEADER = _one(
    "Which member leads",
    "The line at 1. It moves when a leader is restarted, is too slow or is cut off.",
    Unit.COUNT,
    "etcd_server_is_leader{$where}",
    words=("follows", "leads"),
).but(kind=Kind.STATES, steps=((1, Colour.WELL),), below=Colour.PLAIN)

BLIND = _one(
    "Members that see no leader",
    "At 1 a member takes no writes and answers no reads: it is cut off, or there is no quorum.",
    Unit.COUNT,
    "1 - etcd_server_has_leader{$where}",
    words=("sees a leader", "sees none"),
).but(kind=Kind.STATES, steps=((1, Colour.ILL),))

PEERS = _one(
    "Peers that a member is connected to",
    "One less than there are members. Who shows less is cut off, or its peer is down.",
    Unit.COUNT,
    "sum by (ins) (etcd_network_active_peers{$where})",
).but(needs=Needs.PEERS)

LAG = _one(
    "Entries behind",
    "What the cluster decided and a member has not applied, at its best moment of five minutes."
    " Members are not asked in the same moment, so under load some always seem to be missing; a"
    " line that rises and stays up is a member that cannot follow.",
    Unit.COUNT,
    "min_over_time(etcd:ins:raft_lag{$where}[5m])",
)

VERSIONS = _one(
    "Members by release",
    "One line outside of a change of version.",
    Unit.COUNT,
    "count by (server_version) (etcd_server_version{$where})",
    "{{server_version}}",
)

AGE = _one(
    "Time since the start",
    "A line that falls to 0 is a restart.",
    Unit.AGE,
    "etcd:ins:age{$where}",
)

DIFFERS = Panel(
    "What is not as the stack says",
    "All at 0 when all is well; `make status` says more. A member that is lost or expelled has no"
    " seat; a pending restart is what the next `pulumi up` does.",
    Unit.COUNT,
    (
        Query(
            'sum by (cls, ins) (etcd_node_seat{state!="taken",$where})'
            " or sum by (cls, ins) (etcd_node_unit_active{$where}) * 0",
            "{{ins}} has no seat",
        ),
        Query(
            "1 - min by (cls, ins) (etcd_node_unit_active{$where})",
            "{{ins}} does not run",
        ),
        Query(
            "max by (cls, ins) (etcd_node_files_changed_by_hand{$where})",
            "{{ins}} was changed by hand",
        ),
        Query(
            "max by (cls, ins) (etcd_node_restart_pending{$where})",
            "{{ins}} waits for a restart",
        ),
    ),
    needs=Needs.EXPORTER,
)

MEMBERS = Panel(
    "Members",
    "A line for each instance; its name leads to its own dashboard.",
    Unit.COUNT,
    (
        Query("max by (cls, ins) (etcd_up{$where})", "answers", words=_YES),
        Query("max by (cls, ins) (etcd_server_is_leader{$where})", "leads", words=_YES),
        Query("max by (cls, ins) (etcd_server_is_learner{$where})", "learner", words=_YES),
        Query(f"max by (cls, ins) ({LAG.queries[0].expr})", "entries behind"),
        Query("max by (cls, ins) (etcd:ins:age{$where})", "runs for", Unit.AGE),
        Query("max by (cls, ins) (etcd:ins:wal_fsync_rt_p95_5m{$where})", "fsync", Unit.SECONDS),
        Query("max by (cls, ins) (etcd:ins:quota_usage{$where})", "quota used", Unit.SHARE),
        Query(
            "max by (cls, ins) (etcd:ins:certificate_days_left{$where})",
            "certificate ends in",
            Unit.DAYS,
        ),
    ),
    kind=Kind.MEMBERS,
    width=12,
)

# ---- What comes next?

QUOTA = _one(
    "Part of the quota that is used",
    "At 100 % the cluster takes no writes any more. Then compact, defragment, and raise the quota"
    " or delete keys.",
    Unit.SHARE,
    "etcd:ins:quota_usage{$where}",
).but(steps=((0.8, Colour.WATCH), (0.9, Colour.ILL)))

QUOTA_DAYS = _one(
    "Days until the quota is full",
    "If the database grows on as in the last six hours; 365 is a year or more, and what a database"
    " shows that does not grow.",
    Unit.DAYS,
    "clamp_max((etcd_server_quota_backend_bytes{$where} - etcd_mvcc_db_total_size_in_bytes{$where})"
    " / clamp_min(deriv(etcd_mvcc_db_total_size_in_bytes{$where}[6h]), 1) / 86400, 365)",
).but(steps=((4, Colour.WATCH), (14, Colour.WELL)), below=Colour.ILL)

CERTIFICATES = Panel(
    "Days until a certificate ends",
    "`pulumi up` renews a member's certificate in its last year. Another CA takes three changes:"
    " docs/how-it-works.md.",
    Unit.DAYS,
    (
        Query("etcd:ins:certificate_days_left{$where}", "{{ins}}"),
        Query("etcd:ins:ca_days_left{$where}", "{{ins}} CA"),
    ),
    steps=((14, Colour.WATCH), (60, Colour.WELL)),
    below=Colour.ILL,
    needs=Needs.EXPORTER,
)

DISK = _one(
    "Disk that is free",
    "Of the file system with the data directory. A full disk stops the member at once.",
    Unit.SHARE,
    "etcd_node_data_free_bytes{$where} / etcd_node_data_size_bytes{$where}",
).but(steps=((0.1, Colour.WATCH), (0.2, Colour.WELL)), below=Colour.ILL, needs=Needs.EXPORTER)

FRAGMENTATION = _one(
    "What a defragmentation would free",
    "Free pages inside the database's file. They are used again, so a high line alone is no harm.",
    Unit.SHARE,
    "etcd:ins:fragmentation{$where}",
)

# ---- How fast?

FSYNC = _one(
    "Log on disk (fsync), 95 of 100 are faster",
    "Every write waits for this. Above 10 ms the disk is slow for etcd, above 50 ms leaders are"
    " lost. 0 while nothing is written.",
    Unit.SECONDS,
    _or_zero("etcd:ins:wal_fsync_rt_p95_5m"),
).but(steps=((0.01, Colour.WATCH), (0.05, Colour.ILL)))

COMMIT = _one(
    "Database on disk (commit), 95 of 100 are faster",
    "Should stay below 25 ms. High together with fsync is a slow disk; high alone is a large"
    " database or much at once.",
    Unit.SECONDS,
    _or_zero("etcd:ins:backend_commit_rt_p95_5m"),
).but(steps=((0.025, Colour.WATCH), (0.25, Colour.ILL)))

APPLY = _one(
    "Applying an entry, 95 of 100 are faster",
    "Above 100 ms requests are too large: a range without a limit, or a transaction of many keys.",
    Unit.SECONDS,
    _or_zero("etcd:ins:apply_rt_p95_5m"),
).but(steps=((0.1, Colour.WATCH), (0.5, Colour.ILL)))

PEER = _one(
    "Way to the slowest peer and back, 95 of 100 are faster",
    "Must stay far below the election timeout, which is 1 s unless the inventory says otherwise.",
    Unit.SECONDS,
    "etcd:ins:network_peer_rt_p95_5m{$where}",
).but(steps=((0.1, Colour.WATCH), (0.2, Colour.ILL)), needs=Needs.PEERS)

LEADER_CHANGES = _one(
    "Changes of the leader in an hour",
    "0 outside of restarts. More is a slow disk, a slow network, or too little CPU.",
    Unit.COUNT,
    "etcd:cls:leader_changes_1h{$where}",
    "{{cls}}",
).but(steps=((1, Colour.WATCH), (3, Colour.ILL)))

# ---- How much?

READS = _one(
    "Reads",
    "Ranges that a member answered from its own data, those inside transactions included.",
    Unit.PER_MINUTE,
    "etcd:ins:rpm{$where}",
)

WRITES = _one(
    "Writes",
    "Puts and deletes. Each member applies each write, so the lines lie on each other.",
    Unit.PER_MINUTE,
    "etcd:ins:wpm{$where}",
)

REQUESTS = _one(
    "Requests",
    "Calls of clients that a member answered, whatever the answer was.",
    Unit.PER_SECOND,
    'sum by (cls, ins) (rate(grpc_server_handled_total{grpc_type="unary",$where}[5m]))',
)

PROPOSALS = Panel(
    "Proposals that wait, and that failed",
    "Waiting ones that grow in number are a cluster that is overloaded or has no quorum; failed"
    " ones were lost in an election.",
    Unit.COUNT,
    (
        Query("etcd_server_proposals_pending{$where}", "{{ins}} wait"),
        Query(
            "increase(etcd_server_proposals_failed_total{$where}[5m])", "{{ins}} failed in 5 min"
        ),
    ),
)

WATCHERS = Panel(
    "Watchers",
    "What clients wait for. A number that only grows is a client that does not cancel.",
    Unit.COUNT,
    (
        Query("etcd_debugging_mvcc_watcher_total{$where}", "{{ins}}"),
        Query("etcd_debugging_mvcc_slow_watcher_total{$where}", "{{ins}} slow"),
    ),
)

LEASES = Panel(
    "Leases",
    "Granted and expired in a minute. Leases that expire belong to clients that died, or that"
    " could not renew.",
    Unit.PER_MINUTE,
    (
        Query("60 * rate(etcd_debugging_lease_granted_total{$where}[5m])", "{{ins}} granted"),
        Query(
            "60 * rate(etcd_debugging_server_lease_expired_total{$where}[5m])", "{{ins}} expired"
        ),
    ),
)

TRAFFIC = Panel(
    "Traffic of clients",
    "What clients send, and what they get.",
    Unit.BYTES_PER_SECOND,
    (
        Query("rate(etcd_network_client_grpc_received_bytes_total{$where}[5m])", "{{ins}} in"),
        Query("rate(etcd_network_client_grpc_sent_bytes_total{$where}[5m])", "{{ins}} out"),
    ),
)

# ---- What lies in it?

SIZE = Panel(
    "Database",
    "The file, and what of it is in use. The quota holds for the file.",
    Unit.BYTES,
    (
        Query("etcd_mvcc_db_total_size_in_bytes{$where}", "{{ins}} file"),
        Query("etcd_mvcc_db_total_size_in_use_in_bytes{$where}", "{{ins}} in use"),
    ),
)

KEYS = _one(
    "Keys",
    "The same for all members, but for those that lag.",
    Unit.COUNT,
    "etcd_debugging_mvcc_keys_total{$where}",
)

REVISIONS = _one(
    "Revisions that are kept",
    "What compaction has not thrown away yet. It falls each time a compaction runs; a line that"
    " only rises fills the quota.",
    Unit.COUNT,
    "etcd_debugging_mvcc_current_revision{$where} - etcd_debugging_mvcc_compact_revision{$where}",
)

# ---- Who is refused?

LOGINS = _one(
    "Logins that were refused",
    "A wrong password, or a user that is no more. Usually a client that kept an old one.",
    Unit.PER_MINUTE,
    "60 * sum by (cls, ins) (rate(grpc_server_handled_total"
    '{grpc_method="Authenticate",grpc_code!="OK",$where}[5m]))',
).but(steps=((1, Colour.WATCH),))

FORBIDDEN = _one(
    "Requests without the right to them",
    "A client uses keys outside of its prefix, or has no valid token.",
    Unit.PER_MINUTE,
    "60 * sum by (cls, ins) (rate(grpc_server_handled_total"
    '{grpc_code=~"PermissionDenied|Unauthenticated",$where}[5m]))',
).but(steps=((1, Colour.WATCH),))

FAILED = _one(
    "Requests that failed in etcd",
    "By its own fault: overloaded, without a leader, or too slow. Clients must have tried again.",
    Unit.PER_MINUTE,
    "60 * sum by (cls, ins) (rate(grpc_server_handled_total{grpc_code=~"
    '"Unavailable|DeadlineExceeded|ResourceExhausted|Internal|DataLoss|Unknown",$where}[5m]))',
).but(steps=((1, Colour.WATCH),))

# ---- With what?

MEMORY = _one(
    "Memory",
    "Resident. It follows the size of the database, and the number of watchers.",
    Unit.BYTES,
    "process_resident_memory_bytes{$where}",
)

CPU = _one(
    "Processors that are busy",
    "1 is one processor all the time.",
    Unit.COUNT,
    "rate(process_cpu_seconds_total{$where}[5m])",
)

FILES = _one(
    "File descriptors in use",
    "Of those that are allowed. Connections of clients are most of them.",
    Unit.SHARE,
    "process_open_fds{$where} / process_max_fds{$where}",
).but(steps=((0.7, Colour.WATCH), (0.9, Colour.ILL)))

GOROUTINES = _one(
    "Goroutines",
    "Some for each client and watcher. Only a line that rises for days matters.",
    Unit.COUNT,
    "go_goroutines{$where}",
)

PEER_TRAFFIC = Panel(
    "Traffic of members among themselves",
    "A leader sends each write to each peer.",
    Unit.BYTES_PER_SECOND,
    (
        Query(
            "sum by (ins) (rate(etcd_network_peer_received_bytes_total{$where}[5m]))", "{{ins}} in"
        ),
        Query("sum by (ins) (rate(etcd_network_peer_sent_bytes_total{$where}[5m]))", "{{ins}} out"),
    ),
    needs=Needs.PEERS,
)

# ---- one instance alone

_QUANTILES = (("0.5", "half are faster"), ("0.95", "95 of 100"), ("0.99", "99 of 100"))


def _spread(title: str, says: str, histogram: str) -> Panel:
    return Panel(
        title,
        says,
        Unit.SECONDS,
        tuple(
            Query(
                f"histogram_quantile({quantile},"
                f" sum by (cls, ins, le) (rate({histogram}_bucket{{$where}}[5m])))"
                f" or {_ZERO}",
                legend,
            )
            for quantile, legend in _QUANTILES
        ),
    )


FSYNC_SPREAD = _spread(
    "Log on disk (fsync)",
    "Every write waits for this. 95 of 100 should be below 10 ms. 0 while nothing is written.",
    "etcd_disk_wal_fsync_duration_seconds",
)

COMMIT_SPREAD = _spread(
    "Database on disk (commit)",
    "95 of 100 should be below 25 ms.",
    "etcd_disk_backend_commit_duration_seconds",
)

EACH_PEER = _one(
    "Way to each peer and back, 95 of 100 are faster",
    "By the number that etcd gave the peer: `etcdctl member list` shows whose it is. One that is"
    " slow alone is that peer or the way to it.",
    Unit.SECONDS,
    "histogram_quantile(0.95, sum by (cls, ins, To, le)"
    " (rate(etcd_network_peer_round_trip_time_seconds_bucket{$where}[5m])))",
    "{{To}}",
).but(needs=Needs.PEERS)

METHODS = _one(
    "Requests by method",
    "The eight that clients call most.",
    Unit.PER_SECOND,
    "topk(8, sum by (cls, ins, grpc_method)"
    ' (rate(grpc_server_handled_total{grpc_type="unary",$where}[5m])))',
    "{{grpc_method}}",
)
