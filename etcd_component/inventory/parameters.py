"""The parameters of the inventory: their names, where they belong, what values they take."""

import dataclasses
import enum
import functools
from types import MappingProxyType
from typing import Any, Final

from etcd_component import versions
from etcd_component.inventory import values
from etcd_component.inventory.values import Reader, integer
from etcd_component.mistake import Wrong
from etcd_component.suggestion import closest


class Level(enum.Enum):
    """Where a parameter may stand."""

    CLUSTER = "cluster"
    """In the vars of the group, or above: it is one for all instances."""
    INSTANCE = "instance"
    """On the host only."""
    EITHER = "either"
    """In the vars, and on a host that differs."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `field` is what the model calls it, None where it has no such field."""

    name: str
    level: Level
    read: Reader
    field: str | None


def _rows() -> tuple[Parameter, ...]:
    cluster, instance, either = Level.CLUSTER, Level.INSTANCE, Level.EITHER
    days = integer(1, 36500, "days")
    port = integer(1, values.MAX_PORT)
    generation = values.generation
    return (
        Parameter("etcd_cluster", cluster, values.cluster_name, None),
        Parameter("etcd_init", cluster, values.choice("new", "existing"), None),
        Parameter("etcd_seq", instance, integer(1, 999_999_999), "seq"),
        Parameter("etcd_lost", instance, values.boolean, "lost"),
        Parameter("etcd_reseat", instance, integer(0, 999_999), "reseat"),
        Parameter("etcd_repair", either, integer(0, 999_999), "repair"),
        Parameter("etcd_learner", either, values.boolean, "learner"),
        Parameter("etcd_data", either, values.data_dir, "data_dir"),
        Parameter("etcd_port", either, port, "client_port"),
        Parameter("etcd_peer_port", either, port, "peer_port"),
        Parameter("etcd_exporter_port", either, integer(0, values.MAX_PORT), "exporter_port"),
        Parameter("etcd_textfile_dir", either, values.place, "textfile_dir"),
        Parameter("etcd_arch", either, values.choice(*versions.ARCHITECTURES), "arch"),
        Parameter("etcd_version", cluster, values.version, "version"),
        Parameter(
            "etcd_install",
            cluster,
            values.choice("archive", "upload", "package", "preinstalled"),
            "install",
        ),
        Parameter("etcd_archive_url", cluster, values.archive_url, "archive_url"),
        Parameter("etcd_archive_sha256", cluster, values.sha256, "archive_sha256"),
        Parameter("etcd_archive_file", cluster, values.template, "archive_file"),
        Parameter(
            "etcd_election_timeout",
            cluster,
            integer(10, values.MAX_ELECTION_MS, "ms"),
            "election_timeout",
        ),
        Parameter(
            "etcd_heartbeat_interval", cluster, integer(1, 10000, "ms"), "heartbeat_interval"
        ),
        Parameter("etcd_quota", cluster, values.size, "quota_bytes"),
        Parameter("etcd_compaction_retention", cluster, values.retention, "compaction_retention"),
        Parameter("etcd_snapshot_count", cluster, integer(100, 10_000_000), "snapshot_count"),
        Parameter("etcd_metrics", cluster, values.choice("basic", "extensive"), "metrics"),
        Parameter(
            "etcd_log_level",
            cluster,
            values.choice("debug", "info", "warn", "error", "panic", "fatal"),
            "log_level",
        ),
        Parameter("etcd_options", cluster, values.mapping, "options"),
        Parameter("etcd_root_password", cluster, values.password, "root_password"),
        Parameter("etcd_root_password_generation", cluster, generation, "root_password_generation"),
        Parameter("etcd_roles", cluster, values.by_name, "roles"),
        Parameter("etcd_users", cluster, values.by_name, "users"),
        Parameter("etcd_clients", cluster, values.by_name, "clients"),
        Parameter(
            "etcd_undeclared_access",
            cluster,
            values.choice("report", "remove"),
            "undeclared_access",
        ),
        Parameter("etcd_auth_token", cluster, values.choice("simple", "jwt"), "auth_token"),
        Parameter("etcd_auth_token_generation", cluster, generation, "auth_token_generation"),
        Parameter("etcd_revoked", cluster, values.serials, "revoked"),
        Parameter("etcd_ca_cert", cluster, values.pem("CERTIFICATE"), "ca_cert"),
        Parameter("etcd_ca_key", cluster, values.pem("PRIVATE KEY"), "ca_key"),
        Parameter("etcd_ca_trusted", cluster, values.authorities, "ca_trusted"),
        Parameter("etcd_ca_signing", cluster, values.authority, "ca_signing"),
        Parameter("etcd_cert_generation", cluster, generation, "cert_generation"),
        Parameter("etcd_cert_days", cluster, days, "cert_days"),
        Parameter("etcd_cert_renew_days", cluster, integer(0, 36500, "days"), "cert_renew_days"),
        Parameter("etcd_ca_days", cluster, days, "ca_days"),
        Parameter("etcd_safeguard", cluster, values.boolean, "safeguard"),
        Parameter("etcd_rm_data", cluster, values.boolean, "rm_data"),
        Parameter("etcd_rm_pkg", cluster, values.boolean, "rm_pkg"),
        Parameter("ansible_host", instance, values.address, "host"),
        Parameter("ansible_port", either, port, "port"),
        Parameter("ansible_user", either, values.user_name, "user"),
        Parameter("ansible_become", either, values.boolean, "sudo"),
        Parameter("ansible_ssh_private_key_file", either, values.path, "private_key_file"),
    )


