"""What an update has done to members, in words: as the nodes themselves have said it. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from etcd_component.changes.words import listed
from etcd_component.model import Cluster
from etcd_component.previous import Previous

_RESTARTED = re.compile(r"restarted(?: after (\S+) took over as leader)?;")


@dataclass(frozen=True, slots=True)
class Run:
    """A Command after an update: what the state has of its last run, in this update or before."""

    create: str
    stdout: str


def done(
    previous: Previous, cluster: Cluster, members: Mapping[str, Run], rollouts: Mapping[str, Run]
) -> str:
    """One paragraph about a cluster; empty where nothing was seen to be done.

    `members` and `rollouts` are the Commands of instances by their names. Of one that ran now and
    says the same as in the last update it is not known that it ran, so it is left out.
    """
    if not previous.known:
        return ""
    parts = [
        *_joined(previous, cluster, members),
        *_restarted(previous, rollouts),
        *_versions(previous, cluster, rollouts),
    ]
    if not parts:
        return ""
    here = {one.name for one in cluster.instances}
    gone = [
        one.name
        for one in previous.of_cluster(cluster.name)
        if one.name not in here and one.contacted and not one.lost
    ]
    if gone:
        parts.append(f"{listed(gone)} {'leave' if gone[1:] else 'leaves'} next")
    return f"Done in cluster {cluster.name}: {'; '.join(parts)}."


def _new(previous: Previous, step: str, runs: Mapping[str, Run]) -> Iterator[tuple[str, str]]:
    """Instances and what they said, of those Commands that are known to have run in this update."""
    for name, run in runs.items():
        before = previous.command(f"{name}-{step}")
        if before is None or (before.text("create"), before.stdout) != (run.create, run.stdout):
            yield name, run.stdout


def _joined(previous: Previous, cluster: Cluster, members: Mapping[str, Run]) -> Iterator[str]:
    said = dict(_new(previous, "member", members))
    joined = [name for name, text in said.items() if f"{name}: joined the cluster" in text]
    founded = [
        name for name, text in said.items() if re.search(rf"^{name}: runs, ", text, re.MULTILINE)
    ]
    if not any(one.joined for one in previous.of_cluster(cluster.name)) and founded:
        yield f"{listed(founded)} {'run' if founded[1:] else 'runs'} as a new cluster"
    if joined:
        yield f"{listed(joined)} joined"


def _restarted(previous: Previous, rollouts: Mapping[str, Run]) -> Iterator[str]:
    plain, led = [], []
    for name, text in _new(previous, "rollout", rollouts):
        if not (found := _RESTARTED.search(text)):
            continue
        if found[1]:
            led.append(f"{name} restarted after {found[1]} took over as leader")
        else:
            plain.append(name)
    if plain:
        yield f"{listed(plain)} restarted"
    yield from led


def _versions(previous: Previous, cluster: Cluster, rollouts: Mapping[str, Run]) -> Iterator[str]:
    version = cluster.settings.version
    said: Sequence[str] = [text for _, text in _new(previous, "rollout", rollouts)]
    if any(f"all members run {version}" in text for text in said):
        yield f"all members run etcd {version}"
