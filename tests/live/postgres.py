"""A PostgreSQL pair under Patroni on two nodes of the lab, and an address that follows its leader.

What they know of etcd is what `make client` wrote, and nothing else. Patroni's own times are its
defaults: ttl 30, loop_wait 10, retry_timeout 10 seconds.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab import Lab
from tests.live.nodes import shell

NUMBERS = (20, 21)
"""Far from the nodes of etcd, which other tests count."""
HELD = 99
"""Last part of the address that the leader's node holds."""

TTL, LOOP_WAIT, RETRY_TIMEOUT = 30, 10, 10
ELECTED = TTL + 2 * LOOP_WAIT + RETRY_TIMEOUT
"""Seconds until another leads: the key of a dead one ends, and the other looks and takes it."""

PATRONI = "/etc/patroni"
CERTIFICATES = "/etc/patroni/etcd"
VIP_CERTIFICATES = "/etc/vip-manager"

_OWN_SETTINGS = """\
name: node{number}
restapi: {{listen: '{address}:8008', connect_address: '{address}:8008'}}
bootstrap:
  dcs:
    postgresql:
      use_pg_rewind: true
      parameters: {{shared_buffers: 16MB}}
  initdb: [{{encoding: UTF8}}, {{locale: C.UTF-8}}, data-checksums]
postgresql:
  listen: '*:5432'
  connect_address: {address}:5432
  data_dir: /var/lib/postgresql/pair
  bin_dir: /usr/lib/postgresql/15/bin
  basebackup: {{checkpoint: fast}}
  pg_hba:
    - local all all trust
    - host all all samenet scram-sha-256
    - host replication all samenet scram-sha-256
  authentication:
    superuser: {{username: postgres, password: of-the-lab}}
    replication: {{username: replicator, password: of-the-lab}}
    rewind: {{username: rewinder, password: of-the-lab}}
"""

_HELD_ADDRESS = """\
ip: {ip}
netmask: 24
interface: eth0
"""


@dataclass(frozen=True)
class Member:
    """What a member says of itself at its REST API."""

    name: str
    role: str
    state: str
    timeline: int
    started: str
    """When its PostgreSQL was started."""
    seen: float
    """When it last reached etcd."""


