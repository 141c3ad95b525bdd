"""The cluster model: Cluster, Instance and Node, and what follows from them.

Pure and frozen. What is built here is valid; `inventory` is where mistakes are found.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

from etcd_component.mistake import InvalidInventory, Mistake
from etcd_component.ssh import Login

__all__ = [
    "GIVEN",
    "Authority",
    "Client",
    "Cluster",
    "Instance",
    "InvalidInventory",
    "Login",
    "Mistake",
    "Monitor",
    "Node",
    "Permission",
    "Role",
    "Settings",
    "User",
    "quorum",
]

Install = Literal["archive", "upload", "package", "preinstalled"]
Metrics = Literal["basic", "extensive"]

Authority = int | Literal["given"]
"""A CA: one of our own by its number, or the one that the settings give."""

GIVEN: Final = "given"

Access = Literal["read", "write", "readwrite"]
Scope = Literal["key", "prefix", "range"]
Kind = Literal["patroni", "vip-manager", "plain"]
Token = Literal["simple", "jwt"]
Undeclared = Literal["report", "remove"]

ROOT: Final = "root"
"""The user who may do everything, and its role: both are always there."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine. Its address is its only identity: the cluster model gives it no name."""

    address: str
    """IPv4, IPv6 (canonical, without brackets) or DNS name: what members and clients dial."""
    login: Login

    @property
    def is_ip(self) -> bool:
        """Whether the address is an IP rather than a DNS name."""
        try:
            ipaddress.ip_address(self.address)
        except ValueError:
            return False
        return True

    @property
    def is_ipv6(self) -> bool:
        """Whether the address is an IPv6 address."""
        return self.is_ip and ":" in self.address

    @property
    def url_host(self) -> str:
        """The address as it stands in a URL: IPv6 in brackets."""
        return f"[{self.address}]" if self.is_ipv6 else self.address

    @property
    def listen_host(self) -> str:
        """What etcd binds to, as it stands in a URL.

        The address itself; for a DNS name every IPv4 address, since etcd binds to IPs only.
        """
        return self.url_host if self.is_ip else "0.0.0.0"  # noqa: S104

    def shares_machine_with(self, other: "Node") -> bool:
        """Whether both are one machine, as far as addresses tell."""
        return self.address == other.address or (
            (self.login.host, self.login.port) == (other.login.host, other.login.port)
        )


@dataclass(frozen=True, slots=True)
class Permission:
    """What a role may do with some keys."""

    access: Access
    scope: Scope
    """One key, all keys that begin with `key` (every key if it is empty), or a range."""
    key: str
    """The key, the prefix, or the first key of the range."""
    range_end: str | None = None
    """The first key after the range; None unless it is one."""

    @property
    def span(self) -> tuple[bytes, bytes]:
        """The first key and the first one after the last, as etcd keeps them.

        The second is empty for a single key; both are the byte 0 for every key.
        """
        first = self.key.encode()
        if self.scope == "key":
            return first, b""
        if self.scope == "range":
            return first, (self.range_end or "").encode()
        # Text in UTF-8 never ends in the byte that has no next.
        return (first, first[:-1] + bytes([first[-1] + 1])) if first else (b"\0", b"\0")


