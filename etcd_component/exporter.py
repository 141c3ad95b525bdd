"""The units that have a node tell what etcd does not know of itself, as text.

One writes it down, every half a minute and as root, who alone may look at everything. The other
hands it on, as a user who may do nothing, in a process for each connection.
"""

from collections.abc import Iterator

from etcd_component.model import Cluster, Instance
from etcd_component.render import NODE_PROGRAM

_SANDBOX = """\
UMask=0077
NoNewPrivileges=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""


def units(cluster: Cluster, instance: Instance) -> dict[str, str]:
    """The units of an instance by their names; none where nobody is to be told anything."""
    return dict(_units(cluster, instance))


def _units(cluster: Cluster, instance: Instance) -> Iterator[tuple[str, str]]:
    if not instance.exporter_port and not instance.textfile_dir:
        return
    name = cluster.unit.removesuffix(".service") + "_exporter"
    yield f"{name}.service", _written(name, instance)
    yield (
        f"{name}.timer",
        _headed(
            f"{name}.timer",
            f"""\
[Unit]
Description=What etcd {instance.name} does not know of itself, every half a minute

[Timer]
OnBootSec=5s
OnUnitActiveSec=30s
AccuracySec=1s

[Install]
WantedBy=timers.target
""",
        ),
    )
    if instance.exporter_port:
        yield f"{name}.socket", _socket(name, instance)
        yield f"{name}@.service", _answered(name, instance)


def _written(name: str, instance: Instance) -> str:
    textfile = f" --textfile {instance.textfile_dir}" if instance.textfile_dir else ""
    place = f"ReadWritePaths={instance.textfile_dir}\n" if instance.textfile_dir else ""
    return _headed(
        f"{name}.service",
        f"""\
[Unit]
Description=What etcd {instance.name} does not know of itself, written down
CollectMode=inactive-or-failed

[Service]
Type=oneshot
ExecStart={NODE_PROGRAM} metrics --save --cluster {instance.cluster}{textfile}
TimeoutStartSec=20s
LogLevelMax=notice
Nice=10

RuntimeDirectory=etcd-node
RuntimeDirectoryPreserve=yes
{place}CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_SYS_PTRACE
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
{_SANDBOX}""",
    )


def _socket(name: str, instance: Instance) -> str:
    return _headed(
        f"{name}.socket",
        f"""\
[Unit]
Description=What etcd {instance.name} does not know of itself, for whoever watches it

[Socket]
ListenStream={instance.node.listen_host}:{instance.exporter_port}
# The address may come later than this.
FreeBind=yes
Accept=yes
MaxConnections=8
# Each connection is a process, so a flood closes it; the next run of the timer opens it again.
TriggerLimitIntervalSec=30s
TriggerLimitBurst=300

[Install]
WantedBy=sockets.target
""",
    )


def _answered(name: str, instance: Instance) -> str:
    return _headed(
        f"{name}@.service",
        f"""\
[Unit]
Description=What etcd {instance.name} does not know of itself, handed on
CollectMode=inactive-or-failed

[Service]
ExecStart=-{NODE_PROGRAM} answer --cluster {instance.cluster}
StandardInput=socket
StandardOutput=socket
StandardError=null
RuntimeMaxSec=5s
TimeoutStopSec=1s
LogLevelMax=notice
Nice=10

# The user is nobody's else, and sees the file system read-only. More walls of that kind would only
# cost: they are built and torn down for each connection, and it takes longer than the answer.
DynamicUser=yes
User=etcd-exporter
PrivateNetwork=yes
CapabilityBoundingSet=
RestrictAddressFamilies=AF_UNIX
MemoryMax=32M
TasksMax=8
LimitNOFILE=64
LimitFSIZE=0
LimitCORE=0
{_SANDBOX}SystemCallFilter=~@privileged @resources
""",
    )


def _headed(name: str, text: str) -> str:
    keeps = f"`systemctl edit {name}` keeps yours apart"
    return f"# Written by etcd-node. Changes here are lost; {keeps}.\n{text}"
