"""What the last update left, as it is read from Pulumi's export of the state."""

import dataclasses
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pulumi
import pytest

from etcd_component import previous
from etcd_component.model import Cluster
from tests.unit.exported import export, left
from tests.unit.recording import cluster, record

Pulumi = Callable[[str], None]


@pytest.fixture(autouse=True)
def stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack whose program this is."""
    monkeypatch.setattr(pulumi, "get_organization", lambda: "organization")
    monkeypatch.setattr(pulumi, "get_project", lambda: "etcd")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "prod")
    monkeypatch.setattr(previous, "_reader", None)


@pytest.fixture
def pulumi_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulumi:
    """Puts a `pulumi` of a few shell lines first on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def write(script: str) -> None:
        program = tmp_path / "pulumi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return write


def test_instances_are_read_with_where_they_are_and_whether_they_have_joined() -> None:
    found = left(record(cluster(3)))
    assert found.known
    assert found.protected == set()
    assert sorted(found.instances) == ["etcd-1", "etcd-2", "etcd-3"]
    assert found.instances["etcd-2"] == previous.Instance(
        name="etcd-2",
        cluster="etcd",
        address="10.10.10.11",
        data_dir="/data/etcd",
        joined=True,
        begun=False,
        contacted=True,
        removes_data=True,
        lost=False,
        protected=False,
    )


def test_one_that_was_cut_off_before_it_joined_has_not_joined() -> None:
    assert not left(record(cluster(3)), without="-3-member").instances["etcd-3"].joined
    cut_off = left(record(cluster(3)), without=lambda one: one.name.endswith(("-member", "-node")))
    assert not cut_off.instances["etcd-3"].contacted
    assert not cut_off.instances["etcd-3"].removes_data


def test_whether_data_are_deleted_is_what_the_state_will_run() -> None:
    assert not left(record(cluster(1, rm_data=False))).instances["etcd-1"].removes_data


def test_lost_machines_and_protected_clusters_are_known_as_such() -> None:
    model = cluster(3, safeguard=True)
    one, two, three = model.instances
    lost = dataclasses.replace(three, lost=True)
    model = dataclasses.replace(model, instances=(one, two, lost))
    found = left(record(model))
    assert found.protected == {"etcd"}
    assert found.instances["etcd-1"].protected
    assert not found.instances["etcd-3"].protected
    assert found.instances["etcd-3"].lost
    assert not found.instances["etcd-1"].lost


def test_a_cluster_is_known_by_its_resource_and_not_by_how_names_begin() -> None:
    found = left(record(cluster(2, "etcd"), cluster(2, "etcd-2x")))
    assert [one.name for one in found.of_cluster("etcd")] == ["etcd-1", "etcd-2"]
    assert [one.name for one in found.of_cluster("etcd-2x")] == ["etcd-2x-1", "etcd-2x-2"]
    assert {one.cluster for one in found.instances.values()} == {"etcd", "etcd-2x"}


def test_instances_are_in_the_order_of_their_numbers() -> None:
    found = left(record(cluster(11)))
    assert [one.name for one in found.of_cluster("etcd")] == [f"etcd-{n}" for n in range(1, 12)]


def test_a_command_is_known_by_its_name_without_what_is_secret() -> None:
    stdout = 'etcd-1: runs\nin three\n  lines {with} "signs"\n'
    found = previous.parse(export(record(cluster(1)), stdout={"etcd-1-member": stdout}))
    seat = found.command("etcd-1-member")
    assert seat is not None
    assert seat.stdout == stdout
    assert "etcd-node join" in seat.text("create")
    assert not {"connection", "stdin"} & set(seat.inputs)
    assert seat.text("stdin") == ""
    assert found.command("etcd-9-member") is None


def test_what_was_replaced_and_is_yet_to_be_deleted_is_not_there() -> None:
    state = json.loads(export(record(cluster(2))))
    for one in state["deployment"]["resources"]:
        if one["urn"].endswith("::etcd-2-member"):
            one["delete"] = True
    assert not previous.parse(json.dumps(state)).instances["etcd-2"].joined


