"""What tests look at on the nodes themselves, and how nodes get clean."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lab import Lab

FIRST = 10

_CLEAN_SINCE = "date +%s.%N >/swept"

_SWEEP = f"""
set -eu
cd /run/lock
for lock in etcd-node.*; do
  # What a killed run left at work must not write any more.
  [ ! -e "$lock" ] || flock -w 5 "$lock" true
done
units=$(ls -d /etc/systemd/system/etcd* 2>/dev/null || :)
for unit in /etc/systemd/system/etcd*_exporter.*; do
  [ ! -e "$unit" ] || systemctl stop "${{unit##*/}}" 2>/dev/null || :
done
rm -f /etc/systemd/system/etcd*_exporter* /etc/systemd/system/*.wants/etcd*_exporter*
for unit in /etc/systemd/system/etcd*.service; do
  [ -e "$unit" ] || continue
  systemctl kill -s KILL "${{unit##*/}}" 2>/dev/null || :
  systemctl disable -q --now "${{unit##*/}}"
  rm -rf "$unit" "$unit.d"
done
[ -z "$units" ] || systemctl daemon-reload
systemctl reset-failed
rm -rf /data /etc/etcd /opt/etcd /srv/etcd* /usr/local/bin/etcd* /usr/local/sbin/etcd*
rm -rf /run/etcd* /run/lock/etcd-node.* /var/tmp/etcd* /var/lib/etcd-node
! getent passwd etcd >/dev/null || userdel etcd
! getent group etcd >/dev/null || groupdel etcd
{_CLEAN_SINCE}
"""

_TRACES = """
ls -d /data/* /etc/etcd /opt/etcd /run/etcd* /run/lock/etcd* /usr/local/sbin/etcd* \
  /usr/local/bin/etcd* /etc/systemd/system/etcd* /etc/systemd/system/*/etcd* \
  /var/tmp/etcd* /tmp/etcd* /tmp/tmp.* /var/lib/etcd* 2>/dev/null
getent passwd etcd
getent group etcd
systemctl list-units --all --plain --no-legend 'etcd*'
ss -Hltn | grep -E ':(2379|2380) '
for process in /proc/[0-9]*; do
  grep -lE '(^|/)etcd' "$process/comm" 2>/dev/null
done
:
"""


def sweep(lab: Lab) -> None:
    """Make all nodes clean machines, running and connected to everybody."""

    def swept(number: int) -> bool:
        return lab.exec(number, "sh", "-c", _SWEEP, check=False).returncode == 0

    for node in lab.nodes():
        if node.cut_from:
            lab.heal(node.number)
    running = [node.number for node in lab.nodes() if node.running]
    with ThreadPoolExecutor() as pool:
        clean = dict(zip(running, pool.map(swept, running), strict=True))
    others = [node.number for node in lab.nodes() if not clean.get(node.number, False)]
    for number in others:
        lab.kill(number)
        lab.wipe(number)
    if others:
        lab.up(len(lab.nodes()))
    for number in others:
        shell(lab, number, _CLEAN_SINCE)


def traces(lab: Lab, number: int) -> list[str]:
    """Whatever on a node is of etcd or of this project, by whatever it would be noticed."""
    return lab.exec(number, "sh", "-c", _TRACES).stdout.splitlines()


def shell(lab: Lab, number: int, script: str, *, stdin: str = "", check: bool = True) -> str:
    """What a script prints that runs as root on a node."""
    return lab.exec(number, "sh", "-c", script, stdin=stdin, check=check).stdout.strip()


@dataclass(frozen=True)
class Process:
    """A running etcd: the same one as long as both are the same."""

    pid: int
    started: int
    """Microseconds since the node's start."""


def process(lab: Lab, number: int, unit: str = "etcd") -> Process:
    """The main process of an instance."""
    shown = shell(
        lab, number, f"systemctl show --value -p MainPID -p ExecMainStartTimestampMonotonic {unit}"
    )
    pid, started = sorted(int(line) for line in shown.split())
    return Process(pid, started)


def processes(lab: Lab, count: int, unit: str = "etcd") -> list[Process]:
    """The main processes on the first nodes."""
    return [process(lab, FIRST + position, unit) for position in range(count)]


def journal(lab: Lab, number: int, unit: str = "etcd") -> str:
    """What a unit said since the node was clean."""
    since = f"journalctl -q -u {unit} -o cat --no-pager --since @$(cat /swept)"
    return shell(lab, number, since)
