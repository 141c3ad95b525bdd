"""What the nodes would refuse, as far as the state alone can foresee it. Pure.

The decisions are those of the agent, made of what the last update left. A node that is asked may
know better; so this refuses a preview alone.
"""

from collections.abc import Iterator, Mapping, Sequence

from etcd_component.agent.decide import version as decide
from etcd_component.changes.recorded import option, options
from etcd_component.changes.words import listed
from etcd_component.etcd_api import quorum
from etcd_component.etcd_api.members import Versions
from etcd_component.mistake import Mistake
from etcd_component.model import Cluster, Instance
from etcd_component.previous import Previous


def foreseen(previous: Previous, clusters: Sequence[Cluster]) -> tuple[Mistake, ...]:
    """Why the nodes would refuse the update; nothing where nothing is known."""
    return tuple(
        mistake
        for cluster in clusters
        for mistake in (*_versions(previous, cluster), *_lost(previous, cluster))
    )


def _versions(previous: Previous, cluster: Cluster) -> Iterator[Mistake]:
    """A change of the minor version that etcd does not support, or a join in the middle of one."""
    wanted = cluster.settings.version
    here = [one for one in cluster.instances if not one.lost]
    running = {
        one: version
        for one in here
        if (version := option(previous.command(f"{one.name}-rollout"), "--version"))
    }
    changing = {one: it for one, it in running.items() if decide.is_change(it, wanted)}
    reasons = dict.fromkeys(_objection(one, running, wanted) for one in changing)
    # One reason is enough: the first member is refused, and nobody comes to the others.
    reason = next(filter(None, reasons), "")
    if not reason and changing:
        reason = _joining(previous, here, running, wanted)
    if reason:
        problem, _, cure = reason.partition(". ")
        yield Mistake(
            f"cluster {cluster.name}",
            f"etcd {listed(sorted({*changing.values()}))} does not become {wanted}: {problem}",
            f"{cure[:1].lower()}{cure[1:]}",
        )


def _objection(one: Instance, running: Mapping[Instance, str], wanted: str) -> str:
    survey = decide.Survey(
        tuple(
            decide.Surveyed(
                other.name,
                other.peer_url,
                is_voter=not other.learner,
                versions=Versions(version, decide.minor_of(version), ""),
                healthy=True,
            )
            for other, version in running.items()
        )
    )
    change = decide.Change(one.name, running[one], wanted, survey)
    return decide.skip_objection(change.begin, change.wanted) or decide.objection(change)


def _joining(
    previous: Previous, here: Sequence[Instance], running: Mapping[Instance, str], wanted: str
) -> str:
    voters = [
        decide.VoterVersion(one.name, one.peer_url, version) for one, version in running.items()
    ]
    new = [one for one in here if not previous.command(f"{one.name}-member")]
    return decide.join_objection(new[0].name, wanted, voters) if new else ""


def _lost(previous: Previous, cluster: Cluster) -> Iterator[Mistake]:
    """More lost voters than the others can remove."""
    removed = {
        one.name for one in cluster.instances if one.lost and previous.command(f"{one.name}-lost")
    }
    voters = [
        one.name
        for one in previous.of_cluster(cluster.name)
        if one.joined
        and one.name not in removed
        and "--learner" not in options(previous.command(f"{one.name}-member"))
    ]
    lost = [one.name for one in cluster.instances if one.lost and one.name in voters]
    if not lost or quorum.may_remove(len(voters), len(voters) - len(lost)):
        return
    yield Mistake(
        f"cluster {cluster.name}",
        f"{listed(lost)} cannot be removed as lost: of {len(voters)} voters"
        f" {quorum.quorum(len(voters))} must agree, and {len(voters) - len(lost)} are left",
        "bring one of them back; a cluster that has lost its quorum for good is made anew",
    )