@pytest.mark.parametrize(
    "exported",
    [
        '{"version": 3, "deployment": {"manifest": {}}}',
        '{"version": 3, "deployment": {"resources": []}}',
        '{"version": 3, "deployment": null}',
    ],
)
def test_a_new_stack_is_known_to_be_empty(exported: str) -> None:
    found = previous.parse(exported)
    assert found.known
    assert not found.instances


def test_nothing_is_known_where_nobody_looked() -> None:
    found = previous.found()
    assert not found.known
    assert not found.instances


def test_the_export_is_asked_of_this_stack_with_secrets(
    pulumi_is: Pulumi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG", '{"etcd:etcd_root_password": "in the clear"}')
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///somewhere")
    (tmp_path / "export").write_text(export(record(cluster(3)), revealed=True))
    pulumi_is(f'echo "$@" >{tmp_path}/words; env >{tmp_path}/env; cat {tmp_path}/export')
    previous.begin()
    found = previous.found()
    assert sorted(found.instances) == ["etcd-1", "etcd-2", "etcd-3"]
    config = found.commands["etcd-1-config"]
    assert config.login == cluster(3).instances[0].node.login
    assert "connection" not in config.inputs
    words = (tmp_path / "words").read_text().split()
    stack = ["--stack", "organization/etcd/prod"]
    assert words == ["stack", "export", "--show-secrets", *stack, "--non-interactive"]
    given = (tmp_path / "env").read_text()
    assert "PULUMI_BACKEND_URL=file:///somewhere" in given
    assert "in the clear" not in given


def test_where_the_passphrase_was_typed_the_export_is_read_without_secrets(
    pulumi_is: Pulumi, tmp_path: Path
) -> None:
    (tmp_path / "export").write_text(export(record(cluster(3))))
    pulumi_is(
        'case "$*" in *--show-secrets*) echo "error: passphrase must be set" >&2; exit 255; esac\n'
        f"cat {tmp_path}/export"
    )
    previous.begin()
    found = previous.found()
    assert sorted(found.instances) == ["etcd-1", "etcd-2", "etcd-3"]
    assert found.commands["etcd-1-config"].login is None


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'error: no stack named prod found' >&2; exit 255", "no stack named prod found"),
        ("echo 'no JSON'", "cannot be read"),
        ("echo '[]'", "cannot be read"),
        ("""echo '{"deployment": {"resources": [{"type": "etcd:index:Instance"}]}}'""", "be read"),
        ("exec sleep 20", "gives no state within 0.3 s"),
    ],
)
def test_what_cannot_be_read_is_unknown_and_never_an_error(
    pulumi_is: Pulumi, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    monkeypatch.setattr(previous, "_SECONDS", 0.3 if "sleep" in script else 5)
    pulumi_is(script)
    start = time.monotonic()
    previous.begin()
    found = previous.found()
    assert not found.known
    assert reason in found.reason
    assert time.monotonic() - start < 4


@pytest.mark.parametrize("mode", [None, 0o644])
def test_without_a_pulumi_that_runs_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int | None
) -> None:
    if mode:
        (tmp_path / "pulumi").write_text("")
        (tmp_path / "pulumi").chmod(mode)
    monkeypatch.setenv("PATH", str(tmp_path))
    previous.begin()
    found = previous.found()
    assert not found.known
    assert "pulumi" in found.reason


def test_begin_does_not_wait(pulumi_is: Pulumi) -> None:
    pulumi_is("exec sleep 3")
    start = time.monotonic()
    previous.begin()
    assert time.monotonic() - start < 1


def test_every_instance_that_the_program_registers_is_found_again() -> None:
    models: list[Cluster] = [cluster(5), cluster(3, "other", rm_data=False)]
    found = left(record(*models))
    for model in models:
        assert [one.name for one in found.of_cluster(model.name)] == [
            one.name for one in model.instances
        ]
        assert {one.address for one in found.of_cluster(model.name)} == {
            one.node.address for one in model.instances
        }
