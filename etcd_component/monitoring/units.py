"""The systemd units of the monitor: VictoriaMetrics, and vmalert beside it."""

from __future__ import annotations

from collections.abc import Iterable

from etcd_component.model import Monitor
from etcd_component.render import NO_PROXIES, SANDBOX

AT = "/etc/etcd-monitor"
"""Where the monitor's files lie on its machine."""

STORE = "etcd-monitor.service"
ALERTS = "etcd-monitor-alerts.service"

USER = "monitor"
"""Who logs in, where the monitor asks for that."""

_DELAY = "5s"
"""How old a value is that is looked at.

What VictoriaMetrics has scraped can be found two seconds later; both programs wait for 30 by
default, which every alert would then come later.
"""


def store(model: Monitor) -> str:
    """VictoriaMetrics: it scrapes, keeps, answers, and shows dashboards and alerts."""
    flags = [
        f"-httpListenAddr={model.listen}",
        *([] if model.is_local else _lock()),
        f"-storageDataPath={model.data_dir}",
        f"-retentionPeriod={model.retention}",
        "-storage.minFreeDiskSpaceBytes=256MiB",
        "-memory.allowedBytes=512MiB",
        "-enableTCP6",
        f"-promscrape.config={AT}/scrape.yml",
        "-promscrape.fileSDCheckInterval=5s",
        f"-search.latencyOffset={_DELAY}",
        f"-vmalert.proxyURL={_alerts_url(model)}",
        f"-vmui.customDashboardsPath={AT}/dashboards/vmui",
    ]
    return _unit("VictoriaMetrics for etcd", "victoria-metrics", flags, model, "2G", STORE)


def alerts(model: Monitor) -> str:
    """vmalert: it evaluates the rules, and keeps what it finds in VictoriaMetrics.

    From there it also takes up, when it is restarted, for how long an alert has been pending.
    """
    flags = [
        f"-httpListenAddr={_alerts_url(model).removeprefix('http://')}",
        "-memory.allowedBytes=128MiB",
        f"-rule={AT}/rules/*.yml",
        "-evaluationInterval=15s",
        f"-rule.evalDelay={_DELAY}",
        *(
            flag
            for role in ("datasource", "remoteWrite", "remoteRead")
            for flag in _way_in(role, model)
        ),
        "-enableTCP6",
        # Links of alerts lead to vmalert's own pages, which VictoriaMetrics passes on.
        f"-external.url={model.url}",
        *(f"-notifier.url={one}" for one in model.alertmanagers),
        *([] if model.alertmanagers else ["-notifier.blackhole"]),
    ]
    return _unit("alerts for etcd (vmalert)", "vmalert", flags, model, "512M", ALERTS)


def _alerts_url(model: Monitor) -> str:
    return f"http://127.0.0.1:{model.alerts_port}"


def _lock() -> list[str]:
    return [
        "-tls",
        f"-tlsCertFile={AT}/tls/server.crt",
        f"-tlsKeyFile={AT}/tls/server.key",
        "-tlsMinVersion=TLS12",
        f"-httpAuth.username={USER}",
        # A file, since everybody sees the command line.
        f"-httpAuth.password=file://{AT}/login/password",
    ]


def _way_in(role: str, model: Monitor) -> list[str]:
    if model.is_local:
        return [f"-{role}.url={model.own_url}"]
    return [
        f"-{role}.url={model.own_url}",
        f"-{role}.tlsCAFile={AT}/tls/ca.crt",
        f"-{role}.basicAuth.username={USER}",
        f"-{role}.basicAuth.passwordFile={AT}/login/password",
    ]


def _unit(
    what: str, program: str, flags: Iterable[str], model: Monitor, memory: str, name: str
) -> str:
    command = " \\\n  ".join([f"/usr/bin/{program}", *map(_quoted, flags)])
    return f"""\
# Written by etcd-monitor. Changes here are lost; `systemctl edit {name}` keeps yours apart.
[Unit]
Description={what}
Documentation=https://docs.victoriametrics.com/
Wants=network-online.target
After=network-online.target{_place(name, model)}
StartLimitIntervalSec=0

[Service]
User=etcd-monitor
Group=etcd-monitor
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2s
TimeoutStopSec=60s
LimitNOFILE=65536
MemoryMax={memory}
OOMScoreAdjust=500
{NO_PROXIES}
{_writes(name, model)}{SANDBOX}
[Install]
WantedBy=multi-user.target
"""


def _place(name: str, model: Monitor) -> str:
    if name == STORE:
        return f"\nRequiresMountsFor={model.data_dir}"
    # Without it there is nothing to look at.
    return f" {STORE}\nWants={STORE}"


def _writes(name: str, model: Monitor) -> str:
    return f"ReadWritePaths={model.data_dir}\n" if name == STORE else ""


def _quoted(flag: str) -> str:
    """As systemd reads it: a percent sign would begin a specifier."""
    flag = flag.replace("%", "%%")
    return f'"{flag}"' if set(flag) & set("{};#'|*?&") else flag
