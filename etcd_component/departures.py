"""What an update takes away: said before anything is registered, or refused.

Pulumi shows that `etcd-3-member` is deleted, not that the data in /data/etcd go with it, and it
takes a cluster under another name for two: one that is destroyed, one that is new. Compared are
what the last update left and what the inventory says. A pure function: it asks neither Pulumi nor
machines.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from etcd_component.changes.words import listed
from etcd_component.mistake import Mistake
from etcd_component.model import Cluster
from etcd_component.previous import Instance, Previous


@dataclass(frozen=True, slots=True)
class Departures:
    """What must be known before an update."""

    refusals: tuple[Mistake, ...] = ()
    """Why it must not run."""
    leaving: tuple[str, ...] = ()
    """Who leaves, and what becomes of the data: a sentence for each cluster."""
    safeguards: tuple[str, ...] = ()
    """Which clusters `etcd_safeguard` protects, and against what."""
    unknown: str | None = None
    """Why nothing can be said."""


def departures(previous: Previous, wanted: Sequence[Cluster]) -> Departures:
    """Compare what the last update left with what the inventory says."""
    safeguards = tuple(_safeguard(one, previous) for one in wanted if one.settings.safeguard)
    if not previous.known:
        return Departures(
            safeguards=safeguards,
            unknown="what the last update left cannot be read, so which instances leave is not said"
            f" here, and a changed number or name is found by the nodes only: {previous.reason}",
        )
    by_name = {one.name: one for cluster in wanted for one in cluster.instances}
    gone = [one for one in previous.instances.values() if one.name not in by_name]
    refusals = [
        *_renumbered(previous, wanted),
        *_renamed(previous, wanted),
        *_moved(previous, wanted, gone),
    ]
    # Whoever is refused for its number or its name is not told about the safeguard as well.
    refused = {mistake.place for mistake in refusals}
    refusals += _protected(previous, wanted, gone, refused)
    leaving = [] if refusals else _leaving(gone, {one.name for one in wanted})
    return Departures(tuple(refusals), tuple(leaving), safeguards)


def destroyed(previous: Previous) -> tuple[str, ...]:
    """What `pulumi destroy` takes away, a sentence for each cluster."""
    return tuple(_leaving(previous.instances.values(), set()))


# --- refused


def _renumbered(previous: Previous, wanted: Iterable[Cluster]) -> Iterable[Mistake]:
    """A number on an address that holds another member of the same cluster."""
    for cluster in wanted:
        holders = _holders(previous.of_cluster(cluster.name))
        for instance in cluster.instances:
            holder = holders.get(instance.node.address)
            if holder is None or holder.name == instance.name:
                continue
            number = holder.name.rpartition("-")[2]
            yield Mistake(
                holder.address,
                f"this machine is {holder.name}, a member of cluster {cluster.name}, and not"
                f" {instance.name}: a member keeps its number, and under another one it would be"
                " removed together with its data",
                f"put etcd_seq: {number} back; to have the machine join anew, delete its line, run"
                f" `pulumi up`, and add it again with etcd_seq: {instance.seq}",
            )


def _renamed(previous: Previous, wanted: Sequence[Cluster]) -> Iterable[Mistake]:
    """A cluster that vanishes while a new one appears on its addresses."""
    # An inventory without a cluster is refused, so the last one goes with the stack.
    others = any(_joined(previous.of_cluster(one.name)) for one in wanted)
    first = "run `pulumi up`" if others else "with `pulumi destroy` while the inventory has it"
    for name, instances in _vanished(previous, wanted).items():
        addresses = {one.address for one in instances}
        for cluster in wanted:
            if previous.of_cluster(cluster.name) and _joined(previous.of_cluster(cluster.name)):
                continue
            shared = [
                one.node.address
                for one in cluster.instances
                if one.node.address in addresses and not one.lost
            ]
            if not shared:
                continue
            yield Mistake(
                f"cluster {name}",
                f"the inventory has it no more, and a new cluster {cluster.name} on its"
                f" {listed(shared)}: {name} would be destroyed, its data included, and"
                f" {cluster.name} begin empty",
                f"put etcd_cluster: {name} back: a cluster cannot be renamed; to have an empty"
                f" {cluster.name} instead, delete {name} first, {first}, and add it then",
            )


def _moved(
    previous: Previous, wanted: Sequence[Cluster], gone: Iterable[Instance]
) -> Iterable[Mistake]:
    """A machine that is taken out of one cluster and put into another in one update."""
    vanished = _vanished(previous, wanted)
    leaving = {one.address: one for one in gone if one.joined and not one.lost and one.address}
    for cluster in wanted:
        known = {one.name for one in _joined(previous.of_cluster(cluster.name))}
        for instance in cluster.instances:
            holder = leaving.get(instance.node.address)
            if holder is None or holder.cluster == cluster.name or instance.name in known:
                continue
            if holder.cluster in vanished and not known:
                continue  # Refused as a renamed cluster.
            yield Mistake(
                holder.address,
                f"this machine is {holder.name}, a member of cluster {holder.cluster}, and would"
                f" leave it and be {instance.name} of cluster {cluster.name} in one update",
                f"put {holder.name} back, or take it out first: leave {instance.name} out, run"
                " `pulumi up`, and add it then",
            )


def _protected(
    previous: Previous,
    wanted: Sequence[Cluster],
    gone: Iterable[Instance],
    refused: set[str],
) -> Iterable[Mistake]:
    """Members that `etcd_safeguard` keeps. The engine refuses as well, in its own words."""
    vanished = _vanished(previous, wanted)
    for name, instances in _by_cluster(gone):
        kept = [one for one in instances if one.protected and not one.lost]
        if f"cluster {name}" in refused or not kept or {one.address for one in kept} & refused:
            continue
        what = "it" if name in vanished else listed([one.name for one in kept])
        yield Mistake(
            f"cluster {name}",
            f"the inventory has {what} no more, and etcd_safeguard protects {what}",
            "put back what was deleted, set etcd_safeguard: false and run `pulumi up`; delete it"
            " then",
        )


# --- said


def _leaving(gone: Iterable[Instance], clusters: set[str]) -> list[str]:
    sentences = []
    for name, instances in _by_cluster(gone):
        # Of one that was cut off before its machine was looked at, nothing is there.
        touched = [one for one in instances if one.contacted and not one.lost]
        forgotten = [one for one in instances if one.lost]
        if touched:
            sentences.append(_farewell(name, touched, whole=name not in clusters))
        if forgotten:
            are, theirs = ("are", "their machines") if forgotten[1:] else ("is", "its machine")
            sentences.append(
                f"{_named(forgotten)} of cluster {name}, marked etcd_lost, {are} forgotten;"
                f" nothing is done on {theirs}"
            )
    return sentences


def _farewell(cluster: str, leaving: Sequence[Instance], *, whole: bool) -> str:
    if whole:
        who = f"cluster {cluster} is destroyed: {_named(leaving)} {_verb(leaving, 'stop')}"
    else:
        who = f"{_named(leaving)} {_verb(leaving, 'leave')} cluster {cluster}"
    fates = [
        _fate([one for one in leaving if one.removes_data is removes], removes=removes)
        for removes in (True, False)
    ]
    return "; ".join([who, *(fate for fate in fates if fate)])


def _fate(instances: Sequence[Instance], *, removes: bool) -> str:
    if not instances:
        return ""
    directories = sorted({one.data_dir for one in instances if one.data_dir})
    if len(directories) > 1:
        directories = [f"{one.data_dir} on {one.address}" for one in instances if one.data_dir]
    whose = "their" if len(instances) > 1 else "its"
    where = f" in {listed(directories)}" if directories else ""
    if removes:
        return f"{whose} data{where} are deleted (etcd_rm_data)"
    return f"{whose} data{where} are kept (etcd_rm_data: false)"


def _safeguard(cluster: Cluster, previous: Previous) -> str:
    sentence = (
        f"cluster {cluster.name}: etcd_safeguard is on, so neither can a member be removed nor the"
        " cluster be destroyed"
    )
    if previous.known and cluster.name not in previous.protected:
        return sentence + "; it holds when this update is done"
    return sentence


# --- parts


def _by_cluster(instances: Iterable[Instance]) -> Iterable[tuple[str, list[Instance]]]:
    def number(one: Instance) -> tuple[str, int, str]:
        digits = one.name.rpartition("-")[2]
        return one.cluster, int(digits) if digits.isdecimal() else 0, one.name

    ordered = sorted(instances, key=number)
    return [(name, list(same)) for name, same in groupby(ordered, key=lambda one: one.cluster)]


def _joined(instances: Iterable[Instance]) -> list[Instance]:
    return [one for one in instances if one.joined and not one.lost]


def _holders(instances: Iterable[Instance]) -> Mapping[str, Instance]:
    """Members by their addresses. Whoever never joined holds nothing: a first run can be wrong."""
    return {one.address: one for one in _joined(instances) if one.address}


def _vanished(previous: Previous, wanted: Iterable[Cluster]) -> dict[str, list[Instance]]:
    """The members of clusters that the inventory no longer names, by cluster."""
    there = {one.name for one in wanted}
    return {
        name: members
        for name, instances in _by_cluster(previous.instances.values())
        if name not in there and (members := _joined(instances))
    }


def _named(instances: Sequence[Instance]) -> str:
    return listed([f"{one.name} ({one.address or 'address unknown'})" for one in instances])


def _verb(instances: Sequence[Instance], verb: str) -> str:
    return verb if len(instances) > 1 else f"{verb}s"
