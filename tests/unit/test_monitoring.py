"""What watches a cluster is given: targets, jobs and rules that follow from the model."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from etcd_component import __main__ as command_line
from etcd_component.model import Instance, Node
from etcd_component.monitoring import Watched, WatchedMember, bundle, directory, files
from tests.unit.recording import cluster, record

AT = "/etc/prometheus/etcd"
ADDRESSES = ["10.10.10.10", "fd00::1", "db.example"]
TARGETS = ["10.10.10.10:4379", "[fd00::1]:4379", "db.example:4379"]


def watched(name: str = "etcd", **more: Any) -> Watched:
    """A cluster with a member at each kind of address, one of them a learner."""
    members = tuple(
        WatchedMember(f"{name}-{seq}", ip, target, "learner" if seq == 3 else "voter")
        for seq, (ip, target) in enumerate(zip(ADDRESSES, TARGETS, strict=True), start=1)
    )
    one = Watched(name, "3.6.14", members, "CAs\n", "certificate\n", "key of a client\n")
    return replace(one, **more)


def labels(name: str, seq: int, job: str = "etcd") -> dict[str, str]:
    return {"cls": name, "ins": f"{name}-{seq}", "ip": ADDRESSES[seq - 1], "job": job}


def test_what_there_is_to_watch_follows_from_the_model() -> None:
    model = cluster(1)
    login = model.instances[0].node.login
    instances = [
        Instance("etcd", seq, Node(address, login), learner=seq == 3, client_port=4379)
        for seq, address in enumerate(ADDRESSES, start=1)
    ]
    lost = Instance("etcd", 4, Node("10.10.10.13", login), lost=True)
    found = Watched.of(
        replace(model, instances=(*instances, lost)), "CAs\n", "certificate\n", "key of a client\n"
    )
    assert found == watched()


def test_what_is_watched_is_read_from_the_outputs_as_it_was_put_there() -> None:
    members = (*watched().members, WatchedMember("etcd-4", "x", "x:1", "voter", exporter="x:2"))
    one = watched(members=members)
    assert Watched.read(json.loads(json.dumps(bundle.output(one)))) == one
    assert "key of a client" not in repr(one)
    assert set(bundle.output(one)) == {*one.output, "targets", "scrape", "model_rules"}


def test_the_outputs_have_what_a_watcher_needs_and_are_secret() -> None:
    found = record(cluster(3))
    assert "monitoring" in found.secret_outputs
    output = Watched.read(found.outputs["etcd"]["monitoring"])
    assert (output.ca, output.cert, output.key) == (
        "certPem of etcd-ca\n",
        "certPem of etcd-monitoring\n",
        "privateKeyPem of etcd-monitoring\n",
    )
    assert [one.target for one in output.members] == found.outputs["etcd"]["endpoints"]


def test_each_instance_is_a_target_with_the_model_s_labels() -> None:
    found = yaml.safe_load(files([watched()], AT)["targets/etcd.yml"])
    assert found == [
        {"targets": [target], "labels": labels("etcd", seq)}
        for seq, target in enumerate(TARGETS, start=1)
    ]


def test_nodes_are_targets_where_they_tell_something_and_have_their_own_up() -> None:
    first, *others = watched().members
    told = watched(members=(replace(first, exporter="10.10.10.10:2381"), *others))
    path = "targets-node/etcd.yml"
    assert yaml.safe_load(files([told], AT)[path]) == [
        {"targets": ["10.10.10.10:2381"], "labels": labels("etcd", 1, "etcd-node")}
    ]
    # The job is there in any case, so that nobody must be told when the first node does.
    assert yaml.safe_load(files([watched()], AT)[path]) == []
    _, of_nodes = yaml.safe_load(files([watched()], AT)["scrape.yml"])["scrape_configs"]
    assert of_nodes["metric_relabel_configs"] == [
        {"target_label": "job", "replacement": "etcd"},
        {"action": "labeldrop", "regex": "exported_(cls|ins|ip)"},
    ]
    assert "relabel_configs" not in of_nodes


def test_each_cluster_is_scraped_with_its_own_certificate() -> None:
    found = files([watched(), watched("other", cert="of the other\n")], AT)
    jobs = yaml.safe_load(found["scrape.yml"])["scrape_configs"]
    names = ["etcd-etcd", "etcd-node-etcd", "etcd-other", "etcd-node-other"]
    assert [one["job_name"] for one in jobs] == names
    for one in jobs:
        for path in (*one["file_sd_configs"][0]["files"], *one.get("tls_config", {}).values()):
            assert path.removeprefix(f"{AT}/") in found, path
    assert jobs[2]["tls_config"]["cert_file"] == f"{AT}/pki/other/client.crt"
    assert found["pki/other/client.crt"] == "of the other\n"


def test_what_the_stack_declares_is_a_series_an_instance() -> None:
    found = yaml.safe_load(files([watched(), watched("other")], AT)["rules/model.yml"])["groups"]
    assert [one["name"] for one in found] == ["etcd-model-etcd", "etcd-model-other"]
    for name, group in zip(("etcd", "other"), found, strict=True):
        assert [one["labels"] for one in group["rules"]] == [
            {**labels(name, seq), "role": role, "version": "3.6.14"}
            for seq, role in ((1, "voter"), (2, "voter"), (3, "learner"))
        ]
        assert {(one["record"], one["expr"]) for one in group["rules"]} == {
            ("etcd_model_instance", "vector(1)")
        }


# ---- the files


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a stack's outputs of its clusters."""

    def offer(*clusters: Watched) -> None:
        by_cluster = {one.cluster: bundle.output(one) for one in clusters}
        outputs = json.loads(json.dumps({"monitoring": by_cluster}))
        monkeypatch.setattr("etcd_component.backend.outputs", lambda name: outputs)

    return offer


