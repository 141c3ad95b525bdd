"""What a stack's state says that should be, for `status` to compare with: outputs of components.

No secrets. Those of members are registered before anything is done, so after a failed update they
say what it wanted; `rollout` tells whether a member got so far.
"""

from collections.abc import Sequence
from typing import Any

import pulumi

from etcd_component import contact, packing
from etcd_component.model import Cluster, Instance

SCHEMA = 1
"""Of both documents; raise it when a name or a meaning changes."""


def member(
    model: Instance, cluster: Cluster, owner: pulumi.Output[str], rollout: pulumi.Output[str]
) -> dict[str, Any]:
    """Of an instance. `rollout` is its rollout's command line: is it in the state, it was done.

    Nothing of who logs in: that may be another person in each run.
    """
    return {
        "schema": SCHEMA,
        "cluster": cluster.name,
        "name": model.name,
        "owner": owner,
        "version": cluster.settings.version,
        "learner": model.learner,
        "repair": model.repair,
        "rejoin": model.reseat,
        "data_dir": model.data_dir,
        "client_url": model.client_url,
        "peer_url": model.peer_url,
        "program": packing.sha256(),
        "rollout": rollout.apply(contact.without_sudo),
    }


def access(cluster: Cluster, done: Sequence[pulumi.Resource]) -> pulumi.Output[dict[str, Any]]:
    """Of a cluster, see `access_document`.

    Known once all in `done` are: what an update has not got to yet is no drift.
    """
    document = access_document(cluster)
    return pulumi.Output.all(*(one.urn for one in done)).apply(lambda _: document)


def access_document(cluster: Cluster) -> dict[str, Any]:
    """Roles with their permissions, and users with their roles."""
    return {
        "schema": SCHEMA,
        "roles": {
            role.name: [[one.access, one.scope, one.key, one.range_end] for one in role.permissions]
            for role in cluster.all_roles
        },
        "users": {user.name: list(user.roles) for user in cluster.all_users},
    }
