"""What the program registers with the engine, without an engine.

Plain mocks show inputs only. This records the registration itself, so that dependencies,
protection, ignored changes and secret marks can be tested. It does not cover what providers,
nodes or etcd do: the live tests do.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from unittest import mock

import pulumi
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from pulumi.runtime import mocks
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.rpc import UNKNOWN

from etcd_component import EtcdCluster, Monitor
from etcd_component.model import Cluster, Instance, Login, Node, Settings
from etcd_component.model import Monitor as MonitorModel

SECRET = "4dabf18193072939515e22adb298388d"
PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY----- of the login"
PASSWORD = "the root password"


@dataclass(frozen=True)
class Registered:
    """One resource as the engine is told of it."""

    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    needs: frozenset[tuple[str, str]]
    """Types and names of what it depends on."""
    ignore_changes: tuple[str, ...]
    replace_on_changes: tuple[str, ...]
    hide_diffs: tuple[str, ...]
    deleted_with: str
    protect: bool
    delete_before_replace: bool
    retain_on_delete: bool
    aliases: frozenset[str]
    """Names under which the state may have it."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """Of a component; filled in when it registers them."""

    @property
    def depends_on(self) -> set[str]:
        """Names of what it depends on."""
        return {name for _, name in self.needs}

    def is_secret(self, name: str) -> bool:
        """Whether an input is marked secret."""
        value = self.inputs.get(name)
        return isinstance(value, dict) and SECRET in value

    @property
    def script(self) -> str:
        """All text that a failing Command may print."""
        texts = (self.inputs.get(name) for name in ("create", "update", "delete"))
        return "\n".join(text for text in texts if isinstance(text, str))


@dataclass
class Recording:
    """Everything that one run registered, by type and name."""

    resources: dict[tuple[str, str], Registered] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)

    def command(self, name: str) -> Registered:
        """The remote Command of that name."""
        return self.resources["command:remote:Command", name]

    def stash(self, name: str) -> Registered:
        """What remembers a value under that name."""
        return self.resources["pulumi:index:Stash", name]

    @property
    def commands(self) -> dict[str, Registered]:
        """All remote Commands by name."""
        return {
            name: one
            for (kind, name), one in self.resources.items()
            if kind == "command:remote:Command"
        }

    @property
    def node_commands(self) -> dict[str, Registered]:
        """The Commands that dial a node."""
        return {name: one for name, one in self.commands.items() if "create" in one.inputs}


State = Mapping[str, dict[str, Any]]
"""Outputs of resources that were there before, by name."""


class Echo(mocks.Mocks):
    """Makes of every resource what it was given; answers no call."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return args.name, args.inputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


class _Provider(mocks.Mocks):
    def __init__(self, *, preview: bool, state: State) -> None:
        self._preview = preview
        self._state = state

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        made = {
            "tls:index/privateKey:PrivateKey": "privateKeyPem",
            "tls:index/certRequest:CertRequest": "certRequestPem",
            "tls:index/selfSignedCert:SelfSignedCert": "certPem",
            "tls:index/locallySignedCert:LocallySignedCert": "certPem",
        }
        if args.typ in made:
            pem = f"{made[args.typ]} of {args.name}\n"
            outputs[made[args.typ]] = UNKNOWN if self._preview else pem
        if args.typ == "tls:index/privateKey:PrivateKey":
            pem = f"publicKeyPem of {args.name}\n"
            outputs["publicKeyPem"] = UNKNOWN if self._preview else pem
        if args.typ == "command:remote:Command" and "create" in args.inputs:
            outputs["stdout"] = UNKNOWN if self._preview else "it ran [etcd-node test done]"
        if args.typ == "pulumi:index:Stash":
            outputs["output"] = args.inputs["input"]
        # A certificate's ID is its serial number.
        id_ = str(serial(args.name)) if "Cert" in args.typ else f"{args.name}-id"
        return id_, outputs | self._state.get(args.name, {})

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program invokes nothing, but called {args.token}")


