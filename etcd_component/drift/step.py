"""What an update is about to do to members, for the gates. Pure."""

from etcd_component.agent.files import value_in
from etcd_component.changes import instances, trust
from etcd_component.changes.recorded import files, of_first_voter
from etcd_component.drift.gates import Step
from etcd_component.model import Cluster
from etcd_component.previous import Previous


def step_of(previous: Previous, cluster: Cluster) -> Step:
    """The step from what the last update left to what the inventory says."""
    before = [one for one in previous.of_cluster(cluster.name) if one.joined]
    here = {one.name for one in cluster.instances}
    known = {one.name for one in before}
    return Step(
        cluster.settings.version,
        restarts=instances.restarting(previous, cluster, trust.trusted(previous, cluster)),
        joins=[one.name for one in cluster.instances if not one.lost and one.name not in known],
        leaves=[one.name for one in before if one.name not in here and not one.lost],
        raises_quota=_raises_quota(previous, cluster),
    )


def _raises_quota(previous: Previous, cluster: Cluster) -> bool:
    config = files(of_first_voter(previous, cluster, "config")).get("etcd.yaml", "")
    quota = value_in(config, "quota-backend-bytes")
    return quota.isdecimal() and int(quota) < cluster.settings.quota_bytes
