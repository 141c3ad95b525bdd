"""Access: who may log in. RBAC is always on, and root always has a password."""

import pulumi

from etcd_component.model import Cluster
from etcd_component.remote import Machine


def switch_on(
    cluster: Cluster, login: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """User and role root, and `auth enable`; proved by being refused without a login."""
    first = cluster.voters[0]
    machine = Machine(first.node)
    repair = [("--repair", str(first.repair))] if first.repair else []
    # Who stays must be known where the password changes: whoever leaves then knows only the former.
    changes = cluster.settings.root_password_generation > 1
    peers = [("--peers", cluster.peers_of(first))] if changes else []
    return machine.run(
        f"{cluster.name}-access",
        create=machine.etcd_node("access", ("--cluster", cluster.name), *repair, *peers),
        stdin=login,
        opts=opts,
    )
