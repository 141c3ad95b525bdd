"""The lab's network: one bridge, one namespace per node, a way out to the package mirrors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lab import firewall
from lab.errors import LabError
from lab.shell import attempt, load_module, run

if TYPE_CHECKING:
    from lab.naming import Naming

_NAMESPACES = Path("/run/netns")
_INTERFACES = Path("/sys/class/net")


def namespace_file(naming: Naming, number: int) -> Path:
    """File by which the network namespace of a node is known."""
    return _NAMESPACES / naming.namespace(number)


def ensure_bridge(naming: Naming) -> None:
    """Make the bridge with the host's address, and let nodes reach the world through it.

    Raises LabError when something else on this host has the subnet.
    """
    _refuse_taken_subnet(naming)
    bridge = naming.bridge
    if not (_INTERFACES / bridge).exists():
        run(["ip", "link", "add", bridge, "type", "bridge"])
    run(["ip", "address", "replace", f"{naming.gateway}/24", "dev", bridge])
    run(["ip", "link", "set", bridge, "up"])
    # A partition is a rule of iptables, which sees what passes between two nodes only when the
    # bridge shows it. This knob is the bridge's own; the one for all bridges stays as it is.
    load_module("br_netfilter")
    run(["ip", "link", "set", bridge, "type", "bridge", "nf_call_iptables", "1"])
    firewall.apply(naming, firewall.cuts(naming))


def ensure_namespace(naming: Naming, number: int) -> None:
    """Make the network namespace of a node, with its address, and plug it into the bridge."""
    namespace, interface = naming.namespace(number), naming.interface(number)
    inside = ["ip", "-n", namespace]
    plugged_in = namespace_file(naming, number).exists() and (_INTERFACES / interface).exists()
    if plugged_in and attempt([*inside, "route", "show", "default"]).stdout.strip():
        return
    # Whole or not at all: half a network, left by a run that was killed, is made anew.
    remove_namespace(naming, number)
    run(["ip", "netns", "add", namespace])
    run(
        [
            *("ip", "link", "add", interface, "type", "veth"),
            *("peer", "name", "eth0", "netns", namespace),
        ]
    )
    run(["ip", "link", "set", interface, "master", naming.bridge, "up"])
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "link", "set", "eth0", "up"])
    run([*inside, "address", "add", f"{naming.address(number)}/24", "dev", "eth0"])
    run([*inside, "route", "add", "default", "via", naming.gateway])


def remove_namespace(naming: Naming, number: int) -> None:
    """Remove the network of one node, or what there is of it."""
    if (_INTERFACES / naming.interface(number)).exists():
        attempt(["ip", "link", "delete", naming.interface(number)])
    path = namespace_file(naming, number)
    if path.exists():
        attempt(["ip", "netns", "delete", path.name])
        # A run that was killed can leave the file without the mount, which ip refuses to delete.
        path.unlink(missing_ok=True)


def remove(naming: Naming) -> None:
    """Remove everything of the lab's network, whatever there is of it."""
    for number in numbers(naming):
        remove_namespace(naming, number)
    firewall.remove(naming)
    if (_INTERFACES / naming.bridge).exists():
        run(["ip", "link", "delete", naming.bridge])


def numbers(naming: Naming) -> set[int]:
    """Return the numbers of nodes that have something of a network on this machine."""
    return {
        *naming.numbers_in(_NAMESPACES, naming.namespace_prefix),
        *naming.numbers_in(_INTERFACES, naming.interface_prefix),
    }


def _refuse_taken_subnet(naming: Naming) -> None:
    for interface in json.loads(run(["ip", "-json", "-4", "address", "show"])):
        for entry in interface.get("addr_info", []):
            taken = str(entry.get("local", "")).startswith(f"{naming.subnet}.")
            if taken and interface["ifname"] != naming.bridge:
                message = (
                    f"{interface['ifname']} of this host already has {entry['local']}: "
                    f"give the lab another subnet with --subnet."
                )
                raise LabError(message)
