"""Real nodes, the real engine, real SSH, real etcd, real clients.

All live tests share one lab. `three` is a cluster that many tests ask and none changes; a test
that changes something takes `nodes`, which are clean machines, and puts its own cluster there.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import Lab
from lab.cache import locked
from lab.monitor import NUMBER as MONITOR
from lab.releases import VERSIONS
from tests.live.cluster import Asked
from tests.live.nodes import sweep
from tests.live.stack import Project, Stack

LAB, SUBNET = os.environ.get("ETCD_TEST_LAB", "test:10.10.11").split(":")
NODES = 5
LAST = "test_secrets.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The search for secrets comes last: it looks at what all other tests made."""
    items.sort(
        key=lambda item: item.path.parent == Path(__file__).parent and item.path.name == LAST
    )


@pytest.fixture(scope="session")
def lab(lab_or_fail: None) -> Iterator[Lab]:
    """Five running nodes; only one run of these tests has them at a time."""
    with locked(Path(f"/run/lock/etcd-lab-live-{LAB}.lock")):
        lab = Lab.named(LAB, SUBNET, say=print)
        lab.down()
        try:
            lab.up(NODES)
            yield lab
        finally:
            lab.down()


@pytest.fixture(scope="session")
def project(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The program and an empty state."""
    return Project.make(tmp_path_factory.mktemp("live"), lab)


@pytest.fixture(scope="session")
def etcdctl(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client on this machine."""
    place = tmp_path_factory.mktemp("client")
    (archive,) = (lab.home / "archive" / f"v{VERSIONS[0]}").glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        (member,) = (one for one in packed.getmembers() if Path(one.name).name == "etcdctl")
        member.name = "etcdctl"
        packed.extract(member, place, filter="data")
    return place / "etcdctl"


Ask = Callable[[Stack], Asked]


@pytest.fixture(scope="session")
def ask(etcdctl: Path) -> Ask:
    """Turn to a stack's cluster as a client."""
    return lambda stack: Asked(stack.client_environment(), etcdctl)


class Tenants:
    """Whose cluster is on the nodes: the shared one, or that of one test."""

    shared: Stack | None = None


@pytest.fixture(scope="session")
def tenants() -> Tenants:
    return Tenants()


@pytest.fixture
def nodes(lab: Lab, tenants: Tenants) -> Lab:
    """The lab, all of its nodes clean, running and connected."""
    tenants.shared = None
    sweep(lab)
    return lab


@pytest.fixture
def three(lab: Lab, project: Project, tenants: Tenants) -> Stack:
    """A running cluster of three, put there by an ordinary user with sudo.

    For tests that only look, and for those that leave it as well as they found it.
    """
    if tenants.shared is None:
        sweep(lab)
        stack = project.stack({"sshUser": "admin"} | inventory(lab, 3))
        stack.up()
        tenants.shared = stack
    return tenants.shared


@pytest.fixture
def watched(nodes: Lab) -> Iterator[Lab]:
    """Clean nodes, and one more, of which the site file says that it is the monitor."""
    try:
        nodes.up_with_monitor()
        yield nodes
    finally:
        nodes.remove(MONITOR)


def inventory(lab: Lab, count: int, **variables: object) -> dict[str, object]:
    """A stack's configuration: a cluster on the first nodes."""
    hosts = {lab.address(seq - 1): {"etcd_seq": seq} for seq in range(1, count + 1)}
    return {"inventory": {"etcd": {"hosts": hosts, "vars": {"etcd_cluster": "etcd", **variables}}}}
