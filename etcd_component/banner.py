"""Machines whose SSH port accepts a connection and then says nothing.

A machine that hangs (out of memory, its disk gone) is like that: the kernel accepts, sshd never
answers. The provider's limits are for dialling only, and the official plugin then waits for as long
as the port is open. So the program looks first. A port that refuses or drops is the provider's.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from etcd_component.inventory import Plan
from etcd_component.ssh import Login
from etcd_component.ssh.offer import GREETING

SECONDS = 2.0
"""For everything: an SSH server shows its banner before it does anything else."""

_CONNECT_SECONDS = 1.0
_LONGEST = 8192
_MONITOR = "the monitor"


@dataclass
class _Port:
    """One SSH port, and which machines are reached through it."""

    host: str
    port: int
    users: list[str]
    is_bastion: bool
    mute: bool = False
    done: threading.Event = field(default_factory=threading.Event)

    def look(self, deadline: float) -> None:
        """Find out whether it is mute; whatever else is wrong with it is not told here."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self.host, self.port), _CONNECT_SECONDS) as connected,
        ):
            self.mute = True
            self.mute = not _says_who_it_is(connected, deadline)
        self.done.set()

    def complaint(self) -> str:
        """What is wrong, where, and what to do."""
        place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        users = ", ".join(self.users)
        if self.is_bastion:
            who = f"the bastion {place} of {users}"
            cure = "(etcd:sshBastion, or ProxyJump in ~/.ssh/config)"
        elif self.users == [_MONITOR]:
            who = f"{users} at {place}"
            cure = "in etcd_monitor; one that is gone for good gets `lost: true` there"
        else:
            who = f"{users} at {place}"
            cure = "(ansible_host, ansible_port); one that is gone for good gets `etcd_lost: true`"
        return (
            f"{who} accepts connections but shows no SSH banner within {SECONDS:.0f} seconds: the"
            " machine hangs, or another program has that port. Restart the machine, or correct its"
            f" address or port {cure}"
        )


class Banners:
    """Looks at the ports of all machines of a plan at once, while the program does other things."""

    def __init__(self, plan: Plan) -> None:
        """Begin. Machines that are lost are not dialled."""
        self._deadline = time.monotonic() + SECONDS
        self._ports = _ports(plan)
        for port in self._ports:
            # Daemons: a run that ends for another reason does not wait for them.
            threading.Thread(target=port.look, args=[self._deadline], daemon=True).start()

    def complaints(self) -> list[str]:
        """A sentence for each port that is mute, when all have answered or the time is up."""
        for port in self._ports:
            port.done.wait(max(0.0, self._deadline - time.monotonic()))
        return [port.complaint() for port in self._ports if port.mute]


def _ports(plan: Plan) -> list[_Port]:
    found: dict[tuple[str, int], _Port] = {}
    for name, login in _logins(plan):
        port = found.setdefault(
            login.door, _Port(*login.door, [], is_bastion=login.bastion is not None)
        )
        port.users.append(name)
    return list(found.values())


def _logins(plan: Plan) -> Iterator[tuple[str, Login]]:
    for cluster in plan.clusters:
        for one in cluster.instances:
            if not one.lost:
                yield one.name, one.node.login
    if plan.monitor and not plan.monitor.lost:
        yield _MONITOR, plan.monitor.node.login


def _says_who_it_is(connected: socket.socket, deadline: float) -> bool:
    """Whether the banner comes in time; the end of the connection is an answer too."""
    # To sshd's log it is then somebody who left, not something broken.
    with contextlib.suppress(OSError):
        connected.sendall(GREETING)
    said = b""
    while b"\nSSH-" not in b"\n" + said and len(said) < _LONGEST:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        connected.settimeout(left)
        try:
            more = connected.recv(_LONGEST)
        except TimeoutError:
            return False
        except OSError:
            return True
        if not more:
            return True
        said += more
    return True
