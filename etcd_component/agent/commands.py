"""The commands of `etcd-node`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import systemd
from etcd_component.agent.frame import Command, Program
from etcd_component.agent.paths import RUN, Paths

if TYPE_CHECKING:
    from etcd_component.agent.frame import Run

COMMANDS = {
    "status": Command(
        "status",
        "what the members on this machine are, what runs, and what their peers say",
        for_people=True,
        limit=0,
        claimed=False,
    ),
    "preflight": Command(
        "preflight.command",
        "can this machine be a member? changes nothing",
        "address client-port peer-port data method version clock peers quota",
        for_people=True,
        locks=(),
        claimed=False,
    ),
    "leave": Command(
        "leave",
        "leave the cluster: hand over, be removed, stop",
        "yes",
        for_people=True,
        limit=300,
        removes=True,
    ),
    "uninstall": Command(
        "uninstall",
        "take what etcd-node put here off the machine",
        "remove-data remove-software yes",
        for_people=True,
        locks=("machine", "{cluster}"),
        removes=True,
    ),
    "claim": Command(
        "claim_machine",
        "preflight, and if it succeeds, install this program and claim the machine",
        "address client-port peer-port data method version clock peers quota",
        locks=("machine", "{cluster}"),
        claimed=False,
    ),
    "binary": Command(
        "binary",
        "install a version of etcd; the running one stays",
        "method version url archive sha256-amd64 sha256-arm64",
        limit=600,
        locks=("programs",),
    ),
    "tls": Command("tls", "install CA bundle, certificate, key and CRL (stdin)", "revoked"),
    "config": Command(
        "configuration", "write etcd's configuration and its unit (stdin)", "version"
    ),
    "join": Command(
        "join",
        "bootstrap the cluster, join it, or come back",
        "founders token peers version learner",
        limit=600,
    ),
    "rollout": Command(
        "rollout",
        "restart the member safely, if what it runs is out of date",
        "version to",
        limit=600,
    ),
    "access": Command(
        "access", "root, its role, and `auth enable` (credentials on stdin)", "peers user role"
    ),
    "drop-role": Command("users:drop_role", "remove a role", removes=True),
    "drop-user": Command("users:drop_user", "remove a user", removes=True),
    "declare": Command(
        "users:declare",
        "create or update all roles and users (logins on stdin); report or --remove others",
        "role role-grant user user-role remove",
        limit=600,
    ),
    "exporter": Command("exporter", "serve node metrics (units on stdin)", "remove"),
    "remove-member": Command(
        "remove_member", "remove a member whose machine is lost", "lost peers"
    ),
    "facts": Command(
        "facts",
        "what is on this machine, as JSON, for `make status`",
        "data",
        limit=0,
        claimed=False,
    ),
    "metrics": Command(
        "metrics",
        "node metrics for Prometheus; --save into a file",
        "save textfile",
        limit=0,
        claimed=False,
    ),
    "answer": Command(
        "answer",
        "give the saved metrics to one connection",
        limit=0,
        needs_root=False,
        claimed=False,
    ),
    "etcdctl": Command(
        "etcdctl",
        "etcdctl with this machine's endpoint and certificates; $ETCD_CLUSTER names the cluster",
        for_people=True,
        limit=0,
        needs_root=False,
        claimed=False,
        raw=True,
    ),
    "stamp": Command(
        "start:stamp", "note what etcd is started with; called by its unit", limit=0, claimed=False
    ),
}


def last_words(run: Run) -> str:
    """The end of etcd's journal."""
    return systemd.journal_tail(Paths(run.options.cluster).unit)


NODE = Program(
    "etcd-node",
    RUN,
    "What a Linux machine does to be a member of an etcd cluster. Every command may be run again"
    " after\na half-done run. `--cluster` is etcd where nothing else is said.",
    COMMANDS,
    "cluster owner name instance reseat repair",
    "claim:authorize",
    last_words,
    """
Who types `leave` or `uninstall` names the instance: --name NAME --yes. Without them they say what
is here and what would be removed, and remove nothing. Credentials of root come on standard input as
one line of JSON, {"name": "root", "password": "..."}; a second line may have the one before it.""",
)
