"""What an update is about to do, in words: said in a preview, before anything is registered.

Compared are the state that the last update left and the inventory. Pure: neither Pulumi nor a
machine is asked. Secrets are not compared, since they are not read.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from etcd_component.changes import access, instances, monitor, trust
from etcd_component.changes.recorded import options
from etcd_component.model import Cluster, Monitor
from etcd_component.previous import Instance, Previous

NOTHING = "Nothing changes: no member, setting, certificate, user or role"


def planned(
    previous: Previous,
    clusters: Sequence[Cluster],
    watcher: Monitor | None,
    leaving: Sequence[str],
    now: datetime,
) -> str:
    """One paragraph; empty where nothing is known of the last update.

    `leaving` are the sentences about who leaves, see `departures`; `now` has a time zone.
    """
    if not previous.known:
        return ""
    sentences = [
        f"Cluster {one.name}: {'; '.join(parts)}."
        for one in clusters
        if (parts := [*_of_cluster(previous, one, now)])
    ]
    if renewed := instances.renewed_program(previous, clusters):
        on = (
            "all nodes"
            if len(renewed) == _members(clusters)
            else f"the nodes of {', '.join(renewed)}"
        )
        sentences.append(f"The agent on {on} is renewed; no member restarts for that.")
    sentences += [
        f"{one[0].upper()}{one[1:]}." for one in monitor.changes(previous, watcher, clusters)
    ]
    sentences += [f"Last, {one}." if sentences else f"{one}." for one in leaving]
    return " ".join(sentences) or _nothing(clusters)


def _members(clusters: Sequence[Cluster]) -> int:
    return sum(not one.lost for cluster in clusters for one in cluster.instances)


def _of_cluster(previous: Previous, cluster: Cluster, now: datetime) -> Iterator[str]:
    yield from instances.lost(previous, cluster)
    yield from instances.coming(previous, cluster)
    if not any(one.joined for one in previous.of_cluster(cluster.name)):
        return
    yield from trust.authorities(previous, cluster)
    yield from trust.certificates(previous, cluster, now)
    yield from trust.revocations(previous, cluster)
    if trust.token_keys(previous, cluster):
        yield "the keys that sign tokens are made anew"
    yield from instances.changing(previous, cluster, trust.trusted(previous, cluster))
    yield from access.changes(previous, cluster)
    yield from _settings(previous, cluster)


def _settings(previous: Previous, cluster: Cluster) -> Iterator[str]:
    """What holds for the next update, and changes nothing now."""
    if cluster.name in previous.protected and not cluster.settings.safeguard:
        yield "etcd_safeguard is switched off"
    members = [one for one in previous.of_cluster(cluster.name) if one.contacted and not one.lost]
    if any(one.removes_data != cluster.settings.rm_data for one in members):
        fate = "are deleted" if cluster.settings.rm_data else "are kept"
        yield f"from now on, the data of a member that leaves {fate} (etcd_rm_data)"
    if any(_removes_software(previous, one) != cluster.settings.rm_pkg for one in members):
        fate = "goes with it" if cluster.settings.rm_pkg else "is kept"
        yield f"from now on, the software of a member that leaves {fate} (etcd_rm_pkg)"
    if _is_another_checksum(previous, cluster):
        yield "from now on, etcd's archive must have another checksum (etcd_archive_sha256)"


def _removes_software(previous: Previous, instance: Instance) -> bool:
    node = previous.command(f"{instance.name}-node")
    return node is not None and "--remove-software" in node.text("delete")


def _is_another_checksum(previous: Previous, cluster: Cluster) -> bool:
    # A program that is there is not fetched again: this is for members to come, and repairs.
    wanted, sign = cluster.settings, "--sha256-"
    known = [
        options(previous.command(f"{one.name}-binary")) for one in cluster.instances if not one.lost
    ]
    checksums = {f"{sign}{arch}": (sum_,) for arch, sum_ in wanted.archive_sha256.items()}
    return any(
        {flag: value for flag, value in one.items() if flag.startswith(sign)} != checksums
        for one in known
        if (one.get("--method"), one.get("--version")) == ((wanted.install,), (wanted.version,))
    )


def _nothing(clusters: Sequence[Cluster]) -> str:
    given = any(user.password for one in clusters for user in one.all_users)
    return f"{NOTHING}." + (" Passwords that are configured are not compared." if given else "")
