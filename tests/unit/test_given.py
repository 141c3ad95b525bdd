"""What a client is given: texts that its program reads as they are meant, and safe files."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from etcd_component import __main__ as command_line
from etcd_component.given import CannotGive, Given, files, give, texts
from etcd_component.model import Client, Permission
from tests.unit.recording import cluster, record

AWKWARD = [
    "it's",
    'double " quotes',
    "$HOME `id` $(id) ${x}",
    "back\\slash",
    "# no comment",
    "a: b",
    "- dash",
    "0o17",
    "0x1F",
    "1e3",
    "yes",
    "null",
    "~",
    " spaces around ",
    "%percent",
    "{brace: [bracket]}",
    "*star &and !bang",
    "пароль 密碼 🔑",
]
"""Each of them is another thing to some YAML or shell when it is not quoted."""


def given(**changes: Any) -> Given:
    patroni = Given(
        cluster="etcd",
        user="pg-main",
        kind="patroni",
        keys="/pg/main/",
        endpoints=("10.10.10.10:2379", "[fd00::1]:2379"),
        password="secret password",
        ca="PEM of the CAs\n",
        cert="PEM of the certificate\n",
        key="PEM of the key\n",
    )
    return replace(patroni, **changes)


def text(name: str, one: Given, place: str | None = None) -> str:
    return dict(texts.texts_of(one, place))[name]


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a stack's outputs of what its clients are given."""

    def offer(*clients: Given) -> None:
        by_cluster: dict[str, dict[str, Any]] = {}
        for one in clients:
            by_cluster.setdefault(one.cluster, {})[one.user] = one.output
        outputs = json.loads(json.dumps({"clients": by_cluster}))
        monkeypatch.setattr(files, "_outputs", lambda stack: outputs)

    return offer


@pytest.mark.parametrize("password", AWKWARD)
@pytest.mark.parametrize("kind", ["patroni", "vip-manager"])
def test_a_program_reads_any_password_as_it_is(kind: Any, password: str) -> None:
    (name, written), _ = texts.texts_of(given(kind=kind, password=password))
    read = yaml.safe_load(written)
    assert (read["etcd3"]["password"] if kind == "patroni" else read["etcd-password"]) == password
    # Other readers than this one see text too, and no number: it stands in quotes.
    assert 'password: "' in written, name


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("password", AWKWARD)
def test_a_shell_reads_any_password_as_it_is(password: str, shell: str) -> None:
    written = text("etcdctl.env", given(password=password), "/a place/with $signs")
    done = subprocess.run(
        [shell, "-c", f'{written}printf "%s|%s" "$ETCDCTL_PASSWORD" "$ETCDCTL_KEY"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{password}|/a place/with $signs/client.key"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, ""),
        ({"NO_PROXY": "a.example"}, "a.example"),
        ({"no_proxy": "b.example"}, "b.example"),
        ({"NO_PROXY": "a.example", "no_proxy": "b.example"}, "a.example"),
    ],
)
def test_etcdctl_goes_to_the_members_past_a_proxy(before: dict[str, str], after: str) -> None:
    written = text("etcdctl.env", given(), "/place")
    done = subprocess.run(
        ["sh", "-euc", f'{written}printf %s "$NO_PROXY"'],
        env=before,
        capture_output=True,
        text=True,
        check=True,
    )
    first, *others = done.stdout.split(",")
    assert first == after
    assert others == [one.rpartition(":")[0].strip("[]") for one in given().endpoints]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("/pg/main/", {"namespace": "/pg", "scope": "main"}),
        ("/db/pg/7/", {"namespace": "/db/pg", "scope": "7"}),
        ("/service/", {"namespace": "/service"}),
    ],
)
def test_patroni_s_namespace_and_scope_make_its_prefix(
    prefix: str, expected: dict[str, str]
) -> None:
    read = yaml.safe_load(text("patroni.yml", given(keys=prefix)))
    etcd3 = read.pop("etcd3")
    assert read == expected
    # Patroni's own way to its keys, in patroni/dcs/__init__.py.
    base = "/" + "/".join([read["namespace"].strip("/"), read.get("scope", "any")])
    assert f"{base}/".startswith(prefix)
    assert etcd3["hosts"] == ["10.10.10.10:2379", "[fd00::1]:2379"]
    assert etcd3["cert"] == "/etc/etcd-client/pg-main/client.crt"


def test_vip_manager_is_told_its_one_key_and_how_to_get_at_it() -> None:
    written = text("vip-manager.yml", given(kind="vip-manager", keys="/pg/main/leader"), "/x")
    assert yaml.safe_load(written) == {
        "dcs-type": "etcd",
        "dcs-endpoints": ["https://10.10.10.10:2379", "https://[fd00::1]:2379"],
        "trigger-key": "/pg/main/leader",
        "etcd-user": "pg-main",
        "etcd-password": "secret password",
        "etcd-ca-file": "/x/ca.crt",
        "etcd-cert-file": "/x/client.crt",
        "etcd-key-file": "/x/client.key",
    }


