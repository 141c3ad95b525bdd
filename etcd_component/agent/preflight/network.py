"""Is the address on this machine, and are the ports free?"""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import files, host
from etcd_component.agent.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etcd_component.agent.preflight.subject import Subject

HOSTS = Path("/etc/hosts")


def address(subject: Subject) -> Iterator[Finding]:
    """The address that the others will use."""
    wanted = subject.options.address
    if not wanted:
        return
    if ":" in wanted or not re.search("[^0-9.]", wanted):
        yield from _on_this_machine(wanted, [wanted])
        return
    resolved = addresses_of(wanted)
    loopback = [one for one in resolved if ipaddress.ip_address(one).is_loopback]
    if not resolved:
        yield Finding(
            f"the name {wanted} cannot be resolved here",
            "put it in the DNS or in /etc/hosts of every node",
        )
    elif loopback:
        yield Finding(
            f"the name {wanted} leads to {loopback[0]} on this machine, and not to the address by"
            " which the others reach it",
            f"take {wanted} out of the line of {loopback[0]} in {HOSTS}, and put it beside the"
            " machine's own address there",
        )
    else:
        yield from _on_this_machine(wanted, resolved)


def _on_this_machine(wanted: str, resolved: list[str]) -> Iterator[Finding]:
    own = host.own_addresses()
    if {_plain(one) for one in resolved} & set(own):
        return
    here = " ".join(one for one in own if not one.startswith("fe80"))
    yield Finding(
        f"the address {wanted} is not on this machine (it has: {here})",
        "correct the host's key in the inventory (ansible_host may name another way in for SSH)",
    )


def addresses_of(name: str) -> list[str]:
    """What a name leads to, for etcd: nobody else is asked where /etc/hosts says it."""
    lines = [line.split("#")[0].split() for line in files.read_text(HOSTS).splitlines()]
    listed = [words[0] for words in lines if name.lower() in (one.lower() for one in words[1:])]
    # What is written in another way, such as 010.0.0.1, everybody passes over.
    listed = [one for one in map(_plain, listed) if _is_address(one)]
    if listed:
        return listed
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        # Python itself refuses names with parts that are empty or too long.
        return []
    return sorted({_plain(str(one[4][0])) for one in found})


def _plain(text: str) -> str:
    """An address as it is usually written; what is none stays as it is."""
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def ports(subject: Subject) -> Iterator[Finding]:
    """Our own etcd of an earlier run, perhaps of one that was interrupted, may hold its port."""
    options = subject.options
    for port, what in ((options.client_port, "client"), (options.peer_port, "peer")):
        holder = host.holder_of_port(port, subject.paths.unit)
        if holder is None or (holder == "" and (subject.is_ours or subject.is_corrected)):
            continue
        holder = holder or f"the unit {subject.paths.unit}, which is not this instance"
        yield Finding(
            f"the {what} port {port} is held by {holder}",
            "stop it, or choose another port in the inventory",
        )
