"""Outputs have one shape, and what a shell evaluates is safe, quiet and for one cluster."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etcd_component import __main__ as command_line
from etcd_component import backend, by_cluster
from tests.unit.recording import cluster, record
from tests.unit.test_docs import PAGES
from tests.unit.test_given import AWKWARD

ROOT = Path(__file__).parents[2]
KEY = "-----BEGIN EC PRIVATE KEY-----\nof the client\n-----END EC PRIVATE KEY-----\n"
PASSWORD = "root's $ecret"


def outputs(*names: str, **changes: str) -> dict[str, Any]:
    """A stack's outputs as Pulumi gives them, as far as root's login needs them."""
    own = {
        "client_urls": "https://10.10.10.10:2379",
        "ca_cert": "the CAs\n",
        "client_cert": "the certificate\n",
        "client_key": KEY,
        "root_password": PASSWORD,
    } | changes
    return by_cluster({name: {one: f"{text}" for one, text in own.items()} for name in names})


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs `etcdctl` on outputs: exit status, standard output, standard error."""
    session = tmp_path / "session"
    session.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def etcdctl(found: dict[str, Any], *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(backend, "outputs", lambda stack: found)
        monkeypatch.setattr("sys.argv", ["etcd_component", "etcdctl", *words, "prod"])
        status = command_line.main()
        said = capsys.readouterr()
        return status, said.out, said.err

    return etcdctl


def evaluated(lines: str, shell: str = "sh") -> dict[str, str]:
    """What a shell has of etcdctl's variables once it has evaluated the lines."""
    done = subprocess.run(
        [shell, "-euc", 'eval "$LINES_TO_EVALUATE"; unset LINES_TO_EVALUATE; env -0'],
        env={"PATH": os.environ["PATH"], "LINES_TO_EVALUATE": lines},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    found = dict(one.split("=", 1) for one in done.stdout.split("\0") if "=" in one)
    return {name: text for name, text in found.items() if name.startswith("ETCDCTL_")}


def test_every_output_is_a_map_by_cluster_however_many_there_are() -> None:
    one = by_cluster(record(cluster(1)).outputs)
    two = by_cluster(record(cluster(1), cluster(1, name="other")).outputs)
    assert one.keys() == two.keys() >= {"endpoints", "root_password", "monitoring", "members"}
    assert {tuple(found) for found in one.values()} == {("etcd",)}
    assert {tuple(found) for found in two.values()} == {("etcd", "other")}
    assert one["endpoints"] == {"etcd": ["10.10.10.10:2379"]}
    # Nothing that a shell evaluates is an output: of two clusters it would be a map.
    assert "etcdctl_env" not in one


def test_the_lines_set_etcdctl_up_and_hold_no_key(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    status, lines, said = run(outputs("etcd"))
    assert (status, said) == (0, "")
    assert "PRIVATE KEY" not in lines
    assert "of the client" not in lines
    found = evaluated(lines)
    key = Path(found.pop("ETCDCTL_KEY"))
    assert key.is_relative_to(tmp_path / "session")
    assert found == {
        "ETCDCTL_ENDPOINTS": "https://10.10.10.10:2379",
        "ETCDCTL_CACERT": str(key.parent / "ca.crt"),
        "ETCDCTL_CERT": str(key.parent / "client.crt"),
        "ETCDCTL_USER": "root",
        "ETCDCTL_PASSWORD": PASSWORD,
    }
    assert lines.endswith('export NO_PROXY="${NO_PROXY:-${no_proxy:-}},10.10.10.10"\n')
    assert key.read_text() == KEY
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in key.parent.iterdir()} == {0o600}
    # Called again it writes to the same place.
    assert run(outputs("etcd"))[1] == lines
    assert [*(tmp_path / "session").iterdir()] == [key.parent]


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    "awkward", [*AWKWARD, "'; touch /planted; '", "a\nexport PATH=/x\n", "$(touch /planted)"]
)
def test_no_value_is_more_than_a_value_to_the_shell(
    run: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    awkward: str,
    shell: str,
) -> None:
    session = tmp_path / awkward.replace("/", "|")
    session.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    found = outputs(awkward, root_password=awkward, client_urls=awkward)
    status, lines, _ = run(found, "--cluster", awkward)
    assert status == 0
    set_to = evaluated(lines, shell)
    assert set_to["ETCDCTL_PASSWORD"] == set_to["ETCDCTL_ENDPOINTS"] == awkward
    assert Path(set_to["ETCDCTL_KEY"]).is_relative_to(session)
    assert not Path("/planted").exists()


def test_of_several_clusters_one_must_be_named_and_only_that_one_is_given(
    run: Callable[..., tuple[int, str, str]],
) -> None:
    both = outputs("etcd", "other")
    both["root_password"]["other"] = "of the other"
    status, lines, said = run(both)
    assert (status, lines) == (1, "")
    assert said == (
        "etcdctl: the stack prod has the clusters etcd, other: name one, such as CLUSTER=etcd\n"
    )
    status, lines, said = run(both, "--cluster", "nosuch")
    assert (status, lines) == (1, "")
    assert "no cluster nosuch; its clusters are: etcd, other" in said
    status, lines, _ = run(both, "--cluster", "other")
    assert evaluated(lines)["ETCDCTL_PASSWORD"] == "of the other"
    assert PASSWORD not in lines
    first = evaluated(run(both, "--cluster", "etcd")[1])
    assert first["ETCDCTL_KEY"] != evaluated(lines)["ETCDCTL_KEY"]


def test_a_command_that_fails_prints_nothing_to_evaluate(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    status, lines, said = run({})
    assert (status, lines) == (1, "")
    assert "run `pulumi up`" in said
    (tmp_path / "session").rmdir()
    (tmp_path / "home").write_text("no directory")
    status, lines, said = run(outputs("etcd"))
    assert (status, lines) == (1, "")
    assert "cannot be written" in said
    done = subprocess.run(
        ["make", "-s", "etcdctl", "STACK=no-such-stack"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no stack file stacks/Pulumi.no-such-stack.yaml" in done.stderr


def test_a_terminal_is_shown_no_password_but_how_to_use_the_lines(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    status, lines, said = run(outputs("etcd"))
    assert status == 0
    assert "PASSWORD" not in lines
    assert PASSWORD not in lines + said
    assert 'Type: eval "$(make -s etcdctl STACK=prod)"' in said


def test_no_key_is_written_where_another_user_could_have_prepared_the_place(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    session = tmp_path / "session"
    session.chmod(0o777)
    key = Path(evaluated(run(outputs("etcd"))[1])["ETCDCTL_KEY"])
    assert key.is_relative_to(tmp_path / "home" / ".cache")

    session.chmod(0o700)
    key = Path(evaluated(run(outputs("etcd"))[1])["ETCDCTL_KEY"])
    assert key.is_relative_to(session)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for one in key.parent.iterdir():
        one.unlink()
    key.parent.rmdir()
    key.parent.symlink_to(elsewhere)
    status, lines, said = run(outputs("etcd"))
    assert (status, lines) == (1, "")
    assert "is not a directory of this user" in said
    assert not [*elsewhere.iterdir()]


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "Makefile"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_no_page_has_a_shell_evaluate_anything_but_the_two_commands_for_it(page: Path) -> None:
    for words in re.findall(r"\beval\b(.*)", page.read_text().replace("$$", "$")):
        assert re.match(r' "\$\(make -s (env|etcdctl)( \w+=\w+)*\)"', words), words
