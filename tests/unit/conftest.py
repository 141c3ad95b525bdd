"""What the unit tests share: machines that need no network, and ways to say what is expected."""

import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from etcd_component import inventory, ssh
from etcd_component.inventory.site import Site
from etcd_component.mistake import InvalidInventory, Mistake
from etcd_component.model import Cluster

PRIVATE_KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n"
)

Read = Callable[..., tuple[tuple[Cluster, ...], tuple[str, ...]]]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A place from which every machine can be reached, without asking any tool."""
    access = ssh.Access(private_key=PRIVATE_KEY, check_host_keys=False, home=tmp_path)
    return Site(access=access, base=tmp_path)


@pytest.fixture
def read(site: Site) -> Read:
    """Reads an inventory written as YAML, or as the mapping itself."""

    def reading(written: str | dict[Any, Any], **more: Any) -> Any:
        found = yaml.safe_load(textwrap.dedent(written)) if isinstance(written, str) else written
        return inventory.read(found, **{"site": site, **more})

    return reading


@pytest.fixture
def cluster(read: Read) -> Callable[..., Cluster]:
    """The cluster that `etcd_*` variables and hosts with their own make."""

    def make(hosts: dict[Any, Any] | None = None, **vars_: Any) -> Cluster:
        (only,), _ = read(
            {"etcd": {"hosts": hosts or {"10.10.10.10": {"etcd_seq": 1}}, "vars": vars_}}
        )
        return only

    return make


@pytest.fixture
def mistakes(read: Read) -> Callable[..., tuple[Mistake, ...]]:
    """The mistakes of an inventory; none when it can stand."""

    def find(written: str | dict[Any, Any], **more: Any) -> tuple[Mistake, ...]:
        try:
            read(written, **more)
        except InvalidInventory as invalid:
            return invalid.mistakes
        return ()

    return find


@pytest.fixture
def make_key(tmp_path: Path) -> Callable[..., Path]:
    """Makes real key pairs; returns the private one, `.pub` is beside it."""

    def make(name: str = "key", kind: str = "ed25519", passphrase: str = "") -> Path:
        file = tmp_path / name
        size = ["-b", "1024"] if kind == "rsa" else []  # quick to make, and opens nothing
        command = ["ssh-keygen", "-q", "-t", kind, *size, "-N", passphrase, "-f", str(file)]
        subprocess.run(command, check=True)
        return file

    return make


@pytest.fixture
def yaml_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a YAML file."""

    def write(content: str, name: str = "inventory.yml") -> Path:
        file = tmp_path / name
        file.write_text(textwrap.dedent(content))
        return file

    return write


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """A real agent without keys."""
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL) as run:
        while not ssh.agent_answers(str(path)):
            assert run.poll() is None
        yield path
        run.terminate()
