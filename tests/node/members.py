"""Members on lab nodes, driven through etcd-node by hand: what Pulumi does, without Pulumi."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.client
import io
import json
import socket
import ssl
import subprocess
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cryptography import x509

from bench.client import Access
from etcd_component import contact, exporter, packing, render
from etcd_component.agent import install_program
from etcd_component.model import Cluster, Instance, Login, Node, Settings
from tests.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lab import Lab

PASSWORD = 'it\'s a "$ecret" \\ pässword'
VERSION = "3.6.16"
OWNER = "0123456789abcdef"
"""The mark of the stack whose members these are."""
_FIRST_NODE = 10

Done = subprocess.CompletedProcess[str]
_READING = ("status", "facts", "stamp", "metrics", "answer", "help")
Result = TypeVar("Result")


def credentials(*passwords: str) -> str:
    """Root's login as etcd-node reads it: the wanted password, and the one before."""
    chosen = passwords or (PASSWORD,)
    return "".join(json.dumps({"name": "root", "password": one}) + "\n" for one in chosen)


def in_parallel(do: Callable[[int], Result], seqs: Iterable[int]) -> list[Result]:
    """Do the same for several instances at once."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(do, seqs))


def eventually(what: str, holds: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until `holds` returns something true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"after {seconds} s it is still not so that {what}"
        time.sleep(0.1)
    return found


def delivery(bundle: str, certificate: str, key: str, revoked: bytes) -> str:
    """What `etcd-node tls` takes."""
    listed = base64.b64encode(revoked).decode()
    return (
        f"--- ca.crt\n{bundle}--- server.crt\n{certificate}--- server.key\n{key}"
        f"--- revoked.crl\n{listed}\n"
    )


HURRY: dict[str, float] = {
    "start": 12,
    **dict.fromkeys(("peers", "gate", "settle", "access", "downgrade", "raft_snapshot"), 4),
    **dict.fromkeys(("login", "members", "leave"), 2),
}
"""Waits of etcd-node for others, shortened for tests in which nobody comes."""

_INTERPRETER = "/usr/bin/python3"


@functools.cache
def program(inject: str = "") -> bytes:
    """The program for nodes, as it is installed there: with the byte code of this Python.

    `inject` is Python that runs before anything of it: what it puts in the place of a function is
    what all modules import.
    """
    sent = packing.agent()
    if inject:
        sent = _injected(sent, inject)
    return install_program.installed(sent, _INTERPRETER, Path(render.NODE_PROGRAM))


def _injected(sent: bytes, inject: str) -> bytes:
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(sent)) as archive,
        zipfile.ZipFile(changed, "w") as target,
    ):
        for name in archive.namelist():
            start = f"{inject}\n".encode() if name == "__main__.py" else b""
            target.writestr(name, start + archive.read(name))
    return changed.getvalue()


def killed_at(function: str, arguments: str = "", *, when: str = "call") -> str:
    """What to inject so that a run is killed when it calls this `module.function`.

    With `when` "return", when that has been done. `arguments`: a regular expression that their
    representation has.
    """
    module, _, name = function.rpartition(".")
    return f"""\
import os, re, sys
def _watch(frame, event, _):
    code = frame.f_code
    if (
        event == {when!r}
        and code.co_name == {name!r}
        and code.co_filename.endswith("/{module}.py")
        and re.search({arguments!r}, repr(frame.f_locals))
    ):
        os.kill(os.getpid(), 9)