def paths(place: Path) -> set[str]:
    return {str(one.relative_to(place)) for one in place.rglob("*") if one.is_file()} - {
        ".written.json",
        ".gitignore",
    }


def test_only_keys_are_for_their_owner_alone_and_files_are_written_when_they_change(
    stack: Callable[..., None], tmp_path: Path
) -> None:
    place = tmp_path / "made" / "monitoring"
    stack(watched(), watched("other"))
    wrote = directory.write("prod", place).wrote
    assert set(wrote) == paths(place) == set(files([watched(), watched("other")], AT))
    private = {one for one in wrote if stat.S_IMODE((place / one).stat().st_mode) == 0o600}
    assert private == {"pki/etcd/client.key", "pki/other/client.key"}
    assert {stat.S_IMODE((place / one).stat().st_mode) for one in {*wrote} - private} == {0o644}
    assert f"{place}/pki/etcd/ca.crt" in (place / "scrape.yml").read_text()

    assert directory.write("prod", place) == directory.Changes([], [])
    assert directory.write("prod", place, place=AT).wrote == ["scrape.yml"]
    stack(watched(), watched("other", members=watched("other").members[:2]))
    changed = directory.write("prod", place, place=AT).wrote
    assert changed == ["targets/other.yml", "rules/model.yml"]


def test_files_of_a_cluster_that_is_gone_are_removed_and_no_others(
    stack: Callable[..., None], tmp_path: Path
) -> None:
    stack(watched(), watched("other"))
    directory.write("prod", tmp_path)
    (tmp_path / "targets" / "own.yml").write_text("[]")
    (tmp_path / "pki" / "etcd" / "own.key").write_text("")
    stack(watched("other"))
    removed = directory.write("prod", tmp_path).removed
    assert set(removed) == {
        *(f"pki/etcd/{name}" for name in ("ca.crt", "client.crt", "client.key")),
        "targets/etcd.yml",
        "targets-node/etcd.yml",
        "dashboards/vmui/1-etcd.json",
        *(f"dashboards/vmui/2-{one.ins}.json" for one in watched().members),
    }
    assert (tmp_path / "targets" / "own.yml").exists()
    assert (tmp_path / "pki" / "etcd" / "own.key").exists()
    assert directory.write("prod", tmp_path) == directory.Changes([], [])
    stack(watched())
    directory.write("prod", tmp_path)
    assert not (tmp_path / "pki" / "other").exists()


def test_two_stacks_do_not_take_each_other_s_place(
    stack: Callable[..., None], tmp_path: Path
) -> None:
    stack(watched())
    directory.write("prod", tmp_path)
    with pytest.raises(directory.CannotWrite, match=r"has the files of the stack prod, and those"):
        directory.write("test", tmp_path)


def test_the_command_line_says_what_it_did_and_nothing_secret(
    stack: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["etcd_component", "monitoring", "prod", str(tmp_path / "place")]
    monkeypatch.setattr("sys.argv", [*words, "--at", AT])
    stack(watched())
    assert command_line.main() == 0
    assert command_line.main() == 0
    wrote, nothing = capsys.readouterr().out.splitlines()
    assert wrote.startswith("wrote pki/etcd/ca.crt, ")
    assert nothing == f"all files are there already ({tmp_path / 'place'})"
    stack(watched("other"))
    assert command_line.main() == 0
    said = capsys.readouterr()
    assert "; removed pki/etcd/ca.crt, " in said.out
    monkeypatch.setattr("etcd_component.backend.outputs", lambda name: {})
    assert command_line.main() == 1
    refused = capsys.readouterr().err
    assert refused.startswith("monitoring: the stack prod has no output `monitoring`, as before")
    assert "key of a client" not in said.out + wrote
