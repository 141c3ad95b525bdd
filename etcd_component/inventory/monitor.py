"""`etcd_monitor`: from what a person wrote to the monitor of the stack."""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from etcd_component import ssh
from etcd_component.inventory import values
from etcd_component.inventory.parameters import ANSIBLE_ALIASES, PARAMETERS, UNREAD
from etcd_component.inventory.site import Site
from etcd_component.inventory.values import Reader, Said, shown
from etcd_component.mistake import Findings, Wrong
from etcd_component.model import Cluster, Instance, Monitor, Node
from etcd_component.suggestion import hint

ALERTS_PORT: Final = Monitor.alerts_port


def _retention(value: Any) -> str:
    written = str(value).strip()
    found = re.fullmatch(r"([1-9]\d{0,4})([dwy])", written)
    if isinstance(value, str) and found:
        return written
    raise Wrong(
        f"{shown(value)} does not say how long to keep what was measured",
        'write days, weeks or years, such as "90d", "26w" or "2y"',
    )


def _listen(value: Any) -> tuple[str, int]:
    cure = 'write an address of that machine and a port, such as "127.0.0.1:8428"'
    found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[0-9.]+):(\d+)", values.text(value))
    if not found:
        raise Wrong(f"{shown(value)} is not an IP address with a port", cure)
    try:
        address = ipaddress.ip_address(found[1].strip("[]"))
    except ValueError:
        raise Wrong(f"{shown(found[1])} is not an IP address", cure) from None
    return str(address), values.integer(1, values.MAX_PORT)(found[2])


def _alertmanagers(value: Any) -> tuple[str, ...]:
    cure = "write a list, such as [http://10.10.10.30:9093]"
    if values.may_hold_login(value):
        raise Wrong(
            "a URL has an @, as after a login, which every user of that machine would see",
            "have an Alertmanager that takes no password from there, or a proxy before it",
        )
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a list", cure)
    return tuple(_url(one) for one in value)


def _url(value: Any) -> str:
    written = values.text(value)
    parts = values.url_parts(written)
    if parts.scheme not in {"http", "https"} or not parts.netloc or re.search(r"[\s,]", written):
        raise Wrong(f"{shown(written)} is not the URL of an Alertmanager", "write http://HOST:9093")
    return written.rstrip("/")


_LOGIN: Final[Mapping[str, str]] = {
    "ansible_host": "host",
    "ansible_port": "port",
    "ansible_user": "user",
    "ansible_become": "sudo",
    "ansible_ssh_private_key_file": "private_key_file",
}
"""Names of the login, as hosts have them, and what `ssh.Access.login` calls them."""

_SETTINGS: Final[Mapping[str, str]] = {
    "retention": "retention",
    "data": "data_dir",
    "alertmanager": "alertmanagers",
    "rm_data": "rm_data",
    "lost": "lost",
}
"""Names of the other fields, and what the model calls them."""

FIELDS: Final[Mapping[str, Reader]] = {
    "host": values.address,
    "listen": _listen,
    "retention": _retention,
    "data": values.data_dir,
    "alertmanager": _alertmanagers,
    "rm_data": values.boolean,
    "lost": values.boolean,
    **{name: PARAMETERS[name].read for name in _LOGIN},
}
"""Everything that may stand in `etcd_monitor`, and how it is read."""


def read(said: Said, clusters: Iterable[Cluster], site: Site, findings: Findings) -> Monitor | None:
    """The monitor, unless what is said of it cannot stand: then the findings say why."""
    before = len(findings.mistakes)
    found: dict[str, Any] = {}
    seen: dict[str, Said] = {}
    for key, value in said.value.items():
        name = ANSIBLE_ALIASES.get(str(key), str(key))
        place = f"{said.place}.{key}"
        if name in UNREAD:
            findings.warn(f"{place} is passed over: {UNREAD[name]}")
        elif name not in FIELDS:
            findings.wrong(place, *_unknown(name))
        elif seen.setdefault(name, Said(value, place)).value != value:
            # Ansible's two names of one variable.
            findings.wrong(place, f"{seen[name].place} says something else", "keep one")
        else:
            with findings.at(place):
                found[name] = FIELDS[name](values.plain(value))
    if "host" not in said.value:
        findings.wrong(said.place, "it has no host", "name its machine, such as host: 10.10.10.20")
    if len(findings.mistakes) > before or not site.settled:
        return None
    reach = {_LOGIN[name]: found[name] for name in _LOGIN if name in found}
    if "private_key_file" in reach:
        reach["private_key_file"] = site.located(reach["private_key_file"])
    try:
        login = site.access.login(**{"host": found["host"], **reach})
    except ssh.CannotLogIn as refusal:
        for finding in refusal.findings:
            findings.wrong(said.place, *finding)
        return None
    settings = {_SETTINGS[name]: found[name] for name in _SETTINGS if name in found}
    if "listen" in found:
        settings["listen_address"], settings["port"] = found["listen"]
    monitor = Monitor(Node(found["host"], login), **settings)
    _check(monitor, said.place, clusters, findings)
    return monitor


def _unknown(name: str) -> tuple[str, str]:
    return "there is no such field", hint(name, FIELDS, f"there are {', '.join(FIELDS)}")


def _check(monitor: Monitor, place: str, clusters: Iterable[Cluster], findings: Findings) -> None:
    """It may share a machine with a member, which is not wise, but neither port nor directory."""
    if monitor.port == ALERTS_PORT:
        findings.wrong(
            f"{place}.listen", f"port {ALERTS_PORT} is vmalert's", "choose another, such as 8428"
        )
    for one in (one for cluster in clusters for one in cluster.instances):
        if not one.lost and one.node.shares_machine_with(monitor.node):
            _check_neighbour(monitor, one, place, findings)


def _check_neighbour(monitor: Monitor, one: Instance, place: str, findings: Findings) -> None:
    for port in sorted({monitor.port, ALERTS_PORT} & {*one.ports.values()}):
        findings.wrong(
            f"{place}.listen" if port == monitor.port else place,
            f"port {port} is used by {one.name} on the same machine",
            "choose another port" if port == monitor.port else "give the monitor another machine",
        )
    here, there = PurePosixPath(monitor.data_dir), PurePosixPath(one.data_dir)
    if here.is_relative_to(there) or there.is_relative_to(here):
        findings.wrong(
            f"{place}.data",
            f"{here} and the {there} of {one.name} are on the same machine",
            "choose a directory outside the other",
        )
    findings.warn(
        f"the monitor is on the machine of {one.name}: it uses the disk that etcd waits for, and"
        " nobody says so when that machine is lost"
    )