@dataclass(frozen=True)
class Pair:
    """Two members, and a vip-manager beside each."""

    lab: Lab

    # --- what is put on the nodes

    def receive(self, directory: Path) -> None:
        """Give Patroni what `make client` wrote, at the place that it names.

        What it needs to learn of a new login is a reload; certificates it reads at each connection.
        """
        for number in NUMBERS:
            self._copy(directory, number, CERTIFICATES)
            shell(
                self.lab,
                number,
                f"chown -R postgres: {CERTIFICATES}"
                f" && ln -sf etcd/patroni.yml {PATRONI}/etcd.yml"
                " && systemctl try-reload-or-restart patroni",
            )

    def receive_vip(self, directory: Path) -> None:
        """Give vip-manager its files, and say which address it holds.

        It reads them when it starts. Stopped, it lets go of the address.
        """
        address = _HELD_ADDRESS.format(ip=self.held)
        for number in NUMBERS:
            self._copy(directory, number, VIP_CERTIFICATES)
            shell(
                self.lab,
                number,
                f"cat - {VIP_CERTIFICATES}/vip-manager.yml >/etc/default/vip-manager.yml"
                " && systemctl try-restart vip-manager",
                stdin=address,
            )

    def _copy(self, directory: Path, number: int, place: str) -> None:
        """Copy a directory as `scp -p` does."""
        packed = subprocess.run(
            ["tar", "-C", directory, "-c", "."], check=True, capture_output=True
        ).stdout
        shell(self.lab, number, f"mkdir -p {place}")
        subprocess.run(
            self.lab.exec_command(number, ["tar", "-C", place, "--no-same-owner", "-x"]),
            input=packed,
            check=True,
        )

    # --- what runs there

    def start(self) -> None:
        """Start both programs, also at each boot; wait until one leads and one follows."""
        for number in NUMBERS:
            settings = _OWN_SETTINGS.format(number=number, address=self.lab.naming.address(number))
            shell(self.lab, number, f"cat >{PATRONI}/postgresql.yml", stdin=settings)
        self.everywhere("systemctl -q enable --now patroni vip-manager")
        self.until(lambda: self.is_whole, "a leader and a replica", ELECTED)

    def everywhere(self, script: str) -> list[str]:
        """What a script prints on each node."""
        with ThreadPoolExecutor() as pool:
            return [*pool.map(lambda number: shell(self.lab, number, script), NUMBERS)]

    def patronictl(self, *words: str) -> str:
        """What patronictl says on a node that runs."""
        number = next(one for one in NUMBERS if self._ask(one))
        done = self.lab.exec(number, "patronictl", "-c", PATRONI, *words)
        return done.stdout

    def listed(self) -> dict[str, tuple[str, str]]:
        """`patronictl list`, which asks etcd itself: names and states by role."""
        found = json.loads(self.patronictl("list", "-f", "json"))
        return {one["Role"]: (one["Member"], one["State"]) for one in found}

    # --- what is seen

    @property
    def held(self) -> str:
        """The address that the leader's node holds."""
        return self.lab.naming.address(HELD)

    def members(self) -> list[Member]:
        """Those that answer."""
        return [one for number in NUMBERS if (one := self._ask(number))]

    def _ask(self, number: int) -> Member | None:
        url = f"http://{self.lab.naming.address(number)}:8008/patroni"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            said = json.load(error)
        except (OSError, ValueError):
            return None
        return Member(
            f"node{number}",
            said.get("role", ""),
            said.get("replication_state") or said.get("state", ""),
            said.get("timeline", 0),
            said.get("postmaster_start_time", ""),
            said.get("dcs_last_seen", 0),
        )

    @property
    def leader(self) -> str | None:
        """Name of the member that leads; None if there is none."""
        leaders = [one.name for one in self.members() if one.role in ("primary", "master")]
        assert len(leaders) < 2, f"two lead: {leaders}"
        return leaders[0] if leaders else None

    @property
    def is_whole(self) -> bool:
        """Whether one leads and the other streams from it."""
        return sorted((one.role, one.state) for one in self.members()) == [
            ("primary", "running"),
            ("replica", "streaming"),
        ]

    def assert_whole(self, leader: str) -> None:
        """`patronictl list` has this leader and a replica that streams from it."""
        other = next(f"node{one}" for one in NUMBERS if f"node{one}" != leader)
        wanted = {"Leader": (leader, "running"), "Replica": (other, "streaming")}
        self.until(lambda: self.is_whole, "a leader and a replica")
        # Members write down how they are when they look, and that is every ten seconds.
        self.until(lambda: self.listed() == wanted, f"{wanted} in etcd")

    def holders(self) -> list[str]:
        """Names of the nodes that hold the address."""
        shown = f"ip -brief address show dev eth0 | grep -c '{self.held}/' || :"
        return [
            f"node{one.number}"
            for one in self.lab.nodes()
            if one.number in NUMBERS and one.running and shell(self.lab, one.number, shown) == "1"
        ]

    def until_held_by(self, name: str) -> None:
        """Wait until this node holds the address and no other does."""
        self.until(lambda: self.holders() == [name], f"the address on {name}")

    def sql(self, statement: str) -> str:
        """What the leader says, at the address that it holds."""
        return shell(
            self.lab,
            NUMBERS[0],
            f"PGPASSWORD=of-the-lab psql -h {self.held} -U postgres -qAt",
            stdin=statement,
        )

    def until(self, reached: Callable[[], bool], what: str, seconds: float = ELECTED) -> float:
        """Wait for something; return the seconds that it took."""
        begun = time.monotonic()
        while not reached():
            if time.monotonic() - begun > seconds:
                raise AssertionError(f"no {what} after {seconds} s:\n{self.said()}")
            time.sleep(0.5)
        return time.monotonic() - begun

    def said(self, lines: int = 30) -> str:
        """The end of what Patroni and vip-manager said on each node that runs."""
        script = f"journalctl -q -o cat --no-pager -n {lines} -u patroni -u vip-manager"
        running = {one.number for one in self.lab.nodes() if one.running}
        return "\n".join(
            f"--- node{number}\n{shell(self.lab, number, script)}"
            for number in NUMBERS
            if number in running
        )

    @contextmanager
    def undisturbed(self, what: str) -> Iterator[None]:
        """Meanwhile one member leads all the time, is not started again, and keeps its timeline.

        Both are asked all the time. Prints for how long at most a member had not reached etcd.
        """
        watch = Watch(self)
        before = watch.start()
        begun = time.monotonic()
        try:
            yield
        finally:
            watch.stop()
        assert watch.leaders == {before}, f"{what}: {watch.leaders}\n{self.said()}"
        assert watch.longest_silence < TTL
        print(f"{what}, {time.monotonic() - begun:.0f} s:")
        print(f"  {before.name} led all the time, as {watch.count} looks saw;")
        print(f"  etcd was out of its reach for {watch.longest_silence:.1f} s at most")


@dataclass
class Watch:
    """Looks at who leads, twice a second."""

    pair: Pair
    leaders: set[Member | None] = field(default_factory=set)
    longest_silence: float = 0
    count: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> Member:
        """Look for the first time, and then again and again; return who leads."""
        first = self._look()
        assert first is not None, "nobody leads"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return first

    def stop(self) -> None:
        """Look for the last time."""
        self._over.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._over.wait(0.5):
            self._look()

    def _look(self) -> Member | None:
        leader = None
        for one in self.pair.members():
            self.longest_silence = max(self.longest_silence, time.time() - one.seen)
            if one.role == "primary":
                leader = replace(one, seen=0)
        self.leaders.add(leader)
        self.count += 1
        return leader
