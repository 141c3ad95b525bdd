"""Packet rules of a lab: the way out, and the partitions between nodes.

All of them stand in chains of the lab's own: one look shows them, one command removes them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.shell import attempt, run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.naming import Naming

# What `iptables` means differs between systems, and a kernel may support only one of the two.
_BACKENDS = ("iptables", "iptables-nft", "iptables-legacy")
ANYWHERE = "0.0.0.0/0"
_HOOKS = {"filter": ("FORWARD", "INPUT", "OUTPUT"), "nat": ("POSTROUTING",)}


@dataclass(frozen=True, order=True)
class Cut:
    """No packet passes between the node and the other address; the other may be a whole subnet."""

    address: str
    other: str


@functools.cache
def backend() -> str:
    """Return the first iptables program that works with this kernel.

    Raises LabError when none does.
    """
    for program in _BACKENDS:
        # In a network of its own, which vanishes: nothing to clear away, nobody to collide with.
        rule = f"{program} -t nat -N x && {program} -t nat -A x -s 10.0.0.0/24 -j MASQUERADE"
        if attempt(["unshare", "--net", "sh", "-c", rule]).returncode == 0:
            return program
    message = (
        "no iptables works with this kernel: install iptables, and load the modules it asks for."
    )
    raise LabError(message)


def apply(naming: Naming, wanted: Iterable[Cut]) -> None:
    """Make the lab's rules these and no others, in one step."""
    chain = naming.chain
    lines = ["*filter", f":{chain} - [0:0]"]
    machine, peers = f"{naming.gateway}/32", naming.network
    # A node that is cut off from its peers still talks to this machine, which has an address among
    # theirs; unless it is cut off from everybody too, so those rules come first.
    for cut in sorted(set(wanted), key=lambda cut: (cut.other == peers, cut)):
        if cut.other == peers:
            lines.append(f"-A {chain} -s {cut.address} -d {machine} -j ACCEPT")
            lines.append(f"-A {chain} -s {machine} -d {cut.address} -j ACCEPT")
        lines.append(f"-A {chain} -s {cut.address} -d {cut.other} -j DROP")
        lines.append(f"-A {chain} -s {cut.other} -d {cut.address} -j DROP")
    # A host that forwards nothing by default, as Docker's, must still let the lab's packets pass.
    lines += [
        f"-A {chain} -i {naming.bridge} -j ACCEPT",
        f"-A {chain} -o {naming.bridge} -j ACCEPT",
    ]
    lines += ["COMMIT", "*nat", f":{chain} - [0:0]"]
    lines += [f"-A {chain} -s {naming.network} ! -d {naming.network} -j MASQUERADE", "COMMIT", ""]
    run([f"{backend()}-restore", "-w", "--noflush"], stdin="\n".join(lines))
    for table, hooks in _HOOKS.items():
        for hook in hooks:
            jump = [hook, "-j", chain]
            if attempt([backend(), "-w", "-t", table, "-C", *jump]).returncode != 0:
                run([backend(), "-w", "-t", table, "-I", *jump])


def cuts(naming: Naming) -> list[Cut]:
    """Return the cuts in force."""
    listed = attempt([backend(), "-w", "-S", naming.chain])
    found = []
    for line in listed.stdout.splitlines():
        words = line.split()
        if "DROP" in words:
            source = words[words.index("-s") + 1].removesuffix("/32") if "-s" in words else ANYWHERE
            target = words[words.index("-d") + 1].removesuffix("/32") if "-d" in words else ANYWHERE
            found.append(Cut(source, target))
    # Each cut is written both ways; the first of each pair is the cut.
    return found[::2]


def remove(naming: Naming) -> None:
    """Remove every rule and chain of the lab."""
    try:
        program = [backend(), "-w"]
    except LabError:
        # No iptables, no rules.
        return
    for table, hooks in _HOOKS.items():
        chosen = [*program, "-t", table]
        if attempt([*chosen, "-S", naming.chain]).returncode != 0:
            continue
        for hook in hooks:
            while attempt([*chosen, "-D", hook, "-j", naming.chain]).returncode == 0:
                pass
        run([*chosen, "-F", naming.chain])
        run([*chosen, "-X", naming.chain])