def test_what_is_given_is_read_from_the_outputs_as_it_was_put_there() -> None:
    for kind in ("patroni", "vip-manager", "plain"):
        one = given(kind=kind)
        assert Given.read(json.loads(json.dumps(one.output))) == one
    assert "secret password" not in repr(given())
    assert "PEM of the key" not in repr(given())
    assert set(given(kind="vip-manager").output) >= {"vip_manager_yml", "etcdctl_env"}
    assert set(given().output) >= {"patroni_yml", "etcdctl_env"}


def test_the_outputs_have_what_each_client_needs_and_are_secret() -> None:
    clients = (
        Client(
            "pg-main", "patroni", Permission("readwrite", "prefix", "/pg/main/"), "its password"
        ),
        Client("vip-main", "vip-manager", Permission("read", "key", "/pg/main/leader")),
    )
    found = record(cluster(3, clients=clients))
    assert "clients" in found.secret_outputs
    outputs = found.outputs["etcd"]["clients"]
    assert list(outputs) == ["pg-main", "vip-main"]
    assert Given.read(outputs["pg-main"]) == Given(
        cluster="etcd",
        user="pg-main",
        kind="patroni",
        keys="/pg/main/",
        endpoints=("10.10.10.10:2379", "10.10.10.11:2379", "10.10.10.12:2379"),
        password="its password",
        ca="certPem of etcd-ca\n",
        cert="certPem of etcd:pg-main\n",
        key="privateKeyPem of etcd:pg-main\n",
    )
    assert len(Given.read(outputs["vip-main"]).password) == 32
    assert record(cluster(3)).outputs["etcd"]["clients"] == {}


def test_the_files_are_for_their_owner_alone_and_written_again_when_they_change(
    stack: Callable[..., None], tmp_path: Path
) -> None:
    place = tmp_path / "made" / "pg-main"
    stack(given())
    assert {*give("prod", "pg-main", place), ".gitignore"} == {p.name for p in place.iterdir()}
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o600}
    assert yaml.safe_load((place / "patroni.yml").read_text())["etcd3"]["key"] == str(
        place / "client.key"
    )
    assert give("prod", "pg-main", place) == []

    (place / "client.key").chmod(0o644)
    stack(given(password="another"))
    assert give("prod", "pg-main", place) == ["client.key", "patroni.yml", "etcdctl.env"]
    assert stat.S_IMODE((place / "client.key").stat().st_mode) == 0o600
    changed = give("prod", "pg-main", place, place="/etc/patroni/etcd")
    assert changed == ["patroni.yml", "etcdctl.env"]
    assert '  cacert: "/etc/patroni/etcd/ca.crt"\n' in (place / "patroni.yml").read_text()


def test_a_name_that_nobody_has_is_told_with_the_nearest_and_all(
    stack: Callable[..., None], tmp_path: Path
) -> None:
    stack(given(), given(user="tool", kind="plain"))
    with pytest.raises(CannotGive) as refusal:
        give("prod", "pgmain", tmp_path)
    assert str(refusal.value) == (
        "there is no client pgmain; did you mean pg-main? There are: pg-main, tool"
    )
    with pytest.raises(CannotGive, match="no cluster other with clients, but etcd"):
        give("prod", "pg-main", tmp_path, cluster="other")
    stack()
    with pytest.raises(CannotGive, match="declares no client"):
        give("prod", "pg-main", tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_name_that_two_clusters_have_needs_the_cluster_s(
    stack: Callable[..., None], tmp_path: Path
) -> None:
    stack(given(), given(cluster="other", password="of the other"), given(user="user"))
    with pytest.raises(CannotGive, match="such as CLUSTER=etcd"):
        give("prod", "pg-main", tmp_path)
    give("prod", "pg-main", tmp_path, cluster="other")
    assert "of the other" in (tmp_path / "patroni.yml").read_text()
    assert give("prod", "user", tmp_path / "user")


def test_the_command_line_says_what_it_wrote_and_nothing_secret(
    stack: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack(given())
    words = ["etcd_component", "client", "prod"]
    monkeypatch.setattr("sys.argv", [*words, "pg-main", str(tmp_path), "--at", "/etc/patroni/etcd"])
    assert command_line.main() == 0
    assert command_line.main() == 0
    monkeypatch.setattr("sys.argv", [*words, "pg", str(tmp_path)])
    assert command_line.main() == 1
    said = capsys.readouterr()
    names = "client.key, client.crt, ca.crt, patroni.yml, etcdctl.env"
    assert said.out == (
        f"pg-main: wrote {names} ({tmp_path})\npg-main: all files are there already ({tmp_path})\n"
    )
    assert said.err.startswith("client: there is no client pg; ")
    assert not [word for word in ("secret password", "PEM") if word in said.out + said.err]


def test_what_pulumi_says_is_handed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "pulumi"
    fake.write_text("#!/bin/sh\necho 'error: no stack named '\"'prod'\"' found' >&2\nexit 255\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert shutil.which("pulumi") == str(fake)
    with pytest.raises(CannotGive, match="no stack named 'prod' found"):
        give("prod", "pg-main", tmp_path / "files")
    fake.write_text("#!/bin/sh\necho '{}'\n")
    with pytest.raises(CannotGive, match="run `pulumi up`"):
        give("prod", "pg-main", tmp_path / "files")
