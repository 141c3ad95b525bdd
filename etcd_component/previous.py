"""What the last update left: instances and Commands as Pulumi's state records them.

A program registers what it wants and never sees what it leaves out, so what an update is about to
delete, or is about to run again, is read from the state before anything is registered.
"""

import json
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import pulumi

from etcd_component import backend, contact
from etcd_component.recorded import COMMAND, is_revealed, is_secret, login_of, revealed
from etcd_component.ssh import Login

_SECONDS: Final = 15.0
"""For Pulumi to export the stack. A third of a second is usual; a backend may be far away, and what
is not known cannot be refused."""

STASH: Final = "pulumi:index:Stash"
_COPY: Final = "command:remote:CopyToRemote"
_INSTANCE: Final = "etcd:index:Instance"
_SAFEGUARD: Final = "etcd:index:Safeguard"

# What the engine and its language host tell this program is not for another `pulumi`. The
# configuration among it holds secrets in the clear.
_OURS: Final = frozenset(
    f"PULUMI_{name}"
    for name in (
        "CONFIG",
        "CONFIG_SECRET_KEYS",
        "DRY_RUN",
        "ENGINE",
        "MONITOR",
        "ORGANIZATION",
        "PARALLEL",
        "PROJECT",
        "PWD",
        "ROOT_DIRECTORY",
        "STACK",
    )
)


@dataclass(frozen=True, slots=True)
class Command:
    """A remote Command, or a file that was copied, as the state records it.

    `inputs` has nothing that is secret there: the connection always is, standard input wherever it
    holds a secret. Standard output never is: the program prints no secret.
    """

    name: str
    inputs: Mapping[str, Any]
    stdout: str
    secrets: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """The secret inputs in the clear; empty where Pulumi does not show them to this program."""
    retained: bool = False
    """Whether nothing is done when it goes."""

    @property
    def login(self) -> Login | None:
        """How it was logged in; None if that is not known."""
        return login_of({**self.inputs, **self.secrets}) if "connection" in self.secrets else None

    @property
    def stdin(self) -> str | None:
        """Standard input, which may hold secrets."""
        value: str | None = self.secrets.get("stdin", self.inputs.get("stdin"))
        return value

    def text(self, name: str) -> str:
        """An input that is text: `create`, `update`, `delete`, `stdin`; empty if it has none."""
        value = self.inputs.get(name)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as the last update left it."""

    name: str
    cluster: str
    address: str
    """Where it was first put; empty where the state does not say."""
    data_dir: str
    """Empty where the state does not say."""
    joined: bool
    """Whether the state has it as a member. One that was cut off in joining may be one, too."""
    begun: bool
    """Whether it began as a founder, and was waiting for others when the update ended."""
    contacted: bool
    """Whether anything was done on its machine, so that its removal does something there."""
    removes_data: bool
    """Whether its removal deletes its data, as things stand in the state."""
    lost: bool
    """Whether its machine is left alone when it is removed (`etcd_lost`)."""
    protected: bool
    """Whether the engine refuses to remove it (`etcd_safeguard`)."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Any resource of the state."""

    urn: str
    kind: str
    """Its type, such as `command:remote:Command`."""
    tainted: bool
    """Whether the next update is to replace it (`pulumi state taint`)."""

    @property
    def name(self) -> str:
        """The logical name."""
        return _name(self.urn)


