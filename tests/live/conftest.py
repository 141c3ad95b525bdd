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
from tests.conftest import live_unit
from tests.live.cluster import Asked
from tests.live.nodes import sweep
from tests.live.secrets import seen
from tests.live.stack import Project, Stack

LAB, SUBNET = os.environ.get("ETCD_TEST_LAB", "test:10.10.11").split(":")
NODES = 5
LAST = "test_secrets.py"
LONG = ("monitor", "alerts", "members", "patroni", "readme", "lost", "layout", "departures")
"""Files that take minutes: begun first, so that no process waits long for the other in the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a cluster come first, long files next."""
    here = Path(__file__).parent
    live = [item for item in items if item.path.parent == here]
    items[:] = [item for item in items if item.path.parent != here] + sorted(live, key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, int, int]:
    name = item.path.stem.removeprefix("test_")
    return (
        not live_unit(item.path).startswith("live"),
        LONG.index(name) if name in LONG else len(LONG),
        # Others take the shared cluster's machines; and the search for secrets looks at what all
        # these made.
        0 if "three" in getattr(item, "fixturenames", ()) else 2 if item.path.name == LAST else 1,
    )


def lab_of_this_process() -> tuple[str, str]:
    """Name and subnet. Of two processes that do live tests, the second has another lab."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    if number == 0:
        return LAB, SUBNET
    network, _, last = SUBNET.rpartition(".")
    return f"{LAB}{number}", f"{network}.{int(last) + 30 * number}"


@pytest.fixture(scope="session")
def lab(lab_or_fail: None) -> Iterator[Lab]:
    """Five running nodes; only one run of these tests has them at a time."""
    name, subnet = lab_of_this_process()
    with locked(Path(f"/run/lock/etcd-lab-live-{name}.lock")):
        lab = Lab.named(name, subnet, say=print)
        lab.down()
        try:
            lab.up(NODES)
            yield lab
        finally:
            lab.down()


@pytest.fixture(scope="session")
def project(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The program and an empty state. In the end, nothing of what was done shows a secret."""
    project = Project.make(tmp_path_factory.mktemp("live"), lab)
    yield project
    assert seen(project) == []


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
    return lambda stack: Asked(stack.login(), etcdctl)


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
