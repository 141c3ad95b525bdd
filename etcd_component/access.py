"""Access: who may log in. RBAC is always on, and root always has a password."""

import json
import secrets

import pulumi

from etcd_component.model import Cluster
from etcd_component.remote import Machine, remember

_BYTES = 24
"""Of randomness in a generated password; 32 characters that need no quoting anywhere."""


def root_password(cluster: Cluster, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """The password of user root: the one that is given, else one made once and kept."""
    if cluster.settings.root_password is not None:
        return pulumi.Output.secret(cluster.settings.root_password)
    kept = remember(
        f"{cluster.name}-root-password", secret=secrets.token_urlsafe(_BYTES), opts=opts
    )
    return kept.stdin.apply(_present)


def _present(text: str | None) -> str:
    if text is None:
        raise ValueError("the state has lost the generated password of root")
    return text


def credentials(password: pulumi.Output[str]) -> pulumi.Output[str]:
    """Root's login as the node program reads it: one line of JSON, in ASCII."""
    return password.apply(lambda text: json.dumps({"name": "root", "password": text}) + "\n")


def switch_on(
    cluster: Cluster, login: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """User and role root, and `auth enable`; proved by being refused without a login."""
    first = cluster.voters[0]
    machine = Machine(first.node)
    repair = [("--repair", str(first.repair))] if first.repair else []
    return machine.run(
        f"{cluster.name}-access",
        create=machine.etcd_node("access", ("--cluster", cluster.name), *repair),
        stdin=login,
        opts=opts,
    )