@dataclass(frozen=True, slots=True)
class Previous:
    """What the last update left. An empty stack is known; UNKNOWN says nothing of any stack."""

    known: bool = True
    reason: str = ""
    """Why nothing is known."""
    instances: Mapping[str, Instance] = field(default_factory=lambda: MappingProxyType({}))
    """By name."""
    protected: frozenset[str] = frozenset()
    """The clusters that `etcd_safeguard` protects."""
    commands: Mapping[str, Command] = field(default_factory=lambda: MappingProxyType({}))
    """Remote Commands by logical name."""
    outputs: Mapping[tuple[str, str], Mapping[str, Any]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """What all other resources have put out, less secrets, by type and logical name."""
    copies: Mapping[str, Command] = field(default_factory=lambda: MappingProxyType({}))
    """Files that were copied to machines, by logical name."""
    resources: tuple[Resource, ...] = ()

    def command(self, name: str) -> Command | None:
        """The Command of that logical name, such as `etcd-1-node`; None if there is none."""
        return self.commands.get(name)

    def kept(self, name: str) -> Any:
        """The value that is remembered by that logical name; None if there is none, or secret."""
        return self.outputs.get((STASH, name), {}).get("output")

    def binds(self, name: str) -> bool:
        """Whether what is recorded of an instance holds for ever.

        A first run can be wrong: as long as it has not joined, it can be corrected. One that was
        cut off in joining may be a member all the same: its machine knows, and the others do.
        """
        instance = self.instances.get(name)
        return not self.known or (instance is not None and instance.joined)

    def formed(self, cluster: str) -> bool:
        """Whether a cluster has a member, as far as anybody knows."""
        return not self.known or any(one.joined for one in self.of_cluster(cluster))

    def of_cluster(self, name: str) -> tuple[Instance, ...]:
        """The instances of a cluster, by number."""
        found = (one for one in self.instances.values() if one.cluster == name)
        return tuple(sorted(found, key=lambda one: _number(one.name)))


UNKNOWN: Final = Previous(known=False, reason="nobody looked")
"""Nothing is known: not that there is nothing."""


def parse(exported: str) -> Previous:
    """What `pulumi stack export` prints, with secrets or without them.

    Raises ValueError if it is no export.
    """
    found = json.loads(exported)
    if not isinstance(found, dict) or not isinstance(found.get("deployment"), dict | None):
        raise ValueError("no export of a stack")  # noqa: TRY004
    resources = (found.get("deployment") or {}).get("resources") or []
    # What was replaced and is yet to be deleted is not what is there.
    there = [one for one in resources if not one.get("delete")]
    commands = {name: _command(name, one) for name, one in _of_type(there, COMMAND)}
    stashes = {
        name: (one.get("outputs") or {}).get("output") for name, one in _of_type(there, STASH)
    }
    lost = {name for name, one in _of_type(there, _INSTANCE) if one.get("retainOnDelete")}
    protected = {name for name, one in _of_type(there, COMMAND) if one.get("protect")}
    instances = {
        name: _instance(
            name,
            _name(one.get("parent", "")),
            commands,
            stashes.get(f"{name}-place"),
            lost,
            protected,
        )
        for name, one in _of_type(there, _INSTANCE)
    }
    safeguards = (name for name, one in _of_type(there, _SAFEGUARD) if one.get("protect"))
    return Previous(
        instances=MappingProxyType(instances),
        protected=frozenset(name.removesuffix("-safeguard") for name in safeguards),
        commands=MappingProxyType(commands),
        outputs=MappingProxyType(
            {
                (one["type"], _name(one["urn"])): _readable(one.get("outputs") or {})
                for one in there
                if one.get("type") != COMMAND
            }
        ),
        copies=MappingProxyType(
            {name: _command(name, one) for name, one in _of_type(there, _COPY)}
        ),
        resources=tuple(
            Resource(one["urn"], one.get("type", ""), bool(one.get("taint"))) for one in there
        ),
    )


def _of_type(
    resources: Iterable[Mapping[str, Any]], kind: str
) -> Iterable[tuple[str, Mapping[str, Any]]]:
    return ((_name(one["urn"]), one) for one in resources if one.get("type") == kind)


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _number(name: str) -> tuple[int, str]:
    digits = name.rpartition("-")[2]
    return (int(digits) if digits.isdecimal() else 0, name)


def _command(name: str, resource: Mapping[str, Any]) -> Command:
    outputs = _readable(resource.get("outputs") or {})
    stdout = outputs.get("stdout")
    given = resource.get("inputs") or {}
    return Command(
        name,
        MappingProxyType(_readable(given)),
        stdout if isinstance(stdout, str) else "",
        MappingProxyType(
            {key: revealed(value) for key, value in given.items() if is_revealed(value)}
        ),
        retained=bool(resource.get("retainOnDelete")),
    )


def _readable(properties: Mapping[str, Any]) -> dict[str, Any]:
    """All that is not secret, however deep that lies."""
    return {name: _open(value) for name, value in properties.items() if not is_secret(value)}


def _open(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _readable(value)
    if isinstance(value, list):
        return [_open(one) for one in value if not is_secret(one)]
    return value


def _instance(
    name: str,
    cluster: str,
    commands: Mapping[str, Command],
    place: Sequence[str] | None,
    lost: set[str],
    protected: set[str],
) -> Instance:
    node = commands.get(f"{name}-node")
    member = commands.get(f"{name}-member")
    rollout = commands.get(f"{name}-rollout")
    said = member.stdout if member else ""
    # What a founder says that waits for others stays in the state. Only members are rolled out.
    rolled_out = rollout is not None and contact.proves(rollout.stdout)
    only_began = contact.only_began(said) and not rolled_out
    address, data_dir = (*(place or ()), "", "")[:2]
    return Instance(
        name=name,
        cluster=cluster,
        address=address,
        data_dir=data_dir,
        joined=contact.proves(said) and not only_began,
        begun=only_began,
        contacted=node is not None,
        removes_data=node is not None and "--remove-data" in node.text("delete"),
        lost=name in lost,
        protected=f"{name}-member" in protected,
    )


# --- reading, once for a run


class _Reader:
    """Reads in a thread, so that it takes no time beside importing and looking up logins."""

    def __init__(self, stack: str) -> None:
        self._stack = stack
        self._found = UNKNOWN
        self.exported = ""
        # Nobody waits for it in the end: a program that is refused ends at once.
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        others = {name: value for name, value in os.environ.items() if name not in _OURS}
        try:
            self.exported = self._export(others)
            self._found = parse(self.exported)
        except backend.NoAnswer as silence:
            self._found = Previous(known=False, reason=str(silence))
        except OSError as error:
            reason = f"`pulumi` cannot be run: {error.strerror}"
            self._found = Previous(known=False, reason=reason)
        except (ValueError, KeyError, TypeError, AttributeError):
            reason = "Pulumi's export of the state cannot be read"
            self._found = Previous(known=False, reason=reason)

    def _export(self, environment: Mapping[str, str]) -> str:
        """The state; without secrets where only the person at the engine's prompt can show them."""
        start = time.monotonic()

        def export(seconds: float, *, secrets: bool) -> str:
            return backend.ask(
                self._stack,
                "state",
                "export",
                secrets=secrets,
                seconds=seconds,
                environment=environment,
            )

        try:
            return export(_SECONDS, secrets=True)
        except backend.NoAnswer:
            left = _SECONDS - (time.monotonic() - start)
            if left <= 0:
                raise
            return export(left, secrets=False)

    def found(self) -> Previous:
        self._thread.join(_SECONDS + 1)
        return self._found


_reader: _Reader | None = None


def begin() -> None:
    """Start to read what the last update left to the stack whose program this is."""
    global _reader  # noqa: PLW0603 - one program, one stack
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    _reader = _Reader(name)


def found() -> Previous:
    """What the last update left, once it is read; UNKNOWN where `begin` was not called.

    Never raises, and waits for sixteen seconds at most.
    """
    return _reader.found() if _reader else UNKNOWN


def exported() -> str:
    """The export itself, once it is read: with secrets in the clear where Pulumi shows them.

    Empty where nothing is known.
    """
    return _reader.exported if found().known and _reader else ""