@dataclass(frozen=True, slots=True)
class Role:
    """A name for some rights. `permissions` are in the order in which they were written."""

    name: str
    permissions: tuple[Permission, ...]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in, with the rights of all its roles, which are in order."""

    name: str
    roles: tuple[str, ...]
    password: str | None = field(default=None, repr=False)
    """None: generate one and keep it."""
    password_generation: int = 1
    """Raised to have another password generated."""


@dataclass(frozen=True, slots=True)
class Client:
    """A program that uses the cluster: a certificate, a user and a role, all of its name."""

    name: str
    kind: Kind
    permission: Permission
    """All that it may do."""
    password: str | None = field(default=None, repr=False)
    """None: generate one and keep it."""
    password_generation: int = 1
    """Raised to have another password generated."""
    cert_generation: int = 1
    """Raised to have its certificate made anew, with a new key."""
    revoked: tuple[int, ...] = ()
    """The generations of its certificate that are refused, in order."""

    @property
    def role(self) -> Role:
        """The role that it brings with it."""
        return Role(self.name, (self.permission,))

    @property
    def user(self) -> User:
        """The user as whom it logs in."""
        return User(self.name, (self.name,), self.password, self.password_generation)


@dataclass(frozen=True, slots=True)
class Settings:
    """What all instances of a cluster share. Field names are the inventory's, less `etcd_`."""

    version: str
    """Release without the `v`: `3.6.14`."""
    archive_url: str
    """Template with `{version}` (no `v`) and `{arch}` (`amd64`, `arm64`)."""
    archive_sha256: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Lower-case hex by architecture; empty unless etcd is installed from an archive."""
    archive_file: str | None = None
    """Template like `archive_url`, of a path on the machine that runs the program."""
    install: Install = "archive"
    election_timeout: int = 1000
    """Milliseconds."""
    heartbeat_interval: int = 100
    """Milliseconds."""
    quota_bytes: int = 8 * 1024**3
    compaction_retention: str = "24h"
    """Duration of history that periodic compaction keeps, as etcd writes it."""
    snapshot_count: int = 10000
    metrics: Metrics = "extensive"
    log_level: str = "info"
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """etcd's own configuration keys beside those this program writes."""
    root_password: str | None = field(default=None, repr=False)
    """None: generate one and keep it."""
    root_password_generation: int = 1
    """Raised to have another password generated for root."""
    roles: tuple[Role, ...] = field(default_factory=tuple)
    """Those that are declared by themselves, by name; clients bring their own."""
    users: tuple[User, ...] = field(default_factory=tuple)
    """Those that are declared by themselves, by name; clients bring their own."""
    clients: tuple[Client, ...] = field(default_factory=tuple)
    """By name."""
    undeclared_access: Undeclared = "report"
    """What is done about users and roles that nobody declared."""
    auth_token: Token = "simple"  # noqa: S105 - the name of a kind
    auth_token_generation: int = 1
    """Raised to have the keys made anew that tokens are signed with."""
    revoked: tuple[str, ...] = field(default_factory=tuple)
    """Serial numbers of further certificates that are refused, lower-case hex, in order."""
    ca_cert: str | None = None
    """PEM of the CA that is given."""
    ca_key: str | None = field(default=None, repr=False)
    """Its key, which only signing needs."""
    ca_trusted: tuple[Authority, ...] | None = None
    """None: the CA that is given, else the first of our own."""
    ca_signing: Authority | None = None
    """None: the only one that is trusted."""
    cert_generation: int = 1
    """Raised to have all certificates made anew, with new keys."""
    cert_days: int = 1825
    cert_renew_days: int = 365
    """A certificate is renewed by an update that runs this many days before its end."""
    ca_days: int = 7300
    """Of a CA that is made; one that was made stays as it is."""
    safeguard: bool = False
    """Refuse to take the cluster down."""
    rm_data: bool = True
    """Remove the data of an instance that has left."""
    rm_pkg: bool = False
    """Remove the software of an instance that has left."""

    @property
    def minor(self) -> str:
        """The line of releases the version belongs to: `3.6`."""
        return self.version.rpartition(".")[0]

    @property
    def authorities(self) -> tuple[Authority, ...]:
        """The CAs that members and clients trust, in the order of the bundle."""
        return self.ca_trusted or ((GIVEN,) if self.ca_cert else (1,))

    @property
    def signer(self) -> Authority:
        """The CA that signs."""
        return self.ca_signing or self.authorities[0]

    def archive_url_for(self, arch: str) -> str:
        """The URL of the release for one architecture."""
        return _filled(self.archive_url, self.version, arch)

    def archive_file_for(self, arch: str) -> str | None:
        """The local path of the release for one architecture."""
        return self.archive_file and _filled(self.archive_file, self.version, arch)


def _filled(template: str, version: str, arch: str) -> str:
    return template.replace("{version}", version).replace("{arch}", arch)


@dataclass(frozen=True, slots=True)
class Instance:
    """One etcd process on one node."""

    cluster: str
    seq: int
    node: Node
    learner: bool = False
    data_dir: str = "/data/etcd"
    client_port: int = 2379
    peer_port: int = 2380
    reseat: int = 0
    """Raised to ask that the instance, if it has lost its data, be removed and join again."""
    repair: int = 0
    """Raised to ask that all that was changed by hand on the node be put back."""
    lost: bool = False
    """The machine will never come back: the others go on without it."""
    arch: str = "amd64"
    """Of the node's processor; only an upload needs to know it beforehand."""
    exporter_port: int = 0
    """Where the node tells what etcd does not know; 0: nowhere."""
    textfile_dir: str | None = None
    """Where the node leaves the same for a node_exporter."""

    @property
    def name(self) -> str:
        """`{cluster}-{seq}`."""
        return f"{self.cluster}-{self.seq}"

    @property
    def peer_url(self) -> str:
        """Where other members reach this one; part of its Raft identity."""
        return f"https://{self.node.url_host}:{self.peer_port}"

    @property
    def client_url(self) -> str:
        """Where clients reach it."""
        return f"https://{self.node.url_host}:{self.client_port}"

    @property
    def endpoint(self) -> str:
        """Where clients reach it, as `host:port`."""
        return f"{self.node.url_host}:{self.client_port}"

    @property
    def exporter(self) -> str | None:
        """Where the node tells what etcd does not know, as `host:port`."""
        return f"{self.node.url_host}:{self.exporter_port}" if self.exporter_port else None

    @property
    def ports(self) -> dict[str, int]:
        """The ports that it listens on, by the parameters that choose them."""
        chosen = {
            "etcd_port": self.client_port,
            "etcd_peer_port": self.peer_port,
            "etcd_exporter_port": self.exporter_port,
        }
        return {name: port for name, port in chosen.items() if port}

    @property
    def dns_names(self) -> tuple[str, ...]:
        """Names its certificate is valid for, sorted: their order is part of a certificate."""
        own = set() if self.node.is_ip else {self.node.address}
        return tuple(sorted({self.name, self.cluster, "localhost"} | own))

    @property
    def ip_addresses(self) -> tuple[str, ...]:
        """Addresses its certificate is valid for, sorted."""
        own = {self.node.address} if self.node.is_ip else set()
        return tuple(sorted({"127.0.0.1", "::1"} | own))


