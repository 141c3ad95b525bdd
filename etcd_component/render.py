"""What is put on a node, as text: etcd's configuration, the systemd unit.

Pure functions: the same model gives the same text. Golden files in the tests hold the texts.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import yaml

from etcd_component.model import Cluster, Instance

TOKEN_LIFE = "1h"  # noqa: S105 - a duration
"""Of a signed token, however much it is used. Any change of a user or role ends it before."""

NODE_PROGRAM = "/usr/local/sbin/etcd-node"
"""Where the node program stands on a node."""

MONITOR_PROGRAM = "/usr/local/sbin/etcd-monitor"
"""Where the monitor's program stands on its machine."""

NO_PROXIES = (
    "UnsetEnvironment=HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY"
    " http_proxy https_proxy all_proxy no_proxy\n"
)
"""A line of a unit. A proxy that a machine has for all services gets no member to its peers, and no
monitor to its targets; etcd takes it for both without a word."""

SANDBOX = """\
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""
"""What a unit's process may not do; it writes only where the unit says so besides."""


def etcd_config(cluster: Cluster, instance: Instance) -> str:
    """Etcd's configuration file, less how the member joins, which only the node can know.

    etcd ignores keys it does not know without a word, so only keys of the wanted version are
    written. Source of the keys: etcd's `server/embed/config.go` at each release.
    """
    return _as_yaml(
        {
            "name": instance.name,
            "data-dir": instance.data_dir,
            "listen-peer-urls": _listen(instance, instance.peer_port),
            "listen-client-urls": ",".join(_client_listeners(instance)),
            "initial-advertise-peer-urls": instance.peer_url,
            "advertise-client-urls": instance.client_url,
            **_settings(cluster),
            **_transport(cluster),
            **_token(cluster),
            **{key: one for key, one in cluster.settings.options.items() if key != "feature-gates"},
        }
    )


def _settings(cluster: Cluster) -> dict[str, Any]:
    settings = cluster.settings
    checks: dict[str, str | bool] = (
        {
            "experimental-initial-corrupt-check": True,
            "experimental-compact-hash-check-enabled": True,
        }
        if settings.minor == "3.5"
        else {"feature-gates": _gates(settings.options.get("feature-gates", ""))}
    )
    return {
        "heartbeat-interval": settings.heartbeat_interval,
        "election-timeout": settings.election_timeout,
        "quota-backend-bytes": settings.quota_bytes,
        # Off by default in etcd: without it the database grows until the quota stops all writes.
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": settings.compaction_retention,
        "snapshot-count": settings.snapshot_count,
        "metrics": settings.metrics,
        "logger": "zap",
        "log-level": settings.log_level,
        "log-outputs": ["stderr"],
        # Patroni speaks to the gateway.
        "enable-grpc-gateway": True,
        "tls-min-version": "TLS1.2",
        **checks,
    }


def _gates(chosen: str) -> str:
    """Feature gates: ours, where nothing else is chosen, and those that are."""
    ours = [one for one in ("CompactHashCheck", "InitialCorruptCheck") if f"{one}=" not in chosen]
    return ",".join([*(f"{one}=true" for one in ours), *([chosen] if chosen else [])])


def _transport(cluster: Cluster) -> dict[str, Any]:
    place = f"/etc/etcd/{cluster.name}/pki"
    files = {
        "cert-file": f"{place}/server.crt",
        "key-file": f"{place}/server.key",
        "trusted-ca-file": f"{place}/ca.crt",
    }
    return {
        # The CA alone makes etcd demand a certificate; the flag would let a certificate's common
        # name log in without a password, and turn Patroni away.
        "client-transport-security": {**files, "client-cert-auth": False},
        # A client's certificate is of the same CA; the cluster's name, which only members'
        # certificates carry, keeps clients off the peer port.
        "peer-transport-security": {
            **files,
            "client-cert-auth": True,
            "allowed-hostname": [cluster.name],
        },
        # Only a flag, says etcd; but it passes over flags where there is a file, and takes its own
        # structure's names in the file.
        "ClientTLSInfo": {"CRLFile": f"{place}/revoked.crl"},
        "PeerTLSInfo": {"CRLFile": f"{place}/revoked.crl"},
    }


def _token(cluster: Cluster) -> dict[str, Any]:
    if cluster.settings.auth_token == "simple":  # noqa: S105 - the name of a kind
        return {}
    place = f"/etc/etcd/{cluster.name}/pki"
    words = {
        "pub-key": f"{place}/token.pub",
        "priv-key": f"{place}/token.key",
        "sign-method": "ES256",
        "ttl": TOKEN_LIFE,
    }
    return {"auth-token": ",".join(["jwt", *(f"{key}={one}" for key, one in words.items())])}


def _client_listeners(instance: Instance) -> list[str]:
    own = _listen(instance, instance.client_port)
    # The local address lets a person on the node, and the node program, always in.
    local = f"https://127.0.0.1:{instance.client_port}"
    # A DNS name listens on all addresses, this one too; so may a lone member at it.
    return [own] if not instance.node.is_ip or own == local else [own, local]


def _listen(instance: Instance, port: int) -> str:
    return f"https://{instance.node.listen_host}:{port}"


def _as_yaml(settings: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(settings), sort_keys=False, width=10_000, allow_unicode=True)


def unit(cluster: Cluster, instance: Instance) -> str:
    """The systemd unit of an instance.

    Restarts without a limit, because a member may wait for its peers as long as it takes; never
    on a clean exit, because a member that was removed from its cluster exits cleanly. Not
    killed at the start, because READY comes only with a quorum. Each line in the journal has the
    labels that its metrics have.
    """
    state = cluster.unit.removesuffix(".service")
    program = f"/opt/etcd/clusters/{cluster.name}/bin/etcd"
    return f"""\
# Written by etcd-node. Changes here are lost; `systemctl edit {state}` keeps yours apart.
[Unit]
Description=etcd {instance.name}, member of cluster {cluster.name}
Documentation=https://etcd.io/docs/
Wants=network-online.target
After=network-online.target time-sync.target
RequiresMountsFor={instance.data_dir}
StartLimitIntervalSec=0

[Service]
Type=notify
User=etcd
Group=etcd
ExecStartPre=-+{NODE_PROGRAM} stamp --cluster {cluster.name}
ExecStart={program} --config-file=/etc/etcd/{cluster.name}/etcd.yaml
Restart=on-failure
RestartSec=2s
TimeoutStartSec=infinity
TimeoutStopSec=60s
LogExtraFields=CLS={cluster.name} INS={instance.name} IP={instance.node.address} JOB=etcd
LimitNOFILE=65536
OOMScoreAdjust=-1000
IOSchedulingClass=best-effort
IOSchedulingPriority=0
{NO_PROXIES}
ReadWritePaths={instance.data_dir}
{SANDBOX}
[Install]
WantedBy=multi-user.target
"""


def fingerprint(config: str, unit_text: str, ca_bundle: str, token_key: str = "") -> str:
    """What a restart would change, as a short name: it stands in the preview of a rollout.

    `token_key` is the public one of the pair that signs tokens, if there is one.
    """
    text = config + unit_text + ca_bundle + token_key
    return hashlib.sha256(text.encode()).hexdigest()[:12]
