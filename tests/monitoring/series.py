"""Clusters as a monitor sees them: every series of healthy members, minute by minute."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from etcd_component.monitoring.watched import Watched, WatchedMember

MINUTES = 45
"""Samples of a series: minutes 0 to 44."""

DAY = 86400
VERSION = "3.6.16"
QUOTA = 8 * 2**30

Labels = tuple[tuple[str, str], ...]
Value = Callable[[int], float | None]

_BOUNDS = (0.032, 0.064, 0.256, 0.512, 2.048)
"""Some of the bounds of etcd's histograms, in seconds."""


def always(value: float) -> Value:
    return lambda minute: value


def growing(per_minute: float, start: float = 1000) -> Value:
    return lambda minute: start + per_minute * minute


def since(first: int, then: float, before: float = 0) -> Value:
    """One value, and from a minute on another one."""
    return lambda minute: then if minute >= first else before


def at(*changes: int, start: float = 1) -> Value:
    """A counter that goes up by one in each of these minutes."""
    return lambda minute: start + sum(minute >= one for one in changes)


class Series:
    """The series of some clusters, each of which has a name of its own."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, Labels], Value] = {}
        self.watched: list[Watched] = []

    def member(self, cls: str, seq: int) -> dict[str, str]:
        """The labels of an instance."""
        place = 1 + [one.cluster for one in self.watched].index(cls)
        return {"cls": cls, "ins": f"{cls}-{seq}", "ip": f"10.0.{place}.{seq}", "job": "etcd"}

    def put(self, cls: str, seq: int, metric: str, value: Value, **labels: str) -> None:
        """Set, or add, one series of an instance."""
        port = 2381 if metric.startswith("etcd_node_") else 2379
        everything = self.member(cls, seq)
        everything["instance"] = f"{everything['ip']}:{port}"
        everything |= labels
        self.values[metric, tuple(sorted(everything.items()))] = value

    def drop(self, cls: str, seq: int, prefix: str) -> None:
        """Take away what an instance never exported."""
        ins = self.member(cls, seq)["ins"]
        for metric, labels in list(self.values):
            if metric.startswith(prefix) and dict(labels)["ins"] == ins:
                del self.values[metric, labels]

    def histogram(self, cls: str, seq: int, metric: str, seconds: float, **labels: str) -> None:
        """What always takes `seconds`, and happens every second."""
        for bound in (*_BOUNDS, float("inf")):
            counted = growing(60) if seconds <= bound else always(0)
            le = "+Inf" if bound == float("inf") else str(bound)
            self.put(cls, seq, f"{metric}_bucket", counted, le=le, **labels)

    def kill(self, cls: str, seq: int, minute: int) -> None:
        """etcd dies: `up` says so, and everything else of it ends."""
        ins = self.member(cls, seq)["ins"]
        for (metric, labels), value in list(self.values.items()):
            if metric.startswith("etcd_node_") or dict(labels)["ins"] != ins:
                continue
            if metric == "up":
                if dict(labels)["job"] == "etcd":
                    self.values[metric, labels] = since(minute, 0, 1)
            else:
                self.values[metric, labels] = _until(minute, value)

    def found(
        self,
        cls: str,
        size: int = 3,
        *,
        declared: bool = True,
        learners: Iterable[int] = (),
        version: str = VERSION,
    ) -> None:
        """A cluster in which all is well, the first member leading."""
        members = tuple(
            WatchedMember(
                f"{cls}-{seq}",
                f"10.0.{len(self.watched) + 1}.{seq}",
                f"10.0.{len(self.watched) + 1}.{seq}:2379",
                "learner" if seq in learners else "voter",
            )
            for seq in range(1, size + 1)
        )
        self.watched.append(Watched(cls, VERSION if declared else "", members, "", "", ""))
        for seq in range(1, size + 1):
            self._put_etcd(cls, seq, size, version)
            self._put_node(cls, seq, size)
        for seq in learners:
            self.put(cls, seq, "etcd_server_is_learner", always(1))

    def _put_etcd(self, cls: str, seq: int, size: int, version: str) -> None:
        self.put(cls, seq, "up", always(1))
        for metric, value in {
            "etcd_server_has_leader": always(1),
            "etcd_server_is_leader": always(1 if seq == 1 else 0),
            "etcd_server_is_learner": always(0),
            "process_start_time_seconds": always(-DAY),
            "etcd_server_leader_changes_seen_total": always(1),
            "etcd_server_proposals_committed_total": growing(60),
            "etcd_server_proposals_applied_total": growing(60),
            "etcd_server_proposals_pending": always(0),
            "etcd_server_proposals_failed_total": always(0),
            "etcd_server_quota_backend_bytes": always(QUOTA),
            "etcd_mvcc_db_total_size_in_bytes": always(5e7),
            "etcd_mvcc_db_total_size_in_use_in_bytes": always(4e7),
            "etcd_mvcc_put_total": growing(60),
            "etcd_mvcc_delete_total": always(0),
            "etcd_mvcc_range_total": growing(60),
        }.items():
            self.put(cls, seq, metric, value)
        own = f"{cls}-id-{seq}"
        self.put(cls, seq, "etcd_server_id", always(1), server_id=own)
        self.put(cls, seq, "etcd_server_version", always(1), server_version=version)
        for other in range(1, size + 1):
            remote = {"Local": own, "Remote": f"{cls}-id-{other}"}
            self.put(cls, seq, "etcd_network_known_peers", always(1), **remote)
            if other != seq:
                self.put(cls, seq, "etcd_network_active_peers", always(1), **remote)
                self.histogram(
                    *(cls, seq, "etcd_network_peer_round_trip_time_seconds", 0.001),
                    To=remote["Remote"],
                )
        for metric in ("etcd_disk_wal_fsync", "etcd_disk_backend_commit"):
            self.histogram(cls, seq, f"{metric}_duration_seconds", 0.001)
        applied = "etcd_server_apply_duration_seconds"
        self.histogram(cls, seq, applied, 0.001, op="Put", success="true")
        self.handled(cls, seq, "Put", "OK", 60)
        self.histogram(cls, seq, "grpc_server_handling_seconds", 0.001, **_unary("Put"))

    def _put_node(self, cls: str, seq: int, size: int) -> None:
        self.put(cls, seq, "up", always(1), job="etcd-node")
        for metric, value in {
            "members": always(size),
            "unit_active": always(1),
            "unit_restarts": always(0),
            "files_changed_by_hand": always(0),
            "restart_pending": always(0),
            "data_free_bytes": always(8e10),
            "data_size_bytes": always(1e11),
            "clock_synchronized": always(1),
            "time_seconds": growing(60, 0),
            "written_timestamp_seconds": growing(60, -10),
        }.items():
            self.put(cls, seq, f"etcd_node_{metric}", value)
        self.put(cls, seq, "etcd_node_seat", always(1), state="taken")
        self.ends(cls, seq, 1000, certificate="server")
        self.ends(cls, seq, 5000, certificate="ca", number="1")

    def ends(self, cls: str, seq: int, days: float, **which: str) -> None:
        """A certificate that ends so many days after the last minute."""
        metric = "etcd_node_certificate_not_after_timestamp_seconds"
        self.put(cls, seq, metric, always((MINUTES - 1) * 60 + days * DAY), **which)

    def handled(
        self, cls: str, seq: int, method: str, code: str, rate: float, kind: str = "unary"
    ) -> None:
        """Requests that ended with a code, so many a minute."""
        labels = _unary(method) | {"grpc_code": code, "grpc_type": kind}
        self.put(cls, seq, "grpc_server_handled_total", growing(rate), **labels)

    def written(self) -> list[dict[str, str]]:
        """As the testers of Prometheus and VictoriaMetrics read them."""
        return [
            {
                "series": metric
                + "{"
                + ",".join(f'{name}="{text}"' for name, text in labels)
                + "}",
                "values": _notation([value(minute) for minute in range(MINUTES)]),
            }
            for (metric, labels), value in self.values.items()
        ]


def _unary(method: str) -> dict[str, str]:
    service = "Auth" if method == "Authenticate" else "KV"
    return {
        "grpc_type": "unary",
        "grpc_service": f"etcdserverpb.{service}",
        "grpc_method": method,
    }


def _until(minute: int, value: Value) -> Value:
    return lambda now: value(now) if now < minute else None


def _notation(values: list[float | None]) -> str:
    """Samples in the testers' shorthand: `1+2x44` is 1, 3, and so on, 45 samples.

    What has ended is marked as a scrape that failed marks it.
    """
    words: list[str] = []
    first = 0
    while first < len(values):
        last = _end_of_run(values, first)
        value, step = values[first], _step(values, first)
        if value is None:
            words += ["stale" if words else "_", *(["_"] * (last - first))]
        else:
            words.append(f"{value:.12g}{step:+.12g}x{last - first}")
        first = last + 1
    return " ".join(words)


def _step(values: list[float | None], index: int) -> float:
    now, then = values[index], values[index + 1] if index + 1 < len(values) else None
    return 0 if now is None or then is None else then - now


def _end_of_run(values: list[float | None], first: int) -> int:
    """The last of those from `first` on that differ by the same step, or are all missing."""
    last = first
    while last + 1 < len(values) and (values[last + 1] is None) == (values[first] is None):
        if _step(values, last) != _step(values, first):
            break
        last += 1
    return last
