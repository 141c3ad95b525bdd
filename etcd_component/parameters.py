"""The parameters of the inventory: their names, where they belong, what values they take."""

import dataclasses
import difflib
import enum
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from etcd_component import versions
from etcd_component.mistake import Wrong

Reader = Callable[[Any], Any]
"""From what a person wrote to a value of the model. Raises Wrong."""

MAX_PORT: Final = 65535
MAX_ELECTION_MS: Final = 50000
"""etcd refuses more (`embed/config.go`)."""
TICKS_PER_ELECTION: Final = 5
"""etcd refuses an election timeout of fewer heartbeats (`embed/config.go`)."""
MAX_PASSWORD_BYTES: Final = 72
"""bcrypt, which etcd stores passwords with, takes no more."""
MAX_NAME: Final = 50
"""Leaves room for `-{seq}` in a certificate's common name of 64 characters."""

_DURATION_NS: Final = MappingProxyType(
    {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
)
_SIZES: Final = MappingProxyType({"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3})
_YES: Final = frozenset({"yes", "true", "on", "1"})
_NO: Final = frozenset({"no", "false", "off", "0"})
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclasses.dataclass(frozen=True, slots=True)
class Foreign:
    """A YAML value with a tag that only another program understands, such as `!vault`."""

    tag: str


def shown(value: Any) -> str:  # noqa: ANN401 - anything YAML can hold
    """A value as it is repeated to the person who wrote it, cut to a line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line


def kind(value: Any) -> str:  # noqa: ANN401
    """What a value is, for messages that must not repeat it: a secret may be in it."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    return "a mapping" if isinstance(value, Mapping) else names.get(type(value), "something else")


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """A value and where it was written."""

    value: Any = dataclasses.field(repr=False)
    place: str


# --- readers: plain values


def text(value: Any) -> str:  # noqa: ANN401
    """Text, not empty."""
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not text", f'write it in quotes: "{value}"')
    if not value.strip():
        raise Wrong("it is empty", "give a value or take the line out")
    return value.strip()


def boolean(value: Any) -> bool:  # noqa: ANN401
    """true or false; also yes, no, on, off, 1 and 0, as Ansible takes them."""
    word = str(value).strip().lower()
    if isinstance(value, bool | str | int) and word in _YES | _NO:
        return word in _YES
    raise Wrong(f"{shown(value)} is neither true nor false", "write true or false")


def integer(lowest: int, highest: int, unit: str = "") -> Reader:
    """A whole number between two, both included; as text too, without leading zeros."""
    unit = f" {unit}" if unit else ""
    cure = f"write a whole number from {lowest} to {highest}{unit}"

    def read(value: Any) -> int:  # noqa: ANN401
        found = _whole(value)
        if found is None:
            raise Wrong(f"{shown(value)} is not a whole number", cure)
        if not lowest <= found <= highest:
            raise Wrong(f"{found}{unit} is not between {lowest} and {highest}", cure)
        return found

    return read


def _whole(value: Any) -> int | None:  # noqa: ANN401
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?(0|[1-9]\d*)", value.strip()):
        return int(value)
    return value if isinstance(value, int) else None


def choice(*words: str) -> Reader:
    """One of several words."""

    def read(value: Any) -> str:  # noqa: ANN401
        if value in words:
            return str(value)
        near = difflib.get_close_matches(str(value), words, n=1)
        hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(words)}"
        raise Wrong(f"{shown(value)} is not one of {', '.join(words)}", hint)

    return read


def size(value: Any) -> int:  # noqa: ANN401
    """Bytes, as a number or with KiB, MiB or GiB."""
    found = re.fullmatch(r"(\d+) ?(|KiB|MiB|GiB)", str(value).strip())
    if isinstance(value, bool) or not found:
        raise Wrong(f"{shown(value)} is not a size", 'write bytes, or a size such as "8GiB"')
    amount = int(found[1]) * _SIZES[found[2]]
    smallest, largest = 16 * _SIZES["MiB"], 100 * _SIZES["GiB"]
    if not smallest <= amount <= largest:
        raise Wrong(f"{shown(value)} is not between 16MiB and 100GiB", "choose one, such as 8GiB")
    return amount


def nanoseconds(value: str) -> int | None:
    """A duration as Go writes it (`1h30m`), None if it is none."""
    parts = re.findall(r"(\d+)(ns|us|ms|s|m|h)", value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        return None
    return sum(int(number) * _DURATION_NS[unit] for number, unit in parts)


def retention(value: Any) -> str:  # noqa: ANN401
    """How much history is kept: a duration, or hours as a bare number, as etcd reads it."""
    hours = _whole(value)
    if hours is not None and hours >= 0:
        return f"{hours}h"
    if isinstance(value, str) and nanoseconds(value.strip()) is not None:
        return value.strip()
    raise Wrong(f"{shown(value)} is not a duration", 'write one such as "24h" or "90m"')


def path(value: Any) -> str:  # noqa: ANN401
    """A path of a file on the machine that runs the program."""
    return text(value)


# --- readers: names and addresses


def cluster_name(value: Any) -> str:  # noqa: ANN401
    """A DNS name in lower case, short enough for a certificate."""
    name = text(value)
    if len(name) > MAX_NAME:
        raise Wrong(
            f"{shown(name)} has {len(name)} characters",
            f"use {MAX_NAME} or fewer: names of certificates hold 64",
        )
    if all(_LABEL.fullmatch(label) for label in name.split(".")):
        return name
    better = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")
    hint = f', such as "{better}"' if better and _LABEL.fullmatch(better) else ""
    raise Wrong(
        f"{shown(name)} is not a DNS name",
        f"use lower-case letters, digits and hyphens between them{hint}",
    )


def address(value: Any) -> str:  # noqa: ANN401, C901 - one rule a line
    """An IP address or a DNS name (RFC 1123), in its one canonical form."""
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not an address", "write the whole address in quotes")
    name = value.strip().lower()
    if "%" in name:
        raise Wrong(f"{shown(value)} has a zone", "use an address that means the same everywhere")
    if name.startswith("[") and name.endswith("]"):
        raise Wrong(f"{shown(value)} has brackets", f'write it without: "{name[1:-1]}"')
    if re.search(r"\[\w+:\w+\]", name):
        raise Wrong(f"{shown(value)} is a range of Ansible", "write each machine on its own line")
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return _host_name(name)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        raise Wrong(f"{shown(value)} is IPv4 in disguise", f'write "{found.ipv4_mapped}"')
    for refused, why in (
        (found.is_unspecified, "means every address"),
        (found.is_multicast, "is a multicast address"),
        (found.is_link_local, "is valid on one link only"),
        (found.is_reserved, "is reserved"),
    ):
        if refused:
            raise Wrong(f"{found} {why}", "write the address that the other members dial")
    return str(found)


def _host_name(name: str) -> str:
    if re.fullmatch(r"[\d.]+", name):
        raise Wrong(f"{shown(name)} is not an IPv4 address", "write four numbers from 0 to 255")
    if re.fullmatch(r"[^:]+:\d+", name):
        cure = "write the address alone; ansible_port is for SSH, etcd_port for clients"
        raise Wrong(f"{shown(name)} has a port", cure)
    if ":" in name:
        raise Wrong(f"{shown(name)} is not an IPv6 address", "correct it, without brackets")
    if len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split(".")):  # noqa: PLR2004
        return name
    raise Wrong(
        f"{shown(name)} is neither an IP address nor a DNS name",
        "use letters, digits and hyphens, with dots between",
    )


def user_name(value: Any) -> str:  # noqa: ANN401
    """A login name."""
    name = text(value)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*", name):
        raise Wrong(f"{shown(name)} is not a login name", "write the name alone, such as admin")
    return name


# --- readers: etcd


def data_dir(value: Any) -> str:  # noqa: ANN401
    """An absolute path of a directory that belongs to one instance alone."""
    written = text(value)
    cure = "use a directory of its own, such as /data/etcd or /var/lib/etcd"
    if not written.startswith("/"):
        raise Wrong(f"{shown(written)} is not an absolute path", cure)
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", written) or ".." in written.split("/"):
        raise Wrong(
            f"{shown(written)} has more than letters, digits and . _ - in it, or leads up", cure
        )
    parts = PurePosixPath(written).parts[1:]
    if len(parts) < 2 or parts in _SHARED:  # noqa: PLR2004
        raise Wrong(f"{shown(written)} is shared with others and would be removed with etcd", cure)
    if parts[0] in _SYSTEM or parts[:2] in _FLEETING:
        raise Wrong(f"{shown(written)} belongs to the system or is lost at a reboot", cure)
    return "/" + "/".join(parts)


_SYSTEM: Final = frozenset(
    "bin boot dev etc lib lib32 lib64 libx32 lost+found proc root run sbin sys tmp usr".split()
)
_FLEETING: Final = frozenset({("var", "tmp"), ("var", "run"), ("var", "lock")})
_SHARED: Final = frozenset(("var", name) for name in "lib log cache spool opt local mail".split())


def password(value: Any) -> str:  # noqa: ANN401
    """A password that etcd can store and a person can type. It is never repeated in a message."""
    if not isinstance(value, str):
        raise Wrong("it is not text", "write the password in quotes")
    if not value:
        raise Wrong("it is empty", "give a password, or take the line out to have one generated")
    length = len(value.encode())
    if length > MAX_PASSWORD_BYTES:
        cure = f"use {MAX_PASSWORD_BYTES} bytes at most: bcrypt takes no more"
        raise Wrong(f"it has {length} bytes", cure)
    if not value.isprintable():
        raise Wrong("it has a line break or another control character", "use printable characters")
    return value


def pem(kind: str) -> Reader:
    """PEM text of one kind: `CERTIFICATE` or `PRIVATE KEY`. Never repeated in a message."""
    cure = f"give PEM text that starts with -----BEGIN {kind}-----"

    def read(value: Any) -> str:  # noqa: ANN401
        if not isinstance(value, str) or not value.strip():
            raise Wrong("it is not PEM text", cure)
        if "ENCRYPTED" in value:
            raise Wrong("the key is encrypted", "give it without a passphrase, as a secret")
        if not re.search(rf"-----BEGIN [A-Z ]*{kind}-----\s.+\s-----END", value, re.DOTALL):
            raise Wrong(f"it is not a {kind.lower()} in PEM form", cure)
        return value.strip() + "\n"

    return read


def version(value: Any) -> str:  # noqa: ANN401
    """A release that is fit to run."""
    return versions.supported(value.strip() if isinstance(value, str) else str(value))


def template(value: Any) -> str:  # noqa: ANN401
    """Text in which only {version} and {arch} are filled in."""
    written = text(value)
    rest = written.replace("{version}", "").replace("{arch}", "")
    if "{" in rest or "}" in rest:
        cure = "only {version} (without v) and {arch} (amd64 or arm64) are filled in"
        raise Wrong(f"{shown(written)} has other braces than those", cure)
    return written


def archive_url(value: Any) -> str:  # noqa: ANN401
    """Where the release is fetched from by the nodes, as a template."""
    parts = urlsplit(text(value))
    if parts.username or parts.password:
        raise Wrong("it has a login in it, which would be printed", "serve it without a login")
    written = template(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", written):
        cure = "write an https:// or http:// URL; for a local file set etcd_install: upload"
        raise Wrong(f"{shown(written)} is not a URL that a node can fetch", cure)
    return written


def sha256(value: Any) -> Mapping[str, str]:  # noqa: ANN401
    """Checksums by architecture: one for all, or a mapping."""
    sums = value if isinstance(value, Mapping) else dict.fromkeys(versions.ARCHITECTURES, value)
    cure = "write 64 hex digits in quotes, or {amd64: ..., arm64: ...}"
    if not sums or not set(sums) <= set(versions.ARCHITECTURES):
        raise Wrong(f"{shown(value)} is not for {' or '.join(versions.ARCHITECTURES)}", cure)
    for digest in sums.values():
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
            raise Wrong(f"{shown(digest)} is not a SHA-256", cure)
    return MappingProxyType({arch: sums[arch].lower() for arch in sorted(sums)})


def any_mapping(value: Any) -> Mapping[Any, Any]:  # noqa: ANN401
    """A mapping with any keys."""
    if isinstance(value, Mapping):
        return value
    cure = "paste the fragment below the key, indented: a group with hosts and vars"
    raise Wrong(f"it is {kind(value)}, not a mapping", cure)


def mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """A mapping with text for keys; what it holds is looked at later."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return value
    cure = "write it as a mapping, such as {max-request-bytes: 3145728}"
    raise Wrong(f"it is {kind(value)}, not a mapping with text for keys", cure)


# --- the table


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
    secret: bool = False


def _rows() -> tuple[Parameter, ...]:
    cluster, instance, either = Level.CLUSTER, Level.INSTANCE, Level.EITHER
    days = integer(1, 36500, "days")
    port = integer(1, MAX_PORT)
    return (
        Parameter("etcd_cluster", cluster, cluster_name, None),
        Parameter("etcd_init", cluster, choice("new", "existing"), None),
        Parameter("etcd_seq", instance, integer(1, 999_999_999), "seq"),
        Parameter("etcd_lost", instance, boolean, "lost"),
        Parameter("etcd_learner", either, boolean, "learner"),
        Parameter("etcd_data", either, data_dir, "data_dir"),
        Parameter("etcd_port", either, port, "client_port"),
        Parameter("etcd_peer_port", either, port, "peer_port"),
        Parameter("etcd_version", cluster, version, "version"),
        Parameter(
            "etcd_install",
            cluster,
            choice("archive", "upload", "package", "preinstalled"),
            "install",
        ),
        Parameter("etcd_archive_url", cluster, archive_url, "archive_url"),
        Parameter("etcd_archive_sha256", cluster, sha256, "archive_sha256"),
        Parameter("etcd_archive_file", cluster, template, "archive_file"),
        Parameter(
            "etcd_election_timeout", cluster, integer(10, MAX_ELECTION_MS, "ms"), "election_timeout"
        ),
        Parameter(
            "etcd_heartbeat_interval", cluster, integer(1, 10000, "ms"), "heartbeat_interval"
        ),
        Parameter("etcd_quota", cluster, size, "quota_bytes"),
        Parameter("etcd_compaction_retention", cluster, retention, "compaction_retention"),
        Parameter("etcd_snapshot_count", cluster, integer(100, 10_000_000), "snapshot_count"),
        Parameter("etcd_metrics", cluster, choice("basic", "extensive"), "metrics"),
        Parameter(
            "etcd_log_level",
            cluster,
            choice("debug", "info", "warn", "error", "panic", "fatal"),
            "log_level",
        ),
        Parameter("etcd_options", cluster, mapping, "options"),
        Parameter("etcd_root_password", cluster, password, "root_password", secret=True),
        Parameter("etcd_ca_cert", cluster, pem("CERTIFICATE"), "ca_cert", secret=True),
        Parameter("etcd_ca_key", cluster, pem("PRIVATE KEY"), "ca_key", secret=True),
        Parameter("etcd_cert_days", cluster, days, "cert_days"),
        Parameter("etcd_cert_renew_days", cluster, integer(0, 36500, "days"), "cert_renew_days"),
        Parameter("etcd_ca_days", cluster, days, "ca_days"),
        Parameter("etcd_safeguard", cluster, boolean, "safeguard"),
        Parameter("etcd_rm_data", cluster, boolean, "rm_data"),
        Parameter("etcd_rm_pkg", cluster, boolean, "rm_pkg"),
        Parameter("ansible_host", instance, address, "host"),
        Parameter("ansible_port", either, port, "port"),
        Parameter("ansible_user", either, user_name, "user"),
        Parameter("ansible_become", either, boolean, "sudo"),
        Parameter("ansible_ssh_private_key_file", either, path, "private_key_file"),
    )


def read(parameter: Parameter, value: Any) -> Any:  # noqa: ANN401
    """A parameter's value as the model holds it.

    Raises Wrong for what the parameter does not take, and for what only Ansible can work out.
    """
    if value is None:
        raise Wrong("it has no value", "give one or take the line out")
    if isinstance(value, Foreign):
        cure = "give the value itself, or set it with `pulumi config set --secret`"
        raise Wrong(f"{value.tag} is read by Ansible only", cure)
    if isinstance(value, str) and "{{" in value:
        raise Wrong("a Jinja expression is worked out by Ansible only", "write the value itself")
    return parameter.read(value)


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

UNREAD: Final = MappingProxyType(
    {
        "ansible_ssh_common_args": "ssh's own options are not read; a bastion is etcd:sshBastion",
        "ansible_ssh_extra_args": "ssh's own options are not read; a bastion is etcd:sshBastion",
        "ansible_password": "passwords are not used for SSH; give a key or an agent",
        "ansible_ssh_pass": "passwords are not used for SSH; give a key or an agent",
        "ansible_become_password": "sudo is used without a password",
        "ansible_become_pass": "sudo is used without a password",
    }
)
"""Ansible's variables that would be missed, and what is done instead."""

_RETIRED: Final = MappingProxyType(
    {
        "etcd_clean": "take it out: an instance with data is never founded again",
        "etcd_api": "take it out: the API is v3",
    }
)
"""Parameters that Pigsty once had."""

_ANSIBLE_OWN: Final = frozenset(
    "ansible_hostname ansible_become_user ansible_become_exe ansible_user_id"
    " ansible_user_dir ansible_ssh_args ansible_fqdn ansible_become_flags".split()
)
"""Names of Ansible's that only look like misspelt ones."""


def wrong_name(name: str) -> Wrong | None:
    """What is wrong with a variable's name: unknown `etcd_*`, or nearly one of ours.

    Everything else an inventory holds is for others, and right.
    """
    known = name in PARAMETERS or name in ANSIBLE_ALIASES or name in UNREAD
    if known or name in _ANSIBLE_OWN:
        return None
    if name in _RETIRED:
        return Wrong("this is no parameter any more", _RETIRED[name])
    plain = name.lower().replace("-", "_")
    ours = plain.startswith("etcd_")
    near = difflib.get_close_matches(plain, PARAMETERS, n=1, cutoff=0.6 if ours else 0.87)
    if near:
        return Wrong("there is no such parameter", f"did you mean {near[0]}?")
    if ours:
        return Wrong(
            "there is no such parameter",
            "take it out; etcd's own configuration keys go into etcd_options",
        )
    return None


# --- etcd's own configuration keys

_PARAMETER_OF: Final = MappingProxyType(
    {
        "data-dir": "etcd_data",
        "election-timeout": "etcd_election_timeout",
        "heartbeat-interval": "etcd_heartbeat_interval",
        "quota-backend-bytes": "etcd_quota",
        "auto-compaction-retention": "etcd_compaction_retention",
        "snapshot-count": "etcd_snapshot_count",
        "metrics": "etcd_metrics",
        "log-level": "etcd_log_level",
    }
)
_DECIDED: Final = MappingProxyType(
    {
        "name": "it is the instance's name",
        "listen-peer-urls": "it follows from the address and etcd_peer_port",
        "listen-client-urls": "it follows from the address and etcd_port",
        "listen-client-http-urls": "Patroni expects HTTP and gRPC at one port",
        "initial-advertise-peer-urls": "it follows from the address and etcd_peer_port",
        "advertise-client-urls": "it follows from the address and etcd_port",
        "initial-cluster": "it follows from the members",
        "initial-cluster-state": "it follows from what the members say",
        "initial-cluster-token": "it is made once, when the cluster is founded",
        "client-transport-security": "certificates are made and renewed here",
        "peer-transport-security": "certificates are made and renewed here",
        "strict-reconfig-check": "it keeps the quorum safe and stays on",
        "force-new-cluster": "it would throw all other members out at every start",
        "enable-grpc-gateway": "Patroni needs it, so it stays on",
        "auto-compaction-mode": "it is periodic; see etcd_compaction_retention",
        "wal-dir": "everything an instance stores is below etcd_data",
        "discovery": "the members are known from the inventory",
        "discovery-config": "the members are known from the inventory",
        "discovery-proxy": "the members are known from the inventory",
        "discovery-srv": "the members are known from the inventory",
        "discovery-srv-name": "the members are known from the inventory",
    }
)


def option(key: str, value: Any, minor: str) -> Any:  # noqa: ANN401
    """One of etcd's configuration keys with its value, as etcd's file of that line wants it.

    Durations become nanoseconds. Raises Wrong for what that line does not know or take, and for
    what this program decides.
    """
    if key in _PARAMETER_OF:
        raise Wrong("it has a parameter of its own", f"set {_PARAMETER_OF[key]} instead")
    if key in _DECIDED:
        raise Wrong(f"this program writes it: {_DECIDED[key]}", "take it out")
    kind = versions.option_kind(minor, key)
    read = _OPTION_READERS[kind](value)
    if key == "feature-gates":
        _check_gates(read, minor)
    return read


def _duration_option(value: Any) -> int:  # noqa: ANN401
    found = nanoseconds(value.strip()) if isinstance(value, str) else _whole(value)
    if found is None:
        raise Wrong(f"{shown(value)} is not a duration", 'write one such as "5m" or "500ms"')
    return found


def _list_option(value: Any) -> list[str]:  # noqa: ANN401
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return list(value)
    raise Wrong(f"{shown(value)} is not a list of text", 'write one such as ["a", "b"]')


def _text_option(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, str):
        return value
    raise Wrong(f"{shown(value)} is not text", "write it in quotes")


_OPTION_READERS: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "text": _text_option,
        "integer": integer(-(2**63), 2**63 - 1),
        "boolean": boolean,
        "duration": _duration_option,
        "list": _list_option,
        "object": mapping,
    }
)


def _check_gates(gates: str, minor: str) -> None:
    known = versions.feature_gates(minor)
    for gate in gates.split(","):
        name, _, state = gate.partition("=")
        if name.strip() not in known or state.strip() not in {"true", "false"}:
            near = difflib.get_close_matches(name.strip(), known, n=1)
            example = near[0] if near else known[0]
            cure = f'write "{example}=true"; the gates are {", ".join(known)}'
            raise Wrong(f"etcd {minor} has no feature gate {shown(gate)}", cure)
