"""What an update does to the instances of a cluster."""

from collections.abc import Iterable, Iterator, Sequence

from etcd_component import exporter, packing, render
from etcd_component.changes import settings as of_settings
from etcd_component.changes.recorded import files, option, options
from etcd_component.changes.trust import Trusted
from etcd_component.changes.words import Phrase, listed, phrase, said
from etcd_component.model import Cluster, Instance
from etcd_component.previous import Previous
from etcd_component.versions import minor_of, number

_RESTART = Phrase("restarts", "restart one after another")


def coming(previous: Previous, cluster: Cluster) -> Iterator[str]:
    """Who joins; of a new cluster, who founds it."""
    here = [one for one in cluster.instances if not one.lost]
    new = [one for one in here if not _has_joined(previous, one)]
    if not new:
        return
    if new == here:
        version = cluster.settings.version
        yield f"a new cluster of {_located(new)} with etcd {version}, TLS and authentication"
        return
    for learner in (False, True):
        some = [one for one in new if one.learner is learner]
        if some:
            verb = "join" if some[1:] else "joins"
            how = f"{verb} as learner{'s' if some[1:] else ''}" if learner else verb
            yield f"{_located(some)} {how}"


def lost(previous: Previous, cluster: Cluster) -> Iterator[str]:
    """Whom another member removes, because its machine is gone."""
    gone = [
        one for one in cluster.instances if one.lost and not previous.command(f"{one.name}-lost")
    ]
    if gone:
        removed = phrase("<is> removed from the cluster by another member; <its> machine")
        left = "s are left alone (etcd_lost)" if gone[1:] else " is left alone (etcd_lost)"
        yield f"{_located(gone)} {removed.many if gone[1:] else removed.one}{left}"


def changing(previous: Previous, cluster: Cluster, trust: Trusted) -> Iterator[str]:
    """What becomes of members that stay, a sentence for those that share their fate."""
    fates: dict[tuple[Phrase, ...], list[str]] = {}
    for one in cluster.instances:
        if one.lost or not _has_joined(previous, one):
            continue
        phrases = tuple(_fate(previous, cluster, one, trust))
        if phrases:
            fates.setdefault(phrases, []).append(one.name)
    for phrases, names in fates.items():
        yield said(names, phrases)


def restarting(previous: Previous, cluster: Cluster, trust: Trusted) -> list[str]:
    """The members that are to restart."""
    return [
        one.name
        for one in cluster.instances
        if not one.lost
        and previous.command(f"{one.name}-rollout")
        and any(_restart(previous, cluster, one, trust))
    ]


def renewed_program(previous: Previous, clusters: Iterable[Cluster]) -> list[str]:
    """The members on whose machines the agent is replaced by this checkout's."""
    program = packing.sha256()
    return [
        one.name
        for cluster in clusters
        for one in cluster.instances
        if not one.lost
        and _has_joined(previous, one)
        and (node := previous.command(f"{one.name}-node"))
        and program not in (node.text("update") or node.text("create"))
    ]


def _has_joined(previous: Previous, instance: Instance) -> bool:
    found = previous.instances.get(instance.name)
    return found is not None and found.joined


def _located(instances: Sequence[Instance]) -> str:
    return listed([f"{one.name} ({one.node.address})" for one in instances])


def _fate(
    previous: Previous, cluster: Cluster, instance: Instance, trust: Trusted
) -> Iterator[Phrase]:
    name = instance.name
    member = options(previous.command(f"{name}-member"))
    if "--learner" in member and not instance.learner:
        yield phrase("<is> promoted from learner to voter")
    rejoin, repair = (int(member.get(flag, ("0",))[0] or 0) for flag in ("--reseat", "--repair"))
    if instance.reseat > rejoin:
        yield phrase(
            "join<s> again with the data of the others if <its> own are lost or broken",
            f" (etcd_reseat {instance.reseat})",
        )
    if instance.repair > repair:
        yield phrase(
            "get<s> every file, unit and program put back as configured",
            f" (etcd_repair {instance.repair})",
        )
    yield from _exporter(previous, cluster, instance)
    yield from _source(previous, cluster, instance)
    yield from _restart(previous, cluster, instance, trust)


def _restart(
    previous: Previous, cluster: Cluster, instance: Instance, trust: Trusted
) -> Iterator[Phrase]:
    """Why it restarts, if it does: by the same fingerprint that the rollout is given."""
    name, wanted = instance.name, cluster.settings.version
    rollout = previous.command(f"{name}-rollout")
    if rollout is None:
        yield phrase("<is> finished, where the last update was cut off")
        return
    config, unit = render.etcd_config(cluster, instance), render.unit(cluster, instance)
    known = trust.bundle is not None and trust.token_key is not None
    to = (
        render.fingerprint(config, unit, trust.bundle or "", trust.token_key or "")
        if known
        else None
    )
    version = option(rollout, "--version")
    same_version = version == wanted
    if same_version and to == option(rollout, "--to"):
        return
    reasons = [] if same_version else [_version(version, wanted)]
    recorded = files(previous.command(f"{name}-config"))
    before = recorded.get("etcd.yaml", "")
    differing = (
        *of_settings.ports(before, instance),
        *of_settings.differences(before, config, same_minor=minor_of(version) == minor_of(wanted)),
    )
    if differing:
        reasons.append(phrase("get<s> a new configuration", f" ({listed(differing)})"))
    if recorded.get(cluster.unit) != unit:
        reasons.append(phrase("get<s> a new systemd unit"))
    if trust.differs:
        reasons.append(phrase("get<s> the new ", listed(trust.differs)))
    yield from reasons or [phrase("take<s> over what the last update put in place")]
    yield _RESTART


def _version(before: str, after: str) -> Phrase:
    try:
        up = number(after) > number(before)
    except ValueError:
        return phrase("change<s>", f" to etcd {after}")
    verb = "upgraded" if up else "downgraded"
    snapshot = up and minor_of(before) != minor_of(after)
    kept = " (a snapshot is kept before)" if snapshot else ""
    return phrase(f"<is> {verb}", f" from etcd {before} to {after}{kept}")


def _source(previous: Previous, cluster: Cluster, instance: Instance) -> Iterator[Phrase]:
    """Another place that etcd's program comes from, for the same version."""
    binary = options(previous.command(f"{instance.name}-binary"))
    wanted = cluster.settings
    if not binary or binary.get("--version") != (wanted.version,):
        return
    url = (wanted.archive_url,) if wanted.install == "archive" else None
    if binary.get("--method") != (wanted.install,) or binary.get("--url") != url:
        yield phrase("check<s> <its> program against another source", f" ({wanted.install})")


def _exporter(previous: Previous, cluster: Cluster, instance: Instance) -> Iterator[Phrase]:
    before = previous.command(f"{instance.name}-exporter")
    units = exporter.units(cluster, instance)
    if units and before is None:
        yield phrase("begin<s> to export node metrics")
    elif before is not None and not units:
        yield phrase("no longer export<s> node metrics")
    elif before is not None and files(before) != {
        name: f"{text.rstrip(chr(10))}\n" for name, text in units.items()
    }:
        yield phrase("export<s> node metrics in another way")
