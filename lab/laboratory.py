"""A lab: what a person or a test does to real nodes."""

from __future__ import annotations

import contextlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab import (
    archive,
    base,
    check,
    disk,
    firewall,
    keys,
    monitor,
    mounts,
    network,
    node,
    postgres,
    releases,
    runlock,
    site,
    sysctls,
)
from lab.errors import LabError
from lab.firewall import ANYWHERE, Cut
from lab.naming import DEFAULT_NAME, FIRST_NUMBER, LAST_NUMBER, Naming, check_name, default_subnet
from lab.shell import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _silent(_: str) -> None:
    """Say nothing, as tests want it."""


@dataclass(frozen=True)
class Node:
    """A node as it is now.

    `cut_from` holds addresses, the lab's subnet (its peers) or 0.0.0.0/0 (everybody).
    """

    number: int
    name: str
    address: str
    running: bool
    cut_from: tuple[str, ...]


@dataclass(frozen=True)
class Lab:
    """One lab. It keeps no state of its own: every call looks at what is on the machine.

    A node is meant by its number (10), its name (node10) or its address. All methods raise
    LabError, a sentence for the person at the keyboard; `say` gets a line for each step.
    """

    naming: Naming
    say: Callable[[str], None] = _silent

    @classmethod
    def named(
        cls,
        name: str | None = None,
        subnet: str | None = None,
        say: Callable[[str], None] = _silent,
    ) -> Lab:
        """Return the lab of this name (at most 8 letters and digits) and subnet (such as 10.10.10).

        Left out, they come from the environment variable ETCD_LAB (NAME or NAME:SUBNET), then from
        the lab that runs by this name, then from the defaults: demo on 10.10.10, test on 10.10.11,
        any other on one made from its name.
        """
        wanted_name, _, wanted_subnet = os.environ.get("ETCD_LAB", "").partition(":")
        if name is not None and name != wanted_name:
            wanted_subnet = ""
        name = name or wanted_name or DEFAULT_NAME
        check_name(name)
        subnet = subnet or wanted_subnet
        running = _stored_subnet(name)
        if running and subnet and running != subnet:
            message = f"lab {name} runs with subnet {running}: use that, or take it down first."
            raise LabError(message)
        return cls(Naming(name, running or subnet or default_subnet(name)), say)

    @property
    def private_key(self) -> Path:
        """File of the key that root and admin of every node accept."""
        return keys.private_key(self.naming)

    @property
    def known_hosts(self) -> Path:
        """File with the host keys of all nodes."""
        return keys.known_hosts(self.naming)

    @property
    def site_file(self) -> Path:
        """Settings of this place for the Pulumi program, which finds them through ETCD_SITE."""
        return site.site_file(self.naming)

    @property
    def home(self) -> Path:
        """Directory of everything this lab keeps; `down` removes it."""
        return self.naming.home

    @property
    def archive_url(self) -> str:
        """URL of an etcd archive, with {version} and {arch} to be filled in."""
        return site.archive_url(self.naming)

    def address(self, position: int) -> str:
        """Address of the node at `position`, counted from 0: 10.10.10.10 for the first."""
        return self.naming.address(FIRST_NUMBER + position)

    def nodes(self) -> tuple[Node, ...]:
        """Return all nodes that have a disk, running or not, by number."""
        naming = self.naming
        numbers = sorted(naming.numbers_in(naming.nodes_home))
        cuts = firewall.cuts(naming) if numbers else []
        found = []
        for number in numbers:
            address = naming.address(number)
            ends = [cut.other for cut in cuts if cut.address == address]
            ends += [cut.address for cut in cuts if cut.other == address]
            running = node.running(naming, number)
            found.append(Node(number, f"node{number}", address, running, tuple(ends)))
        return tuple(found)

    def up(self, count: int) -> tuple[Node, ...]:
        """Have at least `count` nodes running, and the archive server; wait until all sshd answer.

        Nodes that run stay as they are. The first time, the base system and etcd are built. A lab
        that has a node for a monitor keeps it.
        """
        if not 1 <= count <= LAST_NUMBER - FIRST_NUMBER + 1:
            message = f"a lab has 1 to {LAST_NUMBER - FIRST_NUMBER + 1} nodes, not {count}."
            raise LabError(message)
        self._require_machine()
        with runlock.held(self.naming):
            with ThreadPoolExecutor() as pool:
                # Neither needs the other, and one waits for the network while the other computes.
                building = pool.submit(self._ensure_releases)
                base.ensure(self.say)
                numbers = [*range(FIRST_NUMBER, FIRST_NUMBER + count)]
                self._start_all(
                    [*numbers, *([monitor.NUMBER] if monitor.chosen(self.naming) else [])]
                )
                for version, release in building.result().items():
                    archive.publish(self.naming, version, release)
            if archive.ensure_serving(self.naming):
                self.say(f"archive server: started, {site.archive_url(self.naming)}")
            site.write(self.naming)
        return self.nodes()

    def up_with_monitor(self) -> None:
        """Have node 20 running, for a monitor, and say so in the site file.

        It runs another Debian than the others, and stays until it is removed. The first time, its
        system is built.
        """
        self._require_machine()
        with runlock.held(self.naming):
            disk.choose(self.naming, monitor.NUMBER, monitor.NAME)
            self._start_all([monitor.NUMBER])
            if self.site_file.exists():
                site.write(self.naming)

    def up_with_postgres(self, *numbers: int) -> None:
        """Have these nodes running, with PostgreSQL, Patroni and vip-manager on their disks.

        Such a node stays one until it is removed. The first time, its system is built.
        """
        self._require_machine()
        with runlock.held(self.naming):
            for number in numbers:
                disk.choose(self.naming, number, postgres.NAME)
            self._start_all(numbers)

    def remove(self, which: int | str) -> None:
        """Let a node die, and forget it: its disk, and what was on it instead of the base."""
        number = self._known(which)
        with runlock.held(self.naming):
            node.kill(self.naming, number)
            network.remove_namespace(self.naming, number)
            mounts.remove_tree(disk.home(self.naming, number))
            if self.site_file.exists():
                site.write(self.naming)
        self.say(f"node{number}: removed")

    def down(self) -> None:
        """Stop the lab and remove every trace of it, whatever state it is in. The caches stay."""
        with runlock.held(self.naming, last=True):
            naming = self.naming
            archive.stop(naming)
            for number in sorted(node.numbers(naming)):
                node.kill(naming, number)
            network.remove(naming)
            mounts.remove_tree(naming.home)
            sysctls.restore()
        self.say(f"lab {naming.name}: gone")

    def kill(self, which: int | str) -> None:
        """Let a node die at once, as in a power cut. It keeps its disk."""
        number = self._known(which)
        with runlock.held(self.naming):
            node.kill(self.naming, number)
        self.say(f"node{number}: killed")

    def start(self, which: int | str) -> None:
        """Boot a node that is down, with its disk, and wait for its sshd; a running one stays."""
        number = self._known(which)
        self._require_machine()
        with runlock.held(self.naming):
            self._start_all([number])

    def reboot(self, which: int | str) -> None:
        """Shut a node down in order, boot it again and wait for its sshd."""
        number = self._known(which)
        with runlock.held(self.naming):
            node.stop(self.naming, number)
            self._start_all([number])

    def wipe(self, which: int | str) -> None:
        """Empty the disk of a node that is down; it starts as a fresh machine with its address."""
        number = self._known(which)
        with runlock.held(self.naming):
            if node.running(self.naming, number):
                message = f"node{number} runs: kill it first, then wipe its disk."
                raise LabError(message)
            node.kill(self.naming, number)
            disk.empty(self.naming, number)
        self.say(f"node{number}: its disk is empty")

    def cut(self, which: int | str, other: int | str | None = None, *, peers: bool = False) -> None:
        """Let no packet pass between a node and everybody, this machine included.

        With `other`, between these two nodes only; with `peers`, between the node and all nodes,
        while this machine still reaches it.
        """
        naming = self.naming
        number = self._known(which)
        end = ANYWHERE
        if peers:
            end = naming.network
        elif other is not None:
            end = naming.address(naming.number(other))
        with runlock.held(naming):
            firewall.apply(naming, [*firewall.cuts(naming), Cut(naming.address(number), end)])
        self.say(f"node{number}: cut off from {'everybody' if end == ANYWHERE else end}")

    def heal(self, which: int | str) -> None:
        """Remove every cut of a node."""
        number = self._known(which)
        address = self.naming.address(number)
        with runlock.held(self.naming):
            left = [
                cut for cut in firewall.cuts(self.naming) if address not in (cut.address, cut.other)
            ]
            firewall.apply(self.naming, left)
        self.say(f"node{number}: connected")

    def exec(
        self, which: int | str, *command: str, stdin: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root in a node, also in one that is cut off; return status and output.

        With `check`, a status other than 0 raises LabError.
        """
        number = self._known(which)
        done = subprocess.run(
            [*node.enter(self.naming, number), *command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            message = f"`{' '.join(command)}` on node{number} failed: {said}"
            raise LabError(message)
        return done

    def exec_command(self, which: int | str, command: Sequence[str]) -> list[str]:
        """Return the host's command line that runs `command` as root in a node."""
        return [*node.enter(self.naming, self._known(which)), *command]

    def _known(self, which: int | str) -> int:
        number = self.naming.number(which)
        if not disk.home(self.naming, number).is_dir():
            message = f"lab {self.naming.name} has no node{number}: see `python3 -m lab status`."
            raise LabError(message)
        return number

    def _require_machine(self) -> None:
        check.install_packages(self.say)
        problems = check.findings()
        if problems:
            raise LabError("\n".join(problems))

    def _prepare(self) -> None:
        naming = self.naming
        naming.nodes_home.mkdir(parents=True, exist_ok=True)
        (naming.home / "subnet").write_text(naming.subnet)
        keys.ensure_login_key(naming)
        sysctls.ensure()
        network.ensure_bridge(naming)

    def _start_all(self, numbers: Sequence[int]) -> None:
        naming = self.naming
        self._prepare()
        down = [number for number in numbers if not node.running(naming, number)]
        if down:
            self.say(f"nodes: starting {', '.join(naming.address(number) for number in down)}")
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda number: node.boot(naming, number, self._system(number)), down))
        keys.write_known_hosts(naming)
        isolated = {cut.address for cut in firewall.cuts(naming) if cut.other == ANYWHERE}
        for number in numbers:
            if naming.address(number) in isolated:
                self.say(f"node{number}: cut off, so nobody waits for its sshd")
            else:
                self._wait_for(number)

    def _system(self, number: int) -> tuple[Path, ...]:
        """The layers below a node's disk."""
        match disk.chosen(self.naming, number):
            case postgres.NAME:
                return postgres.layers(self.say)
            case monitor.NAME:
                return monitor.layers(self.say)
        return (base.ensure(self.say),)

    def _wait_for(self, number: int) -> None:
        if node.hangs(self.naming, number):
            # Seen on a loaded machine: nspawn stands still before the node's systemd says a word.
            self.say(f"node{number}: says nothing, so it is started once more")
            node.boot(self.naming, number, self._system(number))
        node.wait_for_ssh(self.naming, number)

    def _ensure_releases(self) -> dict[str, Path]:
        return {version: releases.ensure(version, self.say) for version in releases.VERSIONS}


def _stored_subnet(name: str) -> str | None:
    with contextlib.suppress(OSError):
        return (Naming(name, "10.0.0").home / "subnet").read_text()
    return None
