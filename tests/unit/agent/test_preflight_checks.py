"""What preflight looks at, on a machine that is made up."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from etcd_component.agent import claim, host, paths, privileges
from etcd_component.agent.decide.claiming import Free, Held, Holding, Occupied, Ours
from etcd_component.agent.finding import Finding, Remark
from etcd_component.agent.host import Mount
from etcd_component.agent.options import Options
from etcd_component.agent.paths import Paths
from etcd_component.agent.preflight import (
    command,
    disk,
    eyes,
    leftovers,
    machine,
    network,
    ownership,
)
from etcd_component.agent.preflight.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

OPTIONS = Options(owner="mine", name="etcd-1", address="10.0.0.1", data="/data/etcd")
CLAIM = claim.Claim("mine", "etcd-1", "10.0.0.1", 2379, 2380, "/data/etcd", "/data/etcd")


def subject(
    data: Path | str = "/data/etcd",
    *,
    claimed: claim.Claim | None = None,
    holding: Holding | None = None,
    **options: Any,
) -> Subject:
    wanted = replace(OPTIONS, data=str(data), **options)
    name, owner = (claimed.name, claimed.owner) if claimed else ("", "")
    return Subject(
        wanted,
        Paths("etcd"),
        Path(os.path.realpath(data)),
        claimed,
        Held("etcd", name, owner),
        holding or Free(),
    )


def problems(found: Iterable[Finding | Remark]) -> list[str]:
    return [one.problem if isinstance(one, Finding) else f"({one.text})" for one in found]


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    def make(whether: bool) -> None:
        monkeypatch.setattr(Subject, "has_joined", property(lambda _: whether))

    return make


# ---- whose it is


@pytest.mark.parametrize(
    ("claimed", "holding", "options", "ours"),
    [
        (CLAIM, Ours(), {}, True),
        (CLAIM, Ours(), {"owner": ""}, True),
        (CLAIM, Free("claimed"), {"name": "etcd-2"}, True),
        (CLAIM, Free(), {"name": "etcd-2"}, False),
        (CLAIM, Occupied(Finding("", "")), {"name": "etcd-2"}, False),
        (CLAIM, Ours(), {"owner": "other"}, False),
        (replace(CLAIM, data="/srv"), Ours(), {}, False),
        (None, Free(), {}, False),
    ],
)
def test_data_and_unit_are_ours_when_the_claim_says_so(
    claimed: claim.Claim | None, holding: Holding, options: dict[str, str], *, ours: bool
) -> None:
    assert subject(claimed=claimed, holding=holding, **options).is_ours == ours


def test_without_a_claim_our_own_configuration_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "CONFIGURATIONS", tmp_path)
    (tmp_path / "etcd").mkdir()
    (tmp_path / "etcd/etcd.yaml").write_text("name: etcd-1\ndata-dir: /data/etcd\n")
    assert subject().is_ours
    assert not subject("/srv/etcd").is_ours


def test_what_is_not_said_comes_from_the_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = {"etcd": CLAIM, "other": replace(CLAIM, name="other-1", client_port=2479)}
    monkeypatch.setattr(command, "clusters", lambda: sorted(claims))
    monkeypatch.setattr(claim, "read", lambda where: claims.get(where.cluster))
    assert command.subjects(OPTIONS) == [OPTIONS]
    alone = command.subjects(Options())
    assert [(one.cluster, one.name, one.client_port) for one in alone] == [
        ("etcd", "etcd-1", 2379),
        ("other", "other-1", 2479),
    ]
    (elsewhere,) = command.subjects(Options(data="/srv", client_port=1))
    assert (elsewhere.name, elsewhere.data, elsewhere.client_port) == ("etcd-1", "/srv", 1)
    claims.clear()
    (usual,) = command.subjects(Options())
    assert (usual.name, usual.data) == ("", "/data/etcd")


# ---- names and addresses


HOSTS = """\
127.0.0.1 localhost
127.0.1.1 etcd-a.example etcd-a # Debian's installer
10.0.0.1 Node-1 # etcd-b
fd00:0::1 node-6
"""


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("10.0.0.1", ""),
        ("fd00:0::1", ""),
        ("10.0.0.9", "the address 10.0.0.9 is not on this machine (it has: 10.0.0.1 fd00::1)"),
        ("node-1", ""),
        ("node-6", ""),
        ("etcd-a", "the name etcd-a leads to 127.0.1.1 on this machine"),
        ("etcd-a.example", "the name etcd-a.example leads to 127.0.1.1 on this machine"),
        ("localhost", "the name localhost leads to 127.0.0.1 on this machine"),
        ("etcd-b", "the name etcd-b cannot be resolved here"),
        ("", ""),
    ],
)
def test_an_address_is_one_that_the_others_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, problem: str
) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise OSError

    (tmp_path / "hosts").write_text(HOSTS)
    monkeypatch.setattr(network, "HOSTS", tmp_path / "hosts")
    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    monkeypatch.setattr(host, "own_addresses", lambda: ["10.0.0.1", "fe80::1", "fd00::1"])
    found = problems(network.address(subject(address=address)))
    assert len(found) == bool(problem)
    assert all(one.startswith(problem) for one in found)


def test_a_line_that_resolvers_pass_over_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hosts").write_text("010.0.0.1 one\n10.1 one\n\n10.0.0.2 one\n")
    monkeypatch.setattr(network, "HOSTS", tmp_path / "hosts")
    assert network.addresses_of("one") == ["10.0.0.2"]


def test_what_is_no_name_is_not_resolved() -> None:
    assert network.addresses_of("a..b") == []
    assert network.addresses_of("x" * 70) == []


@pytest.mark.parametrize(
    ("holder", "ours", "found"),
    [
        (None, True, 0),
        (None, False, 0),
        ("", True, 0),
        ("", False, 2),
        ("`perl` (process 7)", True, 2),
    ],
)
def test_a_port_is_free_or_our_own_etcd_s(
    monkeypatch: pytest.MonkeyPatch, holder: str | None, found: int, *, ours: bool
) -> None:
    monkeypatch.setattr(host, "holder_of_port", lambda *_: holder)
    wanted = subject(claimed=CLAIM if ours else None, holding=Ours() if ours else Free())
    assert len(problems(network.ports(wanted))) == found


# ---- what the unit does not see, and the user may not enter


@pytest.mark.parametrize(
    ("data", "setting"),
    [
        ("/home/etcd", "ProtectHome=yes"),
        ("/root/etcd", "ProtectHome=yes"),
        ("/run/user/0/etcd", "ProtectHome=yes"),
        ("/tmp/x", "PrivateTmp=yes"),
        ("/var/tmp/x", "PrivateTmp=yes"),
        ("/homes/etcd", ""),
        ("/data/home", ""),
        ("/var/lib/etcd", ""),
    ],
)
def test_data_are_where_the_unit_sees_them(data: str, setting: str) -> None:
    found = problems(eyes.hidden(subject(data)))
    assert len(found) == bool(setting)
    assert all(one.endswith(setting) for one in found)


def test_links_in_a_circle_are_named_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (found,) = ownership.data(subject(data=str(tmp_path / "a")))
    assert "cannot be followed: the link" in found.problem


def test_all_that_is_passed_on_the_way_counts(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "real")
    (tmp_path / "data").symlink_to("way/../way/etcd")
    visited = host.visited(tmp_path / "data/member")
    assert visited[:2] == ["/", f"/{tmp_path.parts[1]}"]
    for name in ("data", "way", "real", "real/etcd", "real/etcd/member"):
        assert f"{tmp_path}/{name}" in visited
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert len(host.visited(tmp_path / "a")) < 1000


def closed(monkeypatch: pytest.MonkeyPatch, *places: Path) -> None:
    def run_as(_who: privileges.User, do: Callable[[], str]) -> str:
        return do()

    monkeypatch.setattr(privileges, "run_as", run_as)
    names = {str(one) for one in places}
    monkeypatch.setattr(os, "access", lambda path, _: str(path) not in names)


def test_the_first_closed_directory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a/b/etcd").mkdir(parents=True)
    wanted = subject(tmp_path / "a/b/etcd")
    # What the unit does not see anyhow is said once.
    assert not any("on the way to /home" in one for one in problems(eyes.way(subject("/home/x"))))
    monkeypatch.setattr(eyes, "_HIDDEN", {})
    closed(monkeypatch)
    assert problems(eyes.way(wanted)) == []
    # The data directory is to be the user's own, whoever has it now.
    closed(monkeypatch, tmp_path / "a/b/etcd")
    assert problems(eyes.way(wanted)) == []
    closed(monkeypatch, tmp_path / "a", tmp_path / "a/b")
    (found,) = eyes.way(wanted)
    assert found.problem.startswith(f"the user etcd may not enter {tmp_path}/a (mode ")
    assert found.problem.endswith(f"which is on the way to {tmp_path}/a/b/etcd")
    assert found.cure == f"chmod o+x {tmp_path}/a, or choose another etcd_data"


@pytest.mark.parametrize(
    ("point", "method", "found"),
    [
        ("/", "archive", 2),
        ("/opt", "archive", 1),
        ("/opt", "upload", 1),
        ("/opt", "preinstalled", 0),
        ("/usr", "preinstalled", 1),
        ("/data", "archive", 0),
    ],
)
def test_programs_start_from_where_they_are_put(
    monkeypatch: pytest.MonkeyPatch, point: str, method: str, found: int
) -> None:
    mounts = [Mount("/", "ext4", frozenset())]
    mounts.append(Mount(point, "ext4", frozenset({"noexec"})))
    monkeypatch.setattr(host, "mounts", lambda: mounts)
    monkeypatch.setattr(host, "free_mib", lambda _: 9000)
    said = problems(eyes.programs(subject(method=method)))
    assert len(said) == found
    assert all("is mounted with noexec" in one for one in said)


def test_programs_find_room_unless_they_are_there(
    monkeypatch: pytest.MonkeyPatch, joined: Callable[[bool], None]
) -> None:
    joined(True)
    monkeypatch.setattr(host, "free_mib", lambda _: 149)
    monkeypatch.setattr(host, "mounts", list)
    assert problems(eyes.programs(subject(version="9.9.9"))) == []
    joined(False)
    monkeypatch.setattr(host, "mounts", list)
    assert problems(eyes.programs(subject(version="9.9.9"))) == [
        f"only 149 MiB are free in {host.existing_parent(paths.VERSIONS)}, where etcd's programs go"
    ]
    assert problems(eyes.programs(subject(method="package"))) == []
    monkeypatch.setattr(host, "free_mib", lambda _: 150)
    assert problems(eyes.programs(subject(version="9.9.9"))) == []


# ---- the disk

GIB = 1 << 30


@pytest.mark.parametrize(
    ("quota", "has_joined", "said"),
    [
        (0, False, []),
        (4 * GIB, False, []),
        (4 * GIB + 1, False, []),
        (5 * GIB, False, ["(etcd's quota is 5120 MiB, and 4096 MiB are free"]),
        (5 * GIB, True, []),
        (8 * GIB, False, ["etcd's quota is 8192 MiB, and the disk of /data/etcd has 8192 MiB"]),
        (8 * GIB, True, ["(etcd's quota is 8192 MiB, and the disk"]),
    ],
)
def test_a_quota_finds_room(
    monkeypatch: pytest.MonkeyPatch,
    joined: Callable[[bool], None],
    quota: int,
    said: list[str],
    *,
    has_joined: bool,
) -> None:
    joined(has_joined)
    monkeypatch.setattr(host, "size_bytes", lambda _: 8 * GIB)
    monkeypatch.setattr(host, "free_mib", lambda _: 4096)
    found = problems(disk.quota(subject(quota=quota)))
    assert [one[: len(words)] for one, words in zip(found, said, strict=True)] == said


@pytest.mark.parametrize("has_joined", [True, False])
@pytest.mark.parametrize("kind", ["tmpfs", "ramfs", "ext4", ""])
def test_data_in_memory_are_refused_before_they_are_there(
    monkeypatch: pytest.MonkeyPatch, joined: Callable[[bool], None], kind: str, *, has_joined: bool
) -> None:
    joined(has_joined)
    monkeypatch.setattr(host, "file_system_type", lambda _: kind)
    found = list(disk.kind(subject()))
    assert len(found) == (kind in {"tmpfs", "ramfs"})
    assert all(isinstance(one, Remark if has_joined else Finding) for one in found)


@pytest.mark.parametrize(
    ("free", "has_joined", "said"),
    [
        (511, False, ["only 511 MiB are free for "]),
        (511, True, ["(only 511 MiB are free for "]),
        (512, False, []),
    ],
)
def test_a_disk_has_room(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    joined: Callable[[bool], None],
    free: int,
    said: list[str],
    *,
    has_joined: bool,
) -> None:
    joined(has_joined)
    monkeypatch.setattr(host, "free_mib", lambda _: free)
    monkeypatch.setattr(disk, "synchronous_write", lambda _: 10.0)
    found = problems(disk.room(subject(tmp_path)))
    assert [one[: len(words)] for one, words in zip(found, said, strict=True)] == said


def test_a_slow_disk_is_mentioned_and_a_closed_one_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "free_mib", lambda _: 9000)
    monkeypatch.setattr(disk, "synchronous_write", lambda _: 10.1)
    (slow,) = problems(disk.room(subject(tmp_path)))
    assert slow.startswith(f"(the disk under {tmp_path} needs 10.1 ms for a synchronous write")
    monkeypatch.undo()
    assert disk.synchronous_write(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: open("/missing/x"))  # noqa: PTH123, SIM115
    assert problems(disk.room(subject(tmp_path))) == [f"nothing can be written under {tmp_path}"]


# ---- leftovers, and the rest


def test_a_unit_has_the_drop_ins_of_each_beginning_of_its_name() -> None:
    assert leftovers.names_of_directories("etcd.service") == ["etcd.service"]
    assert leftovers.names_of_directories("etcd-a-b.service") == [
        "etcd-a-b.service",
        "etcd-a-.service",
        "etcd-.service",
    ]


@pytest.mark.parametrize(
    ("where", "text", "has_joined", "said"),
    [
        ("etcd.service.d", "[Service]\nExecStart=\nExecStart=/x\n", False, "would change how"),
        ("etcd.service.d", "[Service]\nUser=x\n", True, "changes etcd.service (User)"),
        ("etcd.service.d", "[Unit]\nConditionPathExists=/x\n", False, "would change how"),
        ("etcd.service.d", "[Service]\nNice=1\n", False, "changes etcd.service (Nice)"),
        ("etcd.service.d", "# ExecStart=/x\n", False, ""),
        ("service.d", "[Service]\nTimeoutStopSec=9\n", False, ""),
        ("service.d", "[Service]\nGroup=x\n", False, "would change how"),
        ("other.service.d", "[Service]\nUser=x\n", False, ""),
    ],
)
def test_drop_ins_that_decide_are_refused_and_others_mentioned(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    joined: Callable[[bool], None],
    where: str,
    text: str,
    said: str,
    *,
    has_joined: bool,
) -> None:
    joined(has_joined)
    monkeypatch.setattr(leftovers, "_ROOTS", (f"{tmp_path}/etc", f"{tmp_path}/usr"))
    for root, content in (("etc", text), ("usr", "[Service]\nUser=hidden\n")):
        (tmp_path / root / where).mkdir(parents=True)
        # The one of /etc hides that of the same name in /usr.
        (tmp_path / root / where / "x.conf").write_text(content)
    found = problems(leftovers.drop_ins(subject()))
    assert len(found) == bool(said)
    for one in found:
        assert said in one
        assert one.startswith("(") == said.startswith("changes")


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        (5, ""),
        (6, "the clock is 6 s behind"),
        (-120, ""),
        (-121, "(the clock is 121 s ahead of the start"),
        (-900, "(the clock is 900 s ahead of the start"),
        (-901, "the clock is 901 s ahead of the machine"),
    ],
)
def test_clocks_agree(monkeypatch: pytest.MonkeyPatch, behind: int, said: str) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.9)
    found = problems(machine.clock(subject(clock=1_000_000 + behind)))
    assert len(found) == bool(said)
    assert all(one.startswith(said) for one in found)
    assert problems(machine.clock(subject(clock=0))) == []
