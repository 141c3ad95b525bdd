"""Settings of the stack and of the site: which one counts, and how mistakes in them are told."""

import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from etcd_component.inventory import Plan, load, site
from etcd_component.mistake import InvalidInventory, Mistake

INVENTORY = {"etcd": {"hosts": {"10.10.10.10": {"etcd_seq": 1}}}}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n"
HEX = "0123456789abcdef" * 4

Load = Callable[..., Plan]


@pytest.fixture
def loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a stack in a directory of its own; `site_file` is what the site file says."""
    monkeypatch.chdir(tmp_path)

    def run(
        stack: Mapping[str, Any], site_file: Mapping[str, Any] | None = None, **environ: str
    ) -> Plan:
        environ = {"HOME": str(tmp_path / "home"), **environ}
        if site_file is not None:
            (tmp_path / "site").mkdir()
            (tmp_path / "site" / "site.yaml").write_text(yaml.safe_dump(dict(site_file)))
            environ["ETCD_SITE"] = str(tmp_path / "site" / "site.yaml")
        return load(stack.get, environ)

    return run


@pytest.fixture
def login(loading: Load) -> Callable[..., Any]:
    def of(stack: Mapping[str, Any], **more: Any) -> Any:
        plan = loading({"inventory": INVENTORY, "sshHostKeyChecking": False, **stack}, **more)
        return plan.clusters[0].instances[0].node.login

    return of


def mistakes(loading: Load, *args: Any, **more: Any) -> list[Mistake]:
    with pytest.raises(InvalidInventory) as invalid:
        loading(*args, **more)
    return list(invalid.value.mistakes)


REACHED = {"inventory": INVENTORY, "sshPrivateKey": KEY, "sshHostKeyChecking": "false"}
"""A stack whose machines can be reached without asking any tool."""


def test_a_stack_is_its_inventory_and_a_way_in(loading: Load) -> None:
    plan = loading(REACHED)
    assert [one.name for one in plan.clusters] == ["etcd"]
    assert plan.warnings == (
        "sshHostKeyChecking is false: whoever answers at an address gets the cluster's keys",
    )


def test_the_engine_hands_over_text_and_empty_values(loading: Load) -> None:
    stack = dict.fromkeys(site.KEYS, "") | REACHED | {"sshPort": "2222", "sshSudo": "no"}
    (cluster,) = loading(stack).clusters
    login = cluster.instances[0].node.login
    assert (login.user, login.port, login.sudo) == ("root", 2222, False)


def test_what_pulumi_yaml_declares_is_what_is_read() -> None:
    project = yaml.safe_load((Path(__file__).parents[2] / "Pulumi.yaml").read_text())
    assert set(project["config"]) == set(site.KEYS)
    for declared in project["config"].values():
        # Another default would hide the site file; none would make the key required.
        assert declared["default"] in ("", {})
        assert declared["description"]


def test_every_key_has_its_line_in_the_example() -> None:
    text = (Path(__file__).parents[2] / "stacks" / "Pulumi.example.yaml.txt").read_text()
    assert all(f"etcd:{key}:" in text for key in site.KEYS)


def test_the_example_says_what_holds_when_nothing_is_said(loading: Load) -> None:
    text = (Path(__file__).parents[2] / "stacks" / "Pulumi.example.yaml.txt").read_text()
    written = yaml.safe_load(text)["config"]["etcd:inventory"]
    hosts = {
        host: {"etcd_seq": said["etcd_seq"]} for host, said in written["etcd"]["hosts"].items()
    }
    (example,) = loading({**REACHED, "inventory": written}).clusters
    (silent,) = loading({**REACHED, "inventory": {"etcd": {"hosts": hosts}}}).clusters
    assert example == silent


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("inventory", '{"a": 1}', {"a": 1}),
        ("inventory", "hello", "hello"),
        ("etcd_monitor", "{", "{"),
        ("inventory", "", None),
        ("sshPort", "22", "22"),
        ("sshPort", None, None),
    ],
)
def test_what_pulumi_hands_out_is_parsed(key: str, text: str | None, value: Any) -> None:
    assert site.parsed(key, text) == value


@pytest.mark.parametrize("stack", ["one", "three", "five"])
def test_the_stacks_of_this_project_are_the_cluster_models_sizes(loading: Load, stack: str) -> None:
    file = Path(__file__).parents[2] / "stacks" / f"Pulumi.{stack}.yaml"
    config = yaml.safe_load(file.read_text())["config"]
    assert list(config) == ["etcd:inventory"]
    (cluster,) = loading({**REACHED, "inventory": config["etcd:inventory"]}).clusters
    size = {"one": 1, "three": 3, "five": 5}[stack]
    assert [one.node.address for one in cluster.voters] == [
        f"10.10.10.{9 + n}" for n in range(1, size + 1)
    ]
    assert [one.name for one in cluster.instances] == [f"etcd-{n}" for n in range(1, size + 1)]


# --- which one counts


def test_host_then_stack_then_site_then_default(login: Callable[..., Any]) -> None:
    hosts = {"10.10.10.10": {"etcd_seq": 1, "ansible_port": 4}}
    stack = {"sshUser": "stack", "sshPort": 3, "inventory": {"etcd": {"hosts": hosts}}}
    found = login(stack, site_file={"sshUser": "site", "sshPort": 2, "sshPrivateKey": KEY})
    assert (found.user, found.port, found.private_key, found.sudo) == ("stack", 4, KEY, True)


def test_a_key_of_the_stack_puts_the_sites_key_file_aside(login: Callable[..., Any]) -> None:
    assert login({"sshPrivateKey": KEY}, site_file={"sshPrivateKeyFile": "gone"}).private_key == KEY


def test_paths_start_where_they_are_written(login: Callable[..., Any], tmp_path: Path) -> None:
    for folder in ("site", "home"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "key").write_text(KEY)
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "site").rename(tmp_path / "elsewhere")
    assert login({"sshPrivateKeyFile": "key"}).private_key == KEY
    assert login({"sshPrivateKeyFile": "~/key"}).private_key == KEY
    assert login({"sshPrivateKeyFile": "elsewhere/key"}).private_key == KEY


def test_a_path_in_the_site_file_starts_beside_it(
    login: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(KEY)
    assert login({}, site_file={"sshPrivateKeyFile": "../key"}).private_key == KEY


def test_the_inventory_may_be_a_file_and_its_paths_start_beside_it(
    loading: Load, tmp_path: Path
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "key").write_text(KEY)
    vars_ = {"ansible_ssh_private_key_file": "key"}
    inventory = {"all": {"vars": vars_, "children": INVENTORY}}
    (tmp_path / "conf" / "pigsty.yml").write_text(yaml.safe_dump(inventory))
    plan = loading({"inventoryFile": "conf/pigsty.yml", "sshHostKeyChecking": False})
    assert plan.clusters[0].instances[0].node.login.private_key == KEY


def test_a_mirror_is_set_once_for_all_stacks(loading: Load, tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text(f"{HEX}  etcd-v3.6.99-linux-amd64.tar.gz\n")
    mirror = "http://10.10.10.1/{version}/{arch}.tgz"
    (cluster,) = loading(
        REACHED, site_file={"archiveUrl": mirror, "checksumsFile": "../SHA256SUMS"}
    ).clusters
    assert cluster.settings.archive_url_for("amd64") == "http://10.10.10.1/3.6.99/amd64.tgz"
    assert cluster.settings.archive_sha256 == {"amd64": HEX}


def test_secrets_of_the_stack_hold_for_all_clusters(loading: Load) -> None:
    (cluster,) = loading({**REACHED, "etcd_root_password": "hunter2"}).clusters
    assert cluster.settings.root_password == "hunter2"


@pytest.mark.parametrize(
    ("written", "user", "host", "port"),
    [
        ("gate", "dba", "gate", 22),
        ("ops@gate", "ops", "gate", 22),
        ("ops@gate:2222", "ops", "gate", 2222),
        ("ops@192.0.2.1", "ops", "192.0.2.1", 22),
        ("[fd00::1]:2222", "dba", "fd00::1", 2222),
    ],
)
def test_a_bastion_is_written_as_for_ssh(
    login: Callable[..., Any], written: str, user: str, host: str, port: int
) -> None:
    hop = login({"sshBastion": written, "sshUser": "dba", "sshPrivateKey": KEY}).bastion
    assert (hop.user, hop.host, hop.port) == (user, host, port)


# --- mistakes


@pytest.mark.parametrize(
    ("stack", "place", "problem"),
    [
        ({"sshPort": 0}, "etcd:sshPort", "0 is not between 1 and 65535"),
        ({"sshSudo": "perhaps"}, "etcd:sshSudo", "is neither true nor false"),
        ({"sshUser": "a b"}, "etcd:sshUser", "is not a login name"),
        ({"sshBastion": "a:b:c"}, "etcd:sshBastion", "is not a bastion"),
        ({"sshBastion": "me@ho_st"}, "etcd:sshBastion", "neither an IP address nor a DNS name"),
        ({"archiveUrl": "mirror"}, "etcd:archiveUrl", "is not a URL"),
        ({"checksumsFile": "gone"}, "etcd:checksumsFile", "cannot be read"),
        ({"inventory": "etcd"}, "etcd:inventory", "it is text, not a mapping"),
        ({"inventoryFile": "pigsty.yml"}, "etcd:inventory", "inventoryFile is set too"),
        ({"sshPrivateKeyFile": "key"}, "etcd:sshPrivateKey", "sshPrivateKeyFile is set too"),
        ({"etcd_root_password": "x" * 73}, "etcd:etcd_root_password", "it has 73 bytes"),
        ({"etcd_ca_cert": "no"}, "etcd:etcd_ca_cert", "it is not a certificate in PEM form"),
    ],
)
def test_a_setting_that_cannot_stand_is_said_where_it_stands(
    loading: Load, stack: dict[str, Any], place: str, problem: str
) -> None:
    found = mistakes(loading, {**REACHED, **stack})
    assert any(one.place == place and problem in one.problem for one in found)


def test_mistakes_of_stack_site_and_inventory_are_told_together(loading: Load) -> None:
    bad = {"etcd": {"hosts": {"10.10.10.10": {"etcd_seq": 0}}}}
    found = mistakes(
        loading,
        {**REACHED, "inventory": bad, "sshPort": "x"},
        site_file={"sshUsr": "me", "sshSudo": 3},
    )
    assert {one.place.rpartition("/")[2] for one in found} == {
        "etcd:sshPort",
        "site.yaml: sshUsr",
        "site.yaml: sshSudo",
        "etcd.hosts.10.10.10.10.etcd_seq",
    }


def test_while_a_setting_is_wrong_no_machine_is_looked_for(loading: Load) -> None:
    stack = {"inventory": INVENTORY, "sshPrivateKey": KEY, "sshPort": "x"}
    assert [one.place for one in mistakes(loading, stack)] == ["etcd:sshPort"]


def test_an_unknown_setting_is_told_the_nearest(loading: Load) -> None:
    names = json.dumps({"etcd:sshUsr": "me", "etcd:sshUser": "me", "aws:region": "x"})
    (mistake,) = mistakes(loading, REACHED, PULUMI_CONFIG=names)
    assert mistake == Mistake("etcd:sshUsr", "there is no such setting", "did you mean sshUser?")


def test_a_site_file_that_is_not_there_is_said_so(loading: Load, tmp_path: Path) -> None:
    (mistake,) = mistakes(loading, REACHED, ETCD_SITE=str(tmp_path / "gone.yaml"))
    assert mistake.place == f"{tmp_path}/gone.yaml"


def test_an_inventory_file_that_is_not_there_is_said_so(loading: Load, tmp_path: Path) -> None:
    (mistake,) = mistakes(loading, {**REACHED, "inventory": {}, "inventoryFile": "gone.yml"})
    assert mistake.place == f"{tmp_path}/gone.yml"


def test_without_an_inventory_an_example_is_given(loading: Load) -> None:
    (mistake,) = mistakes(loading, {**REACHED, "inventory": {}})
    assert mistake.place == "etcd:inventory"
    assert "etcd_seq: 1" in mistake.cure


def test_a_dead_agent_is_found_before_it_spoils_every_login(loading: Load, tmp_path: Path) -> None:
    path = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    (mistake,) = mistakes(loading, REACHED, SSH_AUTH_SOCK=str(path))
    assert mistake.place == "SSH_AUTH_SOCK"
    assert "`unset SSH_AUTH_SOCK`" in mistake.cure


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sshPrivateKey", "ssh-ed25519 hunter2"),
        ("sshPrivateKey", ["hunter2"]),
        ("sshPrivateKeyPassphrase", ["hunter2"]),
        ("etcd_root_password", "hunter2\n"),
        ("etcd_ca_cert", "hunter2"),
        ("etcd_ca_key", "hunter2"),
        ("archiveUrl", "https://me:hunter2@mirror/{os}"),
        ("archiveUrl", "https://me:x/hunter2@mirror/etcd"),
        ("archiveUrl", "https://me:#hunter2@mirror/etcd"),
        ("archiveUrl", "me:hunter2@mirror/etcd"),
        ("archiveUrl", ["https://me:hunter2@mirror/etcd"]),
        ("sshBastion", "me:hunter2@10.10.10.1"),
        ("sshBastion", "me:hunter2@10.10.10.1:x"),
        ("sshBastion", "me:x@hunter2@10.10.10.1"),
        ("sshBastion", ["me:hunter2@10.10.10.1"]),
    ],
)
def test_no_message_repeats_a_secret(loading: Load, key: str, value: Any) -> None:
    found = mistakes(loading, {**REACHED, key: value})
    assert found
    assert "hunter2" not in str(found)


def test_unknown_hosts_of_a_whole_inventory_are_told_in_one_run(loading: Load) -> None:
    hosts = {f"10.10.10.{n}": {"etcd_seq": n} for n in range(1, 6)}
    stack = {"inventory": {"etcd": {"hosts": hosts}}, "sshPrivateKey": KEY}
    found = mistakes(loading, stack, PATH=os.environ["PATH"])
    assert [one.place for one in found] == [f"etcd.hosts.{host}" for host in hosts]
    assert all("ssh-keyscan -t ed25519" in one.cure for one in found)