def read(parameter: Parameter, value: Any) -> Any:
    """A parameter's value as the model holds it.

    Raises Wrong for what the parameter does not take, and for what only Ansible can work out.
    """
    return parameter.read(values.plain(value))


PARAMETERS: Final = MappingProxyType({row.name: row for row in _rows()})
"""Every parameter that is understood, by name."""

ANSIBLE_ALIASES: Final = MappingProxyType(
    {
        "ansible_ssh_host": "ansible_host",
        "ansible_ssh_port": "ansible_port",
        "ansible_ssh_user": "ansible_user",
        "ansible_private_key_file": "ansible_ssh_private_key_file",
    }
)
"""Ansible's own second names."""

_NO_OPTIONS: Final = (
    "options of ssh are read from ~/.ssh/config; a bastion is etcd:sshBastion, or ProxyJump there"
)
UNREAD: Final = MappingProxyType(
    {
        "ansible_ssh_common_args": _NO_OPTIONS,
        "ansible_ssh_extra_args": _NO_OPTIONS,
        "ansible_password": "passwords are not used for SSH; give a key or an agent",
        "ansible_ssh_pass": "passwords are not used for SSH; give a key or an agent",
        "ansible_become_password": "sudo is used without a password",
        "ansible_become_pass": "sudo is used without a password",
    }
)
"""Ansible's variables that would be missed, and what is done instead."""

RETIRED: Final = MappingProxyType(
    {
        "etcd_clean": "an update never removes the data of an instance",
        "etcd_api": "the API is v3",
        "etcd_exists": "whether an instance exists is looked up on its machine",
    }
)
"""Parameters that Pigsty once had, or has for itself, and why they are not needed."""

_ANSIBLE_OWN: Final = frozenset(
    [
        "ansible_hostname",
        "ansible_become_user",
        "ansible_become_exe",
        "ansible_user_id",
        "ansible_user_dir",
        "ansible_ssh_args",
        "ansible_fqdn",
        "ansible_become_flags",
    ]
)
"""Names of Ansible's that only look like misspelt ones."""


def wrong_name(name: str) -> Wrong | None:
    """What is wrong with a variable's name: unknown `etcd_*`, or nearly one of ours.

    Everything else an inventory holds is for others, and right.
    """
    known = name in PARAMETERS or name in ANSIBLE_ALIASES or name in UNREAD or name in RETIRED
    if known or name in _ANSIBLE_OWN:
        return None
    plain = name.lower().replace("-", "_")
    ours = plain.startswith("etcd_")
    near = _nearest(name, typos_only=not ours)
    if near:
        return Wrong("there is no such parameter", f"did you mean {near}?")
    if ours:
        return Wrong(
            "there is no such parameter",
            "take it out; etcd's own configuration keys go into etcd_options",
        )
    return None


@functools.lru_cache(maxsize=4096)
def _nearest(name: str, *, typos_only: bool) -> str | None:
    """A fleet says the same few hundred names on thousands of lines."""
    return closest(name, PARAMETERS, typos_only=typos_only)