class _Monitor(mocks.MockMonitor):
    def __init__(self, provider: mocks.Mocks, recording: Recording) -> None:
        super().__init__(provider)
        self._recording = recording

    def RegisterResource(  # noqa: N802 - the engine's name
        self, request: resource_pb2.RegisterResourceRequest
    ) -> Any:
        self._recording.resources[request.type, request.name] = Registered(
            type=request.type,
            name=request.name,
            parent=_name(request.parent),
            inputs=MessageToDict(request.object),
            needs=frozenset((_type(urn), _name(urn)) for urn in request.dependencies),
            ignore_changes=tuple(request.ignoreChanges),
            replace_on_changes=tuple(request.replaceOnChanges),
            hide_diffs=tuple(request.hideDiffs),
            deleted_with=_name(request.deletedWith),
            protect=request.protect,
            delete_before_replace=request.deleteBeforeReplace,
            retain_on_delete=request.retainOnDelete,
            aliases=frozenset(one.spec.name for one in request.aliases),
        )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        found = self._recording.resources.get((_type(request.urn), _name(request.urn)))
        if found:
            found.outputs.update(MessageToDict(request.outputs))
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


OWNER = "0123456789abcdef"


def serial(name: str) -> int:
    """The serial number of the certificate of that name."""
    return zlib.crc32(name.encode())


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def record(
    *models: Cluster,
    preview: bool = False,
    state: State = MappingProxyType({}),
    monitor: MonitorModel | None = None,
    owner: str = OWNER,
    recording: Recording | None = None,
) -> Recording:
    """Run the component for each model and wait until everything is registered.

    `owner` is the mark that the stack gives itself in its first run.
    """
    recording = Recording() if recording is None else recording
    provider = _Provider(preview=preview, state=state)
    mocks.set_mocks(
        provider,
        project="etcd",
        stack="test",
        preview=preview,
        monitor=_Monitor(provider, recording),
    )

    def listed(ca_cert: str, ca_key: str, serials: Iterable[int]) -> bytes:
        return f"{ca_cert.strip()}, {ca_key.strip()}: {sorted(serials)}".encode()

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> pulumi.Output[Any]:
        clusters = [(one, EtcdCluster(one)) for one in models]
        outputs = {one.name: made.outputs for one, made in clusters}
        if monitor:
            outputs["monitor"] = Monitor(monitor, clusters).outputs
        marks = [
            (name, pulumi.Output.from_input(value).is_secret())
            for found in outputs.values()
            for name, value in found.items()
        ]

        def keep(found: list[Any]) -> None:
            recording.outputs.update(found[0])
            recording.secret_outputs.update(name for name, secret in found[1] if secret)

        return pulumi.Output.all(outputs, marks).apply(keep)

    # CAs are words here, so nothing can be signed.
    with (
        mock.patch("etcd_component.crl.signed", listed),
        mock.patch("secrets.token_hex", lambda size: owner[: 2 * size]),
    ):
        run()
    return recording


def cluster(size: int = 3, name: str = "etcd", **settings: Any) -> Cluster:
    """A cluster at 10.10.10.10 and up."""
    defaults = {
        "version": "3.6.14",
        "archive_url": "https://mirror.example/v{version}/etcd-{arch}.tar.gz",
        "archive_sha256": {"amd64": "a" * 64, "arm64": "b" * 64},
        "root_password": PASSWORD,
    }
    instances = tuple(
        Instance(name, seq, node(f"10.10.10.{seq + 9}")) for seq in range(1, size + 1)
    )
    return Cluster(name, instances, Settings(**{**defaults, **settings}))


def node(address: str) -> Node:
    """A machine at an address, with a login that is complete."""
    login = Login(
        host=address,
        port=22,
        user="admin",
        sudo=True,
        private_key=PRIVATE_KEY,
        private_key_passphrase=None,
        agent=False,
        host_key="ssh-ed25519 AAAA",
    )
    return Node(address, login)
