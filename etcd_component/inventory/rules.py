"""What only shows when instances are seen together: mistakes, and what should be known."""

import itertools
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from etcd_component import versions
from etcd_component.inventory.draft import NO_SEQ, Draft, Seat
from etcd_component.mistake import Findings
from etcd_component.model import Cluster, quorum

PIGSTY_PASSWORD: Final = "Etcd.Root"  # noqa: S105 - published, which is the point
MANY_VOTERS: Final = 7
QUOTA_ADVISED: Final = 8 * 1024**3
"""etcd's documentation suggests no more."""


def check_names(drafts: Iterable[Draft], findings: Findings) -> None:
    """No two clusters, and no cluster and instance, have one name."""
    by_name: dict[str, list[Draft]] = defaultdict(list)
    for draft in sorted(drafts, key=lambda one: one.group.place):
        by_name[draft.name].append(draft)
    instances = {
        seat.instance.name: seat
        for same in by_name.values()
        for draft in same
        for seat in draft.seats
    }
    for name, (first, *others) in by_name.items():
        for draft in others:
            findings.wrong(
                f"{draft.group.place}.vars.etcd_cluster",
                f"{first.group.place} is a cluster named {name} too",
                "give each cluster a name of its own",
            )
        if name in instances:
            findings.wrong(
                f"{first.group.place}.vars.etcd_cluster",
                f"{name} is the name of the instance at {instances[name].place} too",
                "choose a name that does not end in a number",
            )


def check_seats(draft: Draft, findings: Findings) -> None:
    """Numbers and addresses are unique in a cluster."""
    seqs: dict[int, Seat] = {}
    addresses: dict[str, Seat] = {}
    for seat in sorted(draft.seats, key=lambda one: one.place):
        instance = seat.instance
        if instance.seq != NO_SEQ and (first := seqs.get(instance.seq)):
            free = next(
                n for n in itertools.count(1) if n not in {one.instance.seq for one in draft.seats}
            )
            findings.wrong(
                f"{seat.place}.etcd_seq",
                f"{instance.seq} is the number of {first.instance.node.address} too",
                f"give each host its own, such as {free}",
            )
        if first := addresses.get(instance.node.address):
            findings.wrong(
                seat.place, f"this is the address of {first.place} too", "keep one of them"
            )
        if instance.client_port == instance.peer_port:
            findings.wrong(
                f"{seat.place}.etcd_peer_port",
                f"clients and peers cannot share port {instance.peer_port}",
                "use two ports, such as 2379 and 2380",
            )
        if instance.exporter_port in {instance.client_port, instance.peer_port}:
            findings.wrong(
                f"{seat.place}.etcd_exporter_port",
                f"etcd itself has port {instance.exporter_port}",
                "use another port, such as 2381, or 0 for none",
            )
        seqs.setdefault(instance.seq, seat)
        addresses.setdefault(instance.node.address, seat)


def check_members(draft: Draft, cluster: Cluster, findings: Findings) -> None:
    """The members can meet, and enough of them vote."""
    if len(draft.seats) > 1:
        for seat in draft.seats:
            if seat.instance.node.address in _LOOPBACK or seat.instance.node.address.startswith(
                "127."
            ):
                findings.wrong(
                    seat.place,
                    "other members cannot reach a loopback address",
                    "write the address that the other members dial",
                )
    if draft.seats and not cluster.voters:
        findings.wrong(
            draft.group.place,
            "no instance votes: all are learners or lost",
            "take etcd_learner off at least one",
        )
    learners = [one for one in cluster.instances if one.learner and not one.lost]
    allowed = int(cluster.settings.options.get("max-learners", 1))
    if len(learners) > allowed:
        cure = "make one after the other a voter"
        if cluster.settings.minor != "3.5":
            cure += f", or set etcd_options: {{max-learners: {len(learners)}}}"
        problem = f"{len(learners)} learners, where etcd {cluster.settings.minor} takes {allowed}"
        findings.wrong(draft.group.place, problem, cure)


_LOOPBACK: Final = frozenset({"::1", "localhost"})


def check_machines(seats: Iterable[Seat], findings: Findings) -> None:
    """Instances that share a machine share neither cluster, port nor directory."""
    ordered = sorted((seat for seat in seats if not seat.instance.lost), key=lambda one: one.place)
    for first, second in itertools.combinations(ordered, 2):
        if not first.instance.node.shares_machine_with(second.instance.node):
            continue
        here, there = second.instance, first.instance
        machine = f"{there.name} at {first.place}"
        if here.cluster == there.cluster:
            if here.node.address != there.node.address:
                findings.wrong(
                    second.place,
                    f"it is reached at {here.node.login.host} port {here.node.login.port},"
                    f" as is {machine}: one machine cannot hold two members of a cluster",
                    "correct ansible_host or ansible_port",
                )
            continue
        for name, port in here.ports.items():
            if port not in there.ports.values():
                continue
            findings.wrong(
                f"{second.place}.{name}",
                f"port {port} is used by {machine} on the same machine",
                "give one cluster other ports",
            )
        if _nested(here.data_dir, there.data_dir):
            findings.wrong(
                f"{second.place}.etcd_data",
                f"{here.data_dir} and the {there.data_dir} of {machine} are on the same machine",
                "give each cluster a directory outside the other's",
            )


def _nested(one: str, other: str) -> bool:
    here, there = PurePosixPath(one), PurePosixPath(other)
    return here.is_relative_to(there) or there.is_relative_to(here)


# --- warnings


def advise(cluster: Cluster, findings: Findings) -> None:
    """Say what may stand but should be known."""
    voters = len(cluster.voters)
    lost = "1 lost" if cluster.fault_tolerance == 1 else f"{cluster.fault_tolerance} lost"
    arithmetic = (
        f"cluster {cluster.name}: {voters} voters have a quorum of {cluster.quorum}"
        f" and tolerate {lost}"
    )
    if voters % 2 == 0:
        findings.warn(
            f"{arithmetic}, as {voters - 1} with a quorum of {quorum(voters - 1)} do:"
            f" use {voters - 1} or {voters + 1}"
        )
    if voters > MANY_VOTERS:
        findings.warn(
            f"{arithmetic}, but every write waits for {cluster.quorum} of them:"
            f" 5 tolerate 2 lost, {MANY_VOTERS} tolerate 3"
        )
    settings = cluster.settings
    if advice := versions.advice(settings.version):
        findings.warn(f"cluster {cluster.name}: {advice}")
    if settings.root_password == PIGSTY_PASSWORD:
        findings.warn(
            f"cluster {cluster.name}: etcd_root_password is Pigsty's published default;"
            " anyone who knows Pigsty knows it"
        )
    if settings.quota_bytes > QUOTA_ADVISED:
        findings.warn(
            f"cluster {cluster.name}: a quota of {settings.quota_bytes / 1024**3:g} GiB is more"
            " than the 8 GiB that etcd's documentation suggests"
        )