sys.setprofile(_watch)
"""


@dataclass
class Members:
    """A cluster's members on the nodes of a lab, the first instance on the first node.

    `size` instances are declared; the tests say which of them are put on their nodes.
    """

    lab: Lab
    size: int
    name: str = "etcd"
    version: str = VERSION
    options: dict[str, Any] = field(default_factory=dict)
    token_keys: tuple[str, str] | None = None
    """The pair that signs tokens, private and public."""
    authority: Authority = field(default_factory=Authority)
    learners: frozenset[int] = frozenset()
    client_port: int = 2379
    peer_port: int = 2380
    data_dir: str = "/data/etcd"
    addresses: Callable[[int], str] | None = None
    first_node: int = _FIRST_NODE
    revoked: set[int] = field(default_factory=set)
    """Serial numbers of certificates that members refuse."""
    waits: dict[str, float] = field(default_factory=dict)
    """Of etcd-node for others, in seconds, besides the usual ones."""
    inject: str = ""
    """Of the program that is sent, see `program`."""
    exporter_port: int = 0
    textfile_dir: str | None = None
    owner: str = OWNER

    # ---- what is declared

    @property
    def everyone(self) -> range:
        return range(1, self.size + 1)

    @property
    def model(self) -> Cluster:
        return Cluster(
            self.name,
            tuple(
                Instance(
                    self.name,
                    seq,
                    _node(self.address(seq)),
                    seq in self.learners,
                    self.data_dir,
                    self.client_port,
                    self.peer_port,
                    exporter_port=self.exporter_port,
                    textfile_dir=self.textfile_dir,
                )
                for seq in self.everyone
            ),
            Settings(
                self.version,
                self.lab.archive_url,
                options=self.options,
                auth_token="jwt" if self.token_keys else "simple",
            ),
        )

    def address(self, seq: int) -> str:
        return self.addresses(seq) if self.addresses else self.lab_address(seq)

    def lab_address(self, seq: int) -> str:
        return self.lab.address(self.node(seq) - _FIRST_NODE)

    def instance(self, seq: int) -> Instance:
        return self.model.instances[seq - 1]

    def node(self, seq: int) -> int:
        return self.first_node + seq - 1

    def urls(self, seqs: Iterable[int]) -> str:
        return ",".join(f"{self.instance(seq).name}={self.instance(seq).peer_url}" for seq in seqs)

    # ---- on the node

    def shell(self, seq: int, script: str, *, stdin: str = "", check: bool = True) -> str:
        """Run a shell script on the instance's node; return what it printed."""
        done = self.lab.exec(self.node(seq), "sh", "-c", script, stdin=stdin, check=check)
        return done.stdout.strip()

    def run(
        self, seq: int, subcommand: str, *options: str, stdin: str = "", check: bool = True
    ) -> Done:
        """Run etcd-node on the instance's node, for that instance."""
        meant = self.meant(seq, subcommand, options)
        words = [*self.etcd_node(subcommand), *meant, *options]
        done = self.lab.exec(self.node(seq), *words, stdin=stdin, check=check)
        if done.returncode == 0 and subcommand not in _READING:
            # Its last line is for the program that started it, and says nothing new.
            assert contact.proves(done.stdout), done.stdout
            done.stdout = done.stdout.rstrip().rpartition("\n")[0] + "\n"
        return done

    def begin(
        self, seq: int, subcommand: str, *options: str, stdin: str = ""
    ) -> subprocess.Popen[str]:
        """Run etcd-node in the background."""
        meant = self.meant(seq, subcommand, options)
        words = [*self.etcd_node(subcommand), *meant, *options]
        running = subprocess.Popen(
            self.lab.exec_command(self.node(seq), words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        stream = cast("Any", running.stdin)
        stream.write(stdin)
        stream.close()
        running.stdin = None
        return running

    def etcd_node(self, subcommand: str) -> list[str]:
        """The beginning of a command line."""
        waits = ["env", f"ETCD_NODE_WAITS={json.dumps(self.waits)}"] if self.waits else []
        return [*waits, render.NODE_PROGRAM, subcommand, "--cluster", self.name]

    def send_program(
        self, seq: int, text: bytes | None = None, path: str = render.NODE_PROGRAM
    ) -> None:
        """Put the program, or another one, on the node, unless it is there."""
        content = text or program(self.inject)
        checked = f"{hashlib.sha256(content).hexdigest()} *{path}"
        there = f"echo '{checked}' | sha256sum -c --status 2>/dev/null && echo yes"
        if self.shell(seq, there, check=False) != "yes":
            self.shell(
                seq,
                f"set -e; rm -f {path}; base64 -d >{path}; chmod 755 {path}",
                stdin=base64.b64encode(content).decode(),
            )

    def meant(self, seq: int, subcommand: str, options: Sequence[str] = ()) -> list[str]:
        """How Pulumi says which instance of which stack a command means."""
        if subcommand in {"status", "facts", "metrics", "preflight"} or "--owner" in options:
            return []
        access = {"access", "drop-role", "drop-user", "declare"}
        flag = "--instance" if subcommand in access else "--name"
        return ["--owner", self.owner, flag, self.instance(seq).name]

    def by_hand(self, seq: int, subcommand: str, *options: str, stdin: str = "") -> Done:
        """Run etcd-node as a person does, with just these options."""
        words = [*self.etcd_node(subcommand), *options]
        return self.lab.exec(self.node(seq), *words, stdin=stdin, check=False)

    def claim(self, seq: int, *options: str, check: bool = True) -> Done:
        """Find the node fit, and claim it for the instance."""
        one = self.instance(seq)
        place = {
            "--address": one.node.address,
            "--client-port": str(one.client_port),
            "--peer-port": str(one.peer_port),
            "--data": one.data_dir,
        }
        words = [word for pair in place.items() for word in pair]
        return self.run(seq, "claim", *words, *options, check=check)

    def prepare(self, seq: int) -> None:
        """Put program, claim, binaries, certificates, configuration and unit on the node."""
        self.send_program(seq)
        self.claim(seq)
        self.put_binary(seq)
        self.put_certificate(seq)
        self.put_config(seq)

    def prepare_all(self) -> None:
        in_parallel(self.prepare, self.everyone)

    def sha256(self, version: str | None = None) -> str:
        sums = (self.lab.home / "SHA256SUMS").read_text().splitlines()
        (found,) = (line.split()[0] for line in sums if f"-v{version or self.version}-" in line)
        return found

    def put_binary(self, seq: int, *options: str, check: bool = True) -> Done:
        chosen = options or ("--url", self.lab.archive_url, "--sha256-amd64", self.sha256())
        words = ["--version", self.version, *chosen]
        return self.run(seq, "binary", *words, stdin=credentials(), check=check)

    def put_certificate(self, seq: int, authority: Authority | None = None) -> None:
        """Issue a new certificate and put it in place."""
        signer = authority or self.authority
        certificate, key = signer.issue_member(self.instance(seq))
        pair = self.token_keys
        self.run(
            seq,
            "tls",
            stdin=delivery(signer.bundle, certificate, key, signer.crl(*self.revoked))
            + (f"--- token.pub\n{pair[1]}--- token.key\n{pair[0]}" if pair else ""),
        )

    def put_config(self, seq: int, *, check: bool = True) -> Done:
        """Put the configuration and the unit in place."""
        model, instance = self.model, self.instance(seq)
        return self.run(
            seq,
            "config",
            "--version",
            self.version,
            check=check,
            stdin=f"--- etcd.yaml\n{render.etcd_config(model, instance)}"
            f"--- {model.unit}\n{render.unit(model, instance)}",
        )

    def put_exporter(self, seq: int, *, check: bool = True) -> Done:
        """Have the node tell what etcd does not know."""
        units = exporter.units(self.model, self.instance(seq))
        text = "".join(f"--- {name}\n{text}" for name, text in units.items())
        return self.run(seq, "exporter", stdin=text, check=check)

    def change(self, **options: Any) -> None:
        """Put a changed configuration on all nodes; nothing restarts."""
        self.options = {**self.options, **{key.replace("_", "-"): options[key] for key in options}}
        in_parallel(self.put_config, self.everyone)

    def declare(self, version: str) -> None:
        """Put another version and the configuration for it on all nodes; nothing restarts."""
        self.version = version
        in_parallel(lambda seq: (self.put_binary(seq), self.put_config(seq)), self.everyone)

    def join_options(self, seq: int, founders: Iterable[int] = ()) -> list[str]:
        return [
            *("--version", self.version, "--token", "test"),
            *("--founders", self.urls(founders)),
            *("--peers", self.urls(one for one in self.everyone if one != seq)),
            *(["--learner"] if seq in self.learners else []),
        ]

    def join(
        self,
        seq: int,
        *options: str,
        founders: Iterable[int] = (),
        check: bool = True,
        password: str = PASSWORD,
    ) -> Done:
        """Take the seat, as the create of the seat does."""
        chosen = [*self.join_options(seq, founders), *options]
        return self.run(seq, "join", *chosen, stdin=credentials(password), check=check)

    def begin_join(self, seq: int, founders: Iterable[int] = ()) -> subprocess.Popen[str]:
        return self.begin(seq, "join", *self.join_options(seq, founders), stdin=credentials())

    def found(self, founders: Sequence[int] | None = None, *, access: bool = False) -> Members:
        """Prepare all declared instances and found the cluster with all of the founders at once."""
        chosen = founders or list(self.everyone)
        self.prepare_all()
        in_parallel(lambda seq: self.join(seq, founders=chosen), chosen)
        if access:
            self.access(chosen[0])
        return self

    def access(self, seq: int = 1, *passwords: str, check: bool = True) -> Done:
        others = self.model.peers_of(self.instance(seq))
        return self.run(
            seq, "access", "--peers", others, stdin=credentials(*passwords), check=check
        )

    def rollout(self, seq: int, *options: str, check: bool = True) -> Done:
        chosen = ["--version", self.version, *options]
        return self.run(seq, "rollout", *chosen, stdin=credentials(), check=check)

    def begin_rollout(self, seq: int) -> subprocess.Popen[str]:
        return self.begin(seq, "rollout", "--version", self.version, stdin=credentials())

    def leave(self, seq: int, *, check: bool = True) -> Done:
        return self.run(seq, "leave", stdin=credentials(), check=check)

    def uninstall(self, seq: int, *options: str) -> Done:
        return self.run(seq, "uninstall", *options)

    def kill_program(self, seq: int, subcommand: str) -> None:
        """Kill a running etcd-node, as a power cut or an impatient person does."""
        self.shell(seq, f"pkill -9 -f '[e]tcd-node {subcommand}'", check=False)

    # ---- what etcd and systemd say

    @property
    def unit(self) -> str:
        return self.model.unit

    def pid(self, seq: int) -> int:
        """etcd's process on the node; 0 when there is none."""
        return int(self.shell(seq, f"systemctl show -p MainPID --value {self.unit}"))

    def pids(self) -> list[int]:
        return in_parallel(self.pid, self.everyone)

    def is_active(self, seq: int) -> bool:
        return self.shell(seq, f"systemctl is-active {self.unit}", check=False) == "active"

    def stop(self, seq: int) -> None:
        self.shell(seq, f"systemctl stop {self.unit}")

    def starts(self, seq: int) -> bool:
        """Whether etcd is on its way, be it ready or not."""
        return self.pid(seq) != 0

    def wipe(self, seq: int) -> None:
        """Stop etcd and lose its data."""
        self.shell(seq, f"systemctl stop {self.unit}; rm -rf {self.data_dir}/member")

    @cached_property
    def _client_files(self) -> Path:
        place = Path(tempfile.mkdtemp(prefix="etcd-node-test-"))
        certificate, key = self.authority.issue_client()
        (place / "client.pem").write_text(certificate + key)
        (place / "ca.pem").write_text(self.authority.bundle)
        return place

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """A client of this cluster."""
        context = ssl.create_default_context(cafile=str(self._client_files / "ca.pem"))
        context.load_cert_chain(self._client_files / "client.pem")
        return context

    def client(self, *seqs: int) -> Access:
        """A client that may write, through these instances; all of them if none is named."""
        urls = [
            f"https://{self.lab_address(seq)}:{self.client_port}" for seq in seqs or self.everyone
        ]
        return Access(urls, self.tls, PASSWORD)

    def connect(self, seq: int, seconds: float = 10) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            self.lab_address(seq), self.client_port, context=self.tls, timeout=seconds
        )

    def call(
        self, seq: int, path: str, body: object = None, token: str | None = None
    ) -> dict[str, Any]:
        """One request to etcd's gateway through an instance."""
        connection = self.connect(seq)
        headers = {"Authorization": token} if token else {}
        connection.request("POST", f"/v3/{path}", json.dumps(body or {}), headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert isinstance(answer, dict)
        return answer

    def token(self, seq: int = 1, password: str = PASSWORD) -> str | None:
        """Root's login; None while authentication is off."""
        answer = self.call(seq, "auth/authenticate", {"name": "root", "password": password})
        if "not enabled" in answer.get("message", ""):
            return None
        return cast("str", answer["token"])

    def roles(self, by: int = 1) -> dict[str, str]:
        """The members as one of them sees them: role by name, `unstarted` without a name."""
        answer = self.call(by, "cluster/member/list", token=self.token(by))
        return {
            one.get("name", "unstarted"): "learner" if one.get("isLearner") else "voter"
            for one in answer["members"]
        }

    def member_id(self, seq: int, by: int = 1) -> str:
        answer = self.call(by, "cluster/member/list", token=self.token(by))
        wanted = self.instance(seq).peer_url
        (found,) = (one["ID"] for one in answer["members"] if wanted in one["peerURLs"])
        return cast("str", found)

    def status(self, seq: int, by: int | None = None) -> dict[str, Any]:
        return self.call(seq, "maintenance/status", token=self.token(by or seq))

    def cluster_ids(self) -> set[str]:
        return {self.status(seq)["header"]["cluster_id"] for seq in self.everyone}

    def leader(self, by: int = 1) -> int:
        """The number of the instance that leads."""
        leader = self.status(by)["leader"]
        answer = self.call(by, "cluster/member/list", token=self.token(by))
        (name,) = (one["name"] for one in answer["members"] if one["ID"] == leader)
        return int(name.rpartition("-")[2])

    def serial(self, seq: int, *, peer: bool = False) -> int:
        """Serial number of the certificate that a port serves."""
        port = self.peer_port if peer else self.client_port
        with (
            socket.create_connection((self.lab_address(seq), port), 10) as plain,
            self.tls.wrap_socket(plain, server_hostname=self.instance(seq).name) as encrypted,
        ):
            found = encrypted.getpeercert(binary_form=True)
        assert found is not None
        return x509.load_der_x509_certificate(found).serial_number

    def is_well(self) -> bool:
        """Whether all declared instances are voters that take part, without an alarm."""
        try:
            return (
                set(self.roles()) == {self.instance(seq).name for seq in self.everyone}
                and all(self.status(seq).get("leader") for seq in self.everyone)
                and "alarms"
                not in self.call(1, "maintenance/alarm", {"action": "GET"}, self.token(1))
                and len(self.cluster_ids()) == 1
            )
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return False

    def make_leader(self, seq: int) -> None:
        """Have this instance lead."""
        leader = self.leader(seq)
        if leader != seq:
            target = {"targetID": self.member_id(seq, leader)}
            self.call(leader, "maintenance/transfer-leadership", target, self.token(leader))
        eventually(f"instance {seq} leads", lambda: self.leader(seq) == seq)

    def put(self, seq: int, key: str, value: str) -> dict[str, Any]:
        body = {"key": _b64(key), "value": _b64(value)}
        return self.call(seq, "kv/put", body, self.token(seq))

    def get(self, seq: int, key: str) -> str | None:
        answer = self.call(seq, "kv/range", {"key": _b64(key)}, self.token(seq))
        kvs = answer.get("kvs", [])
        return base64.b64decode(kvs[0]["value"]).decode() if kvs else None


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _node(address: str) -> Node:
    return Node(address, Login(address, 22, "root", False, None, None, True, None))
