"""What the state says was done last, read back from command lines and their files."""

import shlex
from collections.abc import Mapping

from etcd_component.agent.files import sections
from etcd_component.model import Cluster
from etcd_component.previous import STASH, Command, Previous

KEY = "tls:index/privateKey:PrivateKey"
CERTIFICATE = "tls:index/locallySignedCert:LocallySignedCert"
AUTHORITIES = "etcd:index:Pki"
AUTHORITY = "tls:index/selfSignedCert:SelfSignedCert"


def options(command: Command | None) -> Mapping[str, tuple[str, ...]]:
    """The options of a Command's last run, each with all of its values; a flag's value is empty."""
    found: dict[str, tuple[str, ...]] = {}
    text = (command.text("update") or command.text("create")) if command else ""
    for line in text.split(" \\\n")[1:]:
        flag, *values = shlex.split(line)
        found[flag] = (*found.get(flag, ()), " ".join(values))
    return found


def option(command: Command | None, flag: str) -> str:
    """The value of an option; empty where there is none."""
    return options(command).get(flag, ("",))[0]


def of_first_voter(previous: Previous, cluster: Cluster, step: str) -> Command | None:
    """The Command of a step, such as `tls`, of the first voter that has one: others are new."""
    commands = (previous.command(f"{one.name}-{step}") for one in cluster.voters)
    return next(filter(None, commands), None)


def files(command: Command | None) -> Mapping[str, str]:
    """The files that a Command was last sent; none where they are secret."""
    return sections(command.text("stdin")) if command else {}


def output(previous: Previous, kind: str, name: str, key: str) -> str:
    """An output of a resource that is text; empty where there is none."""
    value = previous.outputs.get((kind, name), {}).get(key)
    return value if isinstance(value, str) else ""


def is_remembered(previous: Previous, name: str) -> bool:
    """Whether a value of that name is kept, see `remote.remember`."""
    return (STASH, name) in previous.outputs