@dataclass(frozen=True, slots=True)
class Cluster:
    """Instances that agree by Raft. `instances` are in the order of their `seq`."""

    name: str
    instances: tuple[Instance, ...]
    settings: Settings

    @property
    def voters(self) -> tuple[Instance, ...]:
        """The instances that vote: neither learners nor lost."""
        return tuple(one for one in self.instances if not (one.learner or one.lost))

    @property
    def quorum(self) -> int:
        """How many voters must agree."""
        return quorum(len(self.voters))

    @property
    def fault_tolerance(self) -> int:
        """How many voters may be lost."""
        return len(self.voters) - self.quorum

    @property
    def all_roles(self) -> tuple[Role, ...]:
        """Every declared role, those of clients included, by name."""
        own = (one.role for one in self.settings.clients)
        return tuple(sorted((*self.settings.roles, *own), key=lambda one: one.name))

    @property
    def all_users(self) -> tuple[User, ...]:
        """Every declared user, those of clients included, by name; root is not among them."""
        own = (one.user for one in self.settings.clients)
        return tuple(sorted((*self.settings.users, *own), key=lambda one: one.name))

    @property
    def unit(self) -> str:
        """The systemd unit, different for each cluster that may share a node."""
        return "etcd.service" if self.name == "etcd" else f"etcd-{self.name}.service"

    def peers_of(self, instance: Instance) -> str:
        """The other instances, less those that are lost, as a comma list of `name=peer-url`."""
        others = [one for one in self.instances if one.seq != instance.seq and not one.lost]
        return ",".join(f"{one.name}={one.peer_url}" for one in others)

    @property
    def client_urls(self) -> tuple[str, ...]:
        """The client URLs of the voters: learners answer few requests."""
        return tuple(one.client_url for one in self.voters)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The voters as `host:port`, the form Patroni, vip-manager and etcdctl take."""
        return tuple(one.endpoint for one in self.voters)


@dataclass(frozen=True, slots=True)
class Monitor:
    """The machine that collects what the clusters of a stack measure, and raises alarms."""

    node: Node
    retention: str = "90d"
    """How long it is kept, as VictoriaMetrics writes it."""
    data_dir: str = "/var/lib/etcd-monitor"
    listen_address: str = "127.0.0.1"
    port: int = 8428
    alertmanagers: tuple[str, ...] = ()
    """URLs; without one, alerts are seen on the monitor alone."""
    rm_data: bool = False
    """Remove what was collected when the monitor goes."""
    lost: bool = False
    """The machine will never come back: it is never dialled again."""
    alerts_port: ClassVar[int] = 8880
    """vmalert's, on loopback: VictoriaMetrics shows alerts by way of it."""

    @property
    def is_local(self) -> bool:
        """Whether only its own machine reaches it: then it needs neither TLS nor a password."""
        return ipaddress.ip_address(self.listen_address).is_loopback

    @property
    def listen(self) -> str:
        """What VictoriaMetrics listens on."""
        return f"{_in_url(self.listen_address)}:{self.port}"

    @property
    def url(self) -> str:
        """Where people reach it; on its own machine only, if it listens nowhere else."""
        listens = ipaddress.ip_address(self.listen_address)
        host = self.node.url_host if listens.is_unspecified else _in_url(self.listen_address)
        return f"{self._scheme}://{host}:{self.port}"

    @property
    def own_url(self) -> str:
        """Where programs of its own machine reach it."""
        listens = ipaddress.ip_address(self.listen_address)
        host = "127.0.0.1" if listens.is_unspecified else _in_url(self.listen_address)
        return f"{self._scheme}://{host}:{self.port}"

    @property
    def _scheme(self) -> str:
        return "http" if self.is_local else "https"

    @property
    def dns_names(self) -> tuple[str, ...]:
        """Names its certificate is valid for, sorted: their order is part of a certificate."""
        own = set() if self.node.is_ip else {self.node.address}
        return tuple(sorted({"localhost"} | own))

    @property
    def ip_addresses(self) -> tuple[str, ...]:
        """Addresses its certificate is valid for, sorted; a tunnel ends at a local one."""
        own = {self.node.address} if self.node.is_ip else set()
        listens = ipaddress.ip_address(self.listen_address)
        own |= set() if listens.is_unspecified else {self.listen_address}
        return tuple(sorted({"127.0.0.1", "::1"} | own))


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def quorum(voters: int) -> int:
    """How many of so many voters must agree: more than half."""
    return voters // 2 + 1
