"""What the component registers: names, order, options, secrets."""

import base64
import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pulumi
import pytest

from etcd_component import contact, expiry, packing, previous
from etcd_component.instance import moved
from etcd_component.model import Client, Cluster, Node, Permission
from tests.authority import Authority
from tests.unit.exported import left
from tests.unit.recording import (
    OWNER,
    PASSWORD,
    PRIVATE_KEY,
    SECRET,
    Recording,
    Registered,
    cluster,
    node,
    record,
    serial,
)

FILES = ("node", "binary", "tls", "config")


@pytest.fixture(scope="module")
def three() -> Recording:
    return record(cluster(3))


def test_the_tree_is_the_model(three: Recording) -> None:
    parents = {f"{kind}::{name}": one.parent for (kind, name), one in three.resources.items()}
    assert parents["etcd:index:Pki::etcd"] == "etcd"
    for seq in (1, 2, 3):
        assert parents[f"etcd:index:Instance::etcd-{seq}"] == "etcd"
        for step in (*FILES, "member", "rollout"):
            assert parents[f"command:remote:Command::etcd-{seq}-{step}"] == f"etcd-{seq}"
        assert parents[f"tls:index/privateKey:PrivateKey::etcd-{seq}"] == f"etcd-{seq}"
    for name in ("etcd-owner", "etcd-genesis", "etcd-root-password"):
        assert parents[f"pulumi:index:Stash::{name}"] == "etcd"
    assert parents["command:remote:Command::etcd-access"] == "etcd"


def test_names_come_from_instances_and_never_from_positions() -> None:
    model = cluster(3)
    kept = (model.instances[0], model.instances[2])
    whole, part = record(model), record(type(model)(model.name, kept, model.settings))
    of_etcd_3 = {key for key in whole.resources if key[1].startswith("etcd-3")}
    assert of_etcd_3 == {key for key in part.resources if key[1].startswith("etcd-3")}


@pytest.fixture
def same_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine does with ignored changes: the first random value stays."""
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)


@pytest.mark.usefixtures("same_tokens")
def test_members_that_stay_do_not_change_when_others_come() -> None:
    before, after = record(cluster(3)), record(cluster(5))
    for key, one in before.resources.items():
        same = after.resources[key]
        if "etcd-access" in key[1] or "genesis" in key[1] or key[0].startswith("etcd:index"):
            continue
        ignored = set(one.ignore_changes)
        assert {k: v for k, v in one.inputs.items() if k not in ignored} == {
            k: v for k, v in same.inputs.items() if k not in ignored
        }, key


def test_genesis_never_changes(three: Recording) -> None:
    genesis = three.stash("etcd-genesis")
    assert genesis.ignore_changes == ("input",)
    token, *founders = genesis.inputs["input"]
    assert token.startswith("etcd-")
    assert founders == [
        "etcd-1=https://10.10.10.10:2380",
        "etcd-2=https://10.10.10.11:2380",
        "etcd-3=https://10.10.10.12:2380",
    ]


def test_founders_are_written_down_only_when_all_their_machines_are_fit(three: Recording) -> None:
    needed = three.stash("etcd-genesis").depends_on
    assert {"etcd-1-node", "etcd-2-node", "etcd-3-node"} <= needed


def test_where_an_instance_began_is_written_down_once(three: Recording) -> None:
    place = three.stash("etcd-2-place")
    assert place.ignore_changes == ("input",)
    assert place.inputs["input"] == ["10.10.10.11", "/data/etcd", "voter"]
    assert "etcd-2-place" in three.command("etcd-2-node").depends_on


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (["10.10.10.99", "/data/etcd", "voter"], "cannot be moved to 10.10.10.10"),
        (["10.10.10.10", "/data/other", "voter"], "has its data in /data/other"),
        (["10.10.10.10", "/data/etcd", "voter"], None),
        (["10.10.10.10", "/data/etcd", "learner"], None),
        ([], None),
    ],
)
def test_an_instance_stays_where_it_began(place: list[str], said: str | None) -> None:
    found = moved(cluster(1).instances[0], place)
    assert found is None if said is None else said in (found or "")


def test_a_voter_is_never_made_a_learner() -> None:
    learner = dataclasses.replace(cluster(1).instances[0], learner=True)
    assert "no learner of a voter" in (moved(learner, ["10.10.10.10", "/data/etcd", "voter"]) or "")
    assert moved(learner, ["10.10.10.10", "/data/etcd", "learner"]) is None


def test_a_learner_is_not_a_founder() -> None:
    model = cluster(3)
    learner = type(model.instances[0])("etcd", 4, model.instances[0].node, learner=True)
    found = record(type(model)("etcd", (*model.instances, learner), model.settings))
    assert not any("etcd-4=" in one for one in found.stash("etcd-genesis").inputs["input"])
    assert "--learner" in found.command("etcd-4-member").inputs["create"]
    # One step at a time, it would wait for founders that come after it.
    assert {f"etcd-{seq}-member" for seq in (1, 2, 3)} <= found.command("etcd-4-member").depends_on


def test_founders_take_their_seats_in_parallel(three: Recording) -> None:
    for seq in (1, 2, 3):
        needed = three.command(f"etcd-{seq}-member").depends_on
        assert {f"etcd-{seq}-{step}" for step in ("binary", "tls", "config")} <= needed
        assert not any(name.endswith("-member") for name in needed)


def test_the_check_of_a_node_comes_before_anything_is_put_on_it(three: Recording) -> None:
    for step in ("binary", "tls", "config"):
        assert "etcd-1-node" in three.command(f"etcd-1-{step}").depends_on


def test_members_are_rolled_out_one_after_another_when_all_have_seats(three: Recording) -> None:
    members = {f"etcd-{seq}-member" for seq in (1, 2, 3)}
    earlier: set[str] = set()
    for seq in (1, 2, 3):
        assert members | earlier <= three.command(f"etcd-{seq}-rollout").depends_on
        earlier.add(f"etcd-{seq}-rollout")
    assert earlier <= three.command("etcd-access").depends_on


def test_only_the_create_of_a_seat_may_found_a_cluster(three: Recording) -> None:
    member = three.command("etcd-1-member")
    assert "--founders etcd-1=https://10.10.10.10:2380," in member.inputs["create"]
    assert "--founders" not in member.inputs["update"]
    assert member.ignore_changes == ("create",)


def with_raised(seq: int, **numbers: Any) -> Recording:
    model = cluster(3)
    instances = tuple(
        dataclasses.replace(one, **numbers) if one.seq == seq else one for one in model.instances
    )
    return record(dataclasses.replace(model, instances=instances))


def run_again(before: Recording, after: Recording) -> set[str]:
    """Commands whose next update does something."""
    return {
        name
        for name, one in after.node_commands.items()
        if one.inputs.get("update", one.inputs["create"])
        != before.command(name).inputs.get("update", before.command(name).inputs["create"])
    }


@pytest.mark.usefixtures("same_tokens")
def test_a_raised_reseat_puts_everything_on_that_node_again_and_on_no_other() -> None:
    before, after = with_raised(2), with_raised(2, reseat=1)
    assert run_again(before, after) == {f"etcd-2-{step}" for step in (*FILES, "member", "rollout")}
    assert "--founders" not in after.command("etcd-2-member").inputs["update"]
    assert "--peers etcd-1=" in after.command("etcd-2-member").inputs["update"]


@pytest.mark.usefixtures("same_tokens")
def test_a_raised_repair_puts_everything_on_that_node_again_and_on_no_other() -> None:
    before, after = with_raised(2), with_raised(2, repair=1)
    assert run_again(before, after) == {f"etcd-2-{step}" for step in (*FILES, "member", "rollout")}
    # It founds nothing, and the node lets it join nothing: the peers say who it is there.
    assert "--peers etcd-1=" in after.command("etcd-2-member").inputs["update"]
    assert "--founders" not in after.command("etcd-2-member").inputs["update"]
    for name in run_again(before, after):
        own = after.command(name).inputs
        assert "--repair 1" in own.get("update", own["create"]), name
    # What is not raised stays as it was before there was such a number.
    assert not any("--repair" in one.script for one in before.commands.values())


@pytest.mark.usefixtures("same_tokens")
def test_a_repair_of_the_first_voter_looks_after_access_too() -> None:
    assert "etcd-access" in run_again(with_raised(1), with_raised(1, repair=1))


def losing(seq: int, size: int = 3) -> Recording:
    model = cluster(size)
    instances = tuple(dataclasses.replace(one, lost=one.seq == seq) for one in model.instances)
    return record(dataclasses.replace(model, instances=instances))


def test_a_lost_machine_is_never_dialled_again() -> None:
    found = losing(3)
    assert found.resources["etcd:index:Instance", "etcd-3"].retain_on_delete
    for step in (*FILES, "member", "rollout"):
        command = found.command(f"etcd-3-{step}")
        # Kept as it is where the state has it, and without a script where it has not.
        assert "*" in command.ignore_changes, step
        assert not {"create", "update", "delete"} & command.inputs.keys(), step
    for step in (*FILES, "member", "rollout"):
        assert "*" not in found.command(f"etcd-1-{step}").ignore_changes, step


def test_a_lost_member_is_removed_by_a_survivor_before_anyone_joins() -> None:
    found = losing(1)
    expel = found.command("etcd-1-lost")
    assert expel.parent == "etcd-2"
    assert "--lost etcd-1=https://10.10.10.10:2380" in expel.inputs["create"]
    assert "--peers etcd-3=https://10.10.10.12:2380" in expel.inputs["create"]
    # It stays as it is when etcd-2 goes and its line is still there: etcd-3's machine runs it then.
    assert expel.ignore_changes == ("create",)
    assert "--name" not in expel.inputs["create"]
    assert "--owner" in expel.inputs["create"]
    for seq in (2, 3):
        assert "etcd-1-lost" in found.command(f"etcd-{seq}-member").depends_on
    assert found.outputs["etcd"]["endpoints"] == ["10.10.10.11:2379", "10.10.10.12:2379"]


def test_a_seat_is_left_one_by_one_but_not_when_the_cluster_goes(three: Recording) -> None:
    member = three.command("etcd-1-member")
    assert "etcd-node leave" in member.inputs["delete"]
    assert member.deleted_with == "etcd-genesis"


def test_every_command_of_a_node_is_set_up_the_same_way(three: Recording) -> None:
    for name, one in three.node_commands.items():
        assert one.inputs["addPreviousOutputInEnv"] is False, name
        assert one.delete_before_replace, name
        assert "environment" not in one.inputs, name
        assert one.is_secret("connection"), name
        assert one.inputs["connection"]["value"]["hostKey"] == "ssh-ed25519 AAAA", name


def test_no_script_holds_a_secret(three: Recording) -> None:
    secrets = [PASSWORD, PRIVATE_KEY, "privateKeyPem of"]
    for name, one in three.commands.items():
        for secret in secrets:
            assert secret not in one.script, name
            assert json.dumps(secret)[1:-1] not in one.script, name


def test_secrets_travel_on_standard_input_marked_as_secret(three: Recording) -> None:
    for step in ("binary", "tls", "member", "rollout"):
        assert three.command(f"etcd-1-{step}").is_secret("stdin"), step
    assert three.command("etcd-access").is_secret("stdin")


def copy(found: Recording, name: str = "etcd-1-agent") -> Registered:
    return found.resources["command:remote:CopyToRemote", name]


def test_the_agent_is_copied_where_only_the_login_can_enter_and_then_claims(
    three: Recording,
) -> None:
    login, sent, node = three.command("etcd-1-login"), copy(three), three.command("etcd-1-node")
    assert login.inputs["create"] == "sudo -n sh -s"
    path = sent.inputs["remotePath"]
    assert path == ".etcd-node/etcd-node-etcd-1-admin-10.10.10.10"
    assert "etcd-1-login" in sent.depends_on
    assert "etcd-1-agent" in node.depends_on
    for name in ("create", "update"):
        assert f"claim \\\n  {path} {packing.sha256()} \\\n" in node.inputs[name]
    # What is in the state says nothing of the program.
    assert f"uninstall \\\n  {path} /etc/etcd/etcd/claim \\\n" in node.inputs["delete"]
    assert login.inputs["stdin"] == contact.log_in("etcd-node")
    assert node.inputs["stdin"] == contact.start("etcd-node")
    assert all(one.hide_diffs == ("stdin",) for one in (login, node))
    # Of this each machine has a copy in the state.
    assert all(len(one.inputs["stdin"]) < 3500 for one in (login, node))


def test_the_agent_s_file_is_the_same_for_every_checkout(three: Recording) -> None:
    asset = copy(three).inputs["source"]
    path = Path(asset["path"])
    assert not path.is_absolute()
    assert path.read_bytes() == packing.agent()
    assert (path.parent / ".gitignore").read_text() == "*\n"
    assert "text" not in asset


@pytest.mark.parametrize(
    "raised", [{"reseat": 1}, {"repair": 2}, {"node": node("10.10.10.99")}, "another login"]
)
def test_the_agent_is_copied_again_to_a_machine_that_may_lack_it(raised: Any) -> None:
    model = cluster(1)
    if raised == "another login":
        other = dataclasses.replace(model.instances[0].node.login, user="dom\\ada")
        raised = {"node": Node("10.10.10.10", other)}
    changed = dataclasses.replace(
        model, instances=(dataclasses.replace(model.instances[0], **raised),)
    )
    paths = {copy(record(one)).inputs["remotePath"] for one in (model, changed)}
    assert len(paths) == 2
    assert all(path.count("/") == 1 and "\\" not in path for path in paths)


@pytest.mark.parametrize("raised", [{"reseat": 1}, {"repair": 2}])
def test_the_directory_is_made_again_on_a_machine_that_may_lack_it(raised: Any) -> None:
    """SFTP would make it as well, but so that others can enter."""
    model = cluster(1)
    changed = dataclasses.replace(
        model, instances=(dataclasses.replace(model.instances[0], **raised),)
    )
    logins = [record(one).command("etcd-1-login").inputs for one in (model, changed)]
    assert logins[0] != logins[1]


def test_nothing_is_copied_to_a_machine_that_is_lost() -> None:
    model = cluster(3)
    lost = dataclasses.replace(model.instances[0], lost=True)
    found = record(dataclasses.replace(model, instances=(lost, *model.instances[1:])))
    assert ("command:remote:CopyToRemote", "etcd-1-agent") not in found.resources
    assert found.command("etcd-1-login").script == ""


def test_a_generated_password_is_kept_secret_and_never_changes() -> None:
    found = record(cluster(1, root_password=None))
    kept = found.stash("etcd-root-password")
    # The run that began it is the cluster's mark, which is no secret.
    assert SECRET in kept.inputs["input"]["password"]
    assert kept.inputs["input"]["begun"] == OWNER
    assert kept.ignore_changes == ("input",)
    assert len(found.outputs["etcd"]["root_password"]) == 32


def rotated(number: int, *, preview: bool = False, **settings: Any) -> Recording:
    """A run on a cluster that has been there before, with the first password remembered."""
    state: dict[str, dict[str, Any]] = {
        "etcd-owner": {"output": "the stack"},
        "etcd-root-password": {"output": {"password": "the first", "begun": "the stack"}},
    }
    wanted = cluster(1, root_password_generation=number, **settings)
    return record(wanted, preview=preview, state=state)


def logins(found: Recording, name: str) -> list[str]:
    text = found.command(name).inputs["stdin"]["value"]
    return [json.loads(line)["password"] for line in text.splitlines()]


def test_the_password_before_logs_in_until_the_new_one_is_set() -> None:
    found = rotated(2, root_password="the second")
    for name in ("etcd-1-binary", "etcd-1-member", "etcd-1-rollout", "etcd-access"):
        assert logins(found, name) == ["the second", "the first"], name
    assert found.outputs["etcd"]["root_password"] == "the second"
    # Who leaves in the same run knows the former one only, so who stays is said.
    assert "--peers" in found.command("etcd-access").inputs["create"]
    assert "--peers" not in rotated(1, root_password=None).command("etcd-access").inputs["create"]


def test_a_new_cluster_may_begin_with_any_generation() -> None:
    found = record(cluster(1, root_password=None, root_password_generation=7))
    (password,) = logins(found, "etcd-access")
    assert password == found.outputs["etcd"]["root_password"]
    assert len(password) == 32


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize(
    ("number", "settings", "said"),
    [
        (3, {"root_password": None}, "raise it by one"),
        (3, {"root_password": "another"}, "raise it by one"),
        (1, {"root_password": "another"}, "raise etcd_root_password_generation to 2"),
    ],
)
def test_a_password_that_nobody_could_set_is_refused_before_anything_is_changed(
    number: int, settings: dict[str, Any], said: str, preview: bool
) -> None:
    with pytest.raises(pulumi.RunError, match=said):
        rotated(number, preview=preview, **settings)


def test_a_given_password_stays_when_it_is_no_longer_given() -> None:
    assert rotated(1, root_password=None).outputs["etcd"]["root_password"] == "the first"


@pytest.mark.usefixtures("same_tokens")
def test_signed_tokens_and_their_keys_are_a_rollout_and_simple_ones_change_nothing() -> None:
    simple, first, second = (
        record(cluster(3, **settings))
        for settings in (
            {},
            {"auth_token": "jwt"},
            {"auth_token": "jwt", "auth_token_generation": 2},
        )
    )
    assert "token" not in simple.command("etcd-1-tls").inputs["stdin"]["value"]
    assert "auth-token" not in simple.command("etcd-1-config").inputs["stdin"]
    given = first.command("etcd-1-tls")
    assert given.is_secret("stdin")
    assert given.inputs["stdin"]["value"].endswith(
        "--- token.pub\npublicKeyPem of etcd-token\n--- token.key\nprivateKeyPem of etcd-token\n"
    )
    assert "auth-token: jwt,pub-key=" in first.command("etcd-1-config").inputs["stdin"]
    assert {"etcd-1-rollout", "etcd-2-rollout", "etcd-3-rollout"} <= run_again(simple, first)
    # The configuration is the same with other keys.
    assert run_again(first, second) == {f"etcd-{seq}-rollout" for seq in (1, 2, 3)}


def test_no_default_password_exists() -> None:
    one, two = (record(cluster(1, root_password=None)) for _ in range(2))
    assert one.outputs["etcd"]["root_password"] != two.outputs["etcd"]["root_password"]


@pytest.mark.parametrize("safeguard", [True, False])
def test_the_safeguard_protects_seats_and_what_cannot_be_made_again(safeguard: bool) -> None:
    found = record(cluster(3, safeguard=safeguard))
    for name in ("etcd-1-member", "etcd-2-member", "etcd-3-member"):
        assert found.command(name).protect is safeguard, name
    assert found.stash("etcd-genesis").protect is found.stash("etcd-owner").protect is safeguard
    assert found.resources["tls:index/privateKey:PrivateKey", "etcd-ca"].protect is safeguard
    # A certificate must stay renewable, which is a replacement.
    leaf = found.resources["tls:index/locallySignedCert:LocallySignedCert", "etcd-1"]
    assert not leaf.protect


def test_machines_are_marked_so_that_another_stack_leaves_them_alone(three: Recording) -> None:
    owner = three.stash("etcd-owner")
    assert owner.ignore_changes == ("input",)
    mark = owner.inputs["input"]
    node = three.command("etcd-1-node")
    assert " claim " in node.inputs["create"]
    assert " own " not in node.inputs["create"]
    assert " claim " in node.inputs["update"]
    assert all(
        f"--owner {mark} " in one.inputs[script]
        for name, one in three.node_commands.items()
        # It changes nothing but what the login itself could.
        if not name.endswith("-login")
        for script in ("create", "update", "delete")
        if one.inputs.get(script)
    )


def test_a_refused_destroy_touches_nothing_and_names_the_safeguard() -> None:
    found = record(cluster(3, safeguard=True))
    guard = found.resources["etcd:index:Safeguard", "etcd-safeguard"]
    assert guard.protect
    # What nothing depends on is deleted first: that must be protected, too.
    needed = {key for one in found.resources.values() for key in one.needs}
    last = {key for key in found.resources if key not in needed}
    parents = {"etcd:index:Cluster", "etcd:index:Instance", "etcd:index:Pki"}
    assert all(found.resources[key].protect for key in last if key[0] not in parents)


def test_erasing_a_node_does_what_the_settings_say() -> None:
    def delete(**settings: Any) -> str:
        return str(record(cluster(1, **settings)).command("etcd-1-node").inputs["delete"])

    assert "--remove-data" in delete()
    assert "--remove-software" not in delete()
    assert "--remove-data" not in delete(rm_data=False)
    assert "--remove-software" in delete(rm_pkg=True)


def test_another_version_shows_in_programs_files_and_rollouts_and_nowhere_else(
    three: Recording,
) -> None:
    changed = record(cluster(3, version="3.7.3"))
    differing = {
        name
        for name, one in three.commands.items()
        if "create" not in one.ignore_changes
        and "*" not in one.ignore_changes
        and one.inputs.get("create") != changed.command(name).inputs.get("create")
    }
    wanted = {f"etcd-{seq}-{step}" for seq in (1, 2, 3) for step in ("binary", "config", "rollout")}
    assert differing == wanted
    for name in wanted:
        assert "--version 3.7.3" in changed.command(name).inputs["create"]


def test_a_rollout_names_what_it_rolls_out(three: Recording) -> None:
    changed = record(cluster(3, snapshot_count=5000))
    again = record(cluster(3))
    for seq in (1, 2, 3):
        name = f"etcd-{seq}-rollout"
        before = three.command(name).inputs["create"]
        assert changed.command(name).inputs["create"] != before
        assert again.command(name).inputs["create"] == before


def test_a_given_ca_is_used_and_its_key_is_secret() -> None:
    found = record(cluster(1, ca_cert="CA CERTIFICATE", ca_key="CA KEY"))
    assert ("tls:index/privateKey:PrivateKey", "etcd-ca") not in found.resources
    leaf = found.resources["tls:index/locallySignedCert:LocallySignedCert", "etcd-1"]
    assert leaf.inputs["caCertPem"] == "CA CERTIFICATE"
    assert leaf.is_secret("caPrivateKeyPem")
    assert found.outputs["etcd"]["ca_cert"] == "CA CERTIFICATE\n"


CA_KEY = "tls:index/privateKey:PrivateKey"
CERTIFICATE = "tls:index/locallySignedCert:LocallySignedCert"


def test_one_ca_signs_and_all_are_trusted_by_members_and_clients() -> None:
    found = record(cluster(3, ca_trusted=(1, 2), ca_signing=2, safeguard=True))
    for name in ("etcd-1", "etcd-2", "etcd-3", "etcd-client", "etcd-monitoring"):
        assert found.resources[CERTIFICATE, name].inputs["caCertPem"] == "certPem of etcd-ca-2\n"
    both = "certPem of etcd-ca\ncertPem of etcd-ca-2\n"
    assert found.outputs["etcd"]["ca_cert"] == both
    assert both in found.command("etcd-1-tls").inputs["stdin"]["value"]
    # What does not sign may go, however the cluster is guarded.
    assert found.resources[CA_KEY, "etcd-ca-2"].protect
    assert not found.resources[CA_KEY, "etcd-ca"].protect


def test_a_ca_that_only_is_trusted_needs_no_key() -> None:
    found = record(cluster(1, ca_cert="GIVEN", ca_trusted=("given", 1), ca_signing=1))
    assert found.outputs["etcd"]["ca_cert"] == "GIVEN\ncertPem of etcd-ca\n"


def test_a_ca_stays_when_another_validity_is_wanted(three: Recording) -> None:
    made = three.resources["tls:index/selfSignedCert:SelfSignedCert", "etcd-ca"]
    assert made.ignore_changes == ("validityPeriodHours",)


def test_a_raised_generation_renews_every_key_but_the_ca_s(three: Recording) -> None:
    raised = record(cluster(3, cert_generation=2))
    renamed = {name for kind, name in raised.resources.keys() - three.resources.keys()}
    assert renamed == {
        "etcd-1-g2",
        "etcd-2-g2",
        "etcd-3-g2",
        "etcd-client-g2",
        "etcd-monitoring-g2",
    }
    request = raised.resources["tls:index/certRequest:CertRequest", "etcd-1"]
    assert request.inputs["privateKeyPem"]["value"] == "privateKeyPem of etcd-1-g2\n"


def test_a_step_of_a_rotation_is_remembered_when_it_is_complete() -> None:
    found = record(cluster(3, ca_trusted=(1, 2), ca_signing=1))
    signs, trusted = found.stash("etcd-ca-1-signs"), found.stash("etcd-ca-1-2-trusted")
    assert {
        "etcd-1-tls",
        "etcd-2-tls",
        "etcd-3-tls",
        "etcd-client",
        "etcd-monitoring",
    } <= signs.depends_on
    assert {"etcd-1-rollout", "etcd-2-rollout", "etcd-3-rollout"} <= trusted.depends_on
    assert signs.depends_on | trusted.depends_on <= found.stash("etcd-certified").depends_on
    for one in (signs, trusted, found.stash("etcd-certified")):
        assert one.ignore_changes == ("input",)


def remembered(*names: str) -> dict[str, dict[str, Any]]:
    return {f"etcd-{name}": {"output": "an earlier run"} for name in names}


def test_a_client_gets_a_new_certificate_when_all_nodes_have_agreed(three: Recording) -> None:
    for name in ("etcd-client", "etcd-monitoring"):
        needed = three.resources[CERTIFICATE, name].depends_on
        assert {"etcd-1-tls", "etcd-2-tls", "etcd-3-tls"} <= needed


@pytest.mark.parametrize(
    ("wanted", "before", "refused"),
    [
        # A new cluster, and one whose making was cut off.
        ({"ca_trusted": (1, 2), "ca_signing": 2}, [], None),
        ({"ca_trusted": (2,)}, ["ca-2-signs"], None),
        # Nothing changed; one more is trusted; signing moves; the other goes.
        ({}, ["certified", "ca-1-signs"], None),
        ({"ca_trusted": (1, 2), "ca_signing": 1}, ["certified", "ca-1-signs"], None),
        ({"ca_trusted": (1, 2), "ca_signing": 2}, ["certified", "ca-1-2-trusted"], None),
        ({"ca_trusted": (2,)}, ["certified", "ca-2-signs"], None),
        # Too early.
        ({"ca_trusted": (1, 2), "ca_signing": 2}, ["certified"], "CA 2 cannot sign yet"),
        ({"ca_trusted": (2,)}, ["certified"], "only CA 2 would be trusted"),
        (
            {"ca_cert": "GIVEN", "ca_key": "KEY"},
            ["certified", "ca-given-00000000-signs"],
            "is not exchanged for another in place",
        ),
    ],
)
def test_a_preview_refuses_a_step_whose_predecessor_is_not_complete(
    wanted: dict[str, Any], before: list[str], refused: str | None
) -> None:
    model, state = cluster(3, **wanted), remembered(*before)
    if refused is None:
        record(model, preview=True, state=state)
    else:
        with pytest.raises(pulumi.RunError, match=refused):
            record(model, preview=True, state=state)


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (31, ""),
        (29, "ends on 2030-01-30, in 29 days, and this update does not renew it"),
        (-1, "ended on 2029-12-31, and this update does not renew it"),
    ],
)
def test_what_ends_soon_is_told(days: int, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    now = datetime(2030, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(expiry, "now", lambda: now)
    monkeypatch.setattr(pulumi, "warn", said.append)
    end = {"validityEndTime": (now + timedelta(days=days)).isoformat()}
    record(cluster(1), state={"etcd-1": end, "etcd-ca": end})
    what = ("CA 1 of cluster etcd", "the certificate of etcd-1") if told else ()
    assert [line.partition(":")[0] for line in sorted(said)] == [f"{one} {told}" for one in what]


def test_the_end_of_a_given_ca_is_read_from_its_pem(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi, "warn", said.append)
    record(cluster(1, ca_cert=Authority().pem, ca_key="KEY"))
    (line,) = said
    assert re.match(r"the CA in etcd_ca_cert ends on \d{4}-\d\d-\d\d, in 29 days, and", line)


def test_member_certificates_serve_both_ways_and_carry_every_name(three: Recording) -> None:
    leaf = three.resources["tls:index/locallySignedCert:LocallySignedCert", "etcd-1"]
    assert leaf.inputs["allowedUses"] == ["client_auth", "digital_signature", "server_auth"]
    request = three.resources["tls:index/certRequest:CertRequest", "etcd-1"]
    assert request.inputs["dnsNames"] == ["etcd", "etcd-1", "localhost"]
    assert request.inputs["ipAddresses"] == ["10.10.10.10", "127.0.0.1", "::1"]
    for name in ("etcd-client", "etcd-monitoring"):
        client = three.resources["tls:index/locallySignedCert:LocallySignedCert", name]
        assert client.inputs["allowedUses"] == ["client_auth", "digital_signature"]
        asked = three.resources["tls:index/certRequest:CertRequest", name]
        assert "dnsNames" not in asked.inputs


def test_keys_are_ecdsa_p256(three: Recording) -> None:
    keys = [one for (kind, _), one in three.resources.items() if kind.endswith(":PrivateKey")]
    assert len(keys) == 6  # the CA, three members, a client, who reads metrics
    for one in keys:
        assert (one.inputs["algorithm"], one.inputs["ecdsaCurve"]) == ("ECDSA", "P256")


def test_outputs_give_a_client_all_it_needs(three: Recording) -> None:
    outputs = three.outputs["etcd"]
    assert outputs["endpoints"] == ["10.10.10.10:2379", "10.10.10.11:2379", "10.10.10.12:2379"]
    assert outputs["client_urls"] == (
        "https://10.10.10.10:2379,https://10.10.10.11:2379,https://10.10.10.12:2379"
    )
    assert outputs["members"][1] == {
        "instance": "etcd-2",
        "ip": "10.10.10.11",
        "client_url": "https://10.10.10.11:2379",
        "peer_url": "https://10.10.10.11:2380",
    }
    assert three.secret_outputs >= {"client_key", "root_password"}
    assert not three.secret_outputs & {"endpoints", "client_urls", "ca_cert", "members"}


def test_the_first_preview_works_with_values_that_are_not_known_yet() -> None:
    found = record(cluster(3), preview=True)
    assert len(found.node_commands) == 3 * 7 + 1
    assert "--founders" in found.command("etcd-1-member").inputs["create"]


def test_several_clusters_stand_side_by_side() -> None:
    found = record(cluster(1), cluster(1, name="other"))
    assert {"etcd-1-member", "other-1-member"} <= set(found.commands)
    assert set(found.outputs) == {"etcd", "other"}


def test_the_archive_is_fetched_with_its_checksum(three: Recording) -> None:
    text = three.command("etcd-1-binary").inputs["create"]
    assert f"--sha256-amd64 {'a' * 64}" in text
    assert f"--sha256-arm64 {'b' * 64}" in text
    assert "--url 'https://mirror.example/v{version}/etcd-{arch}.tar.gz'" in text


def test_an_archive_is_uploaded_under_a_name_that_follows_its_node(tmp_path: Path) -> None:
    archive = tmp_path / "etcd.tar.gz"
    archive.write_bytes(b"archive")
    found = record(cluster(1, install="upload", archive_file=str(archive)))
    upload = found.resources["command:remote:CopyToRemote", "etcd-1-archive"]
    path = upload.inputs["remotePath"]
    assert "10.10.10.10" in path
    # In the login's own directory: in one of everybody a link could be in its place.
    assert "/" not in path
    assert f"--archive {path}" in found.command("etcd-1-binary").inputs["create"]
    assert "etcd-1-archive" in found.command("etcd-1-binary").depends_on


def test_an_archive_is_uploaded_again_to_a_machine_that_may_have_lost_it(tmp_path: Path) -> None:
    archive = tmp_path / "etcd.tar.gz"
    archive.write_bytes(b"archive")
    model = cluster(1, install="upload", archive_file=str(archive))
    before = record(model)
    for number in ("reseat", "repair"):
        raised: dict[str, Any] = {number: 1}
        asked = dataclasses.replace(model.instances[0], **raised)
        after = record(dataclasses.replace(model, instances=(asked,)))
        upload = ("command:remote:CopyToRemote", "etcd-1-archive")
        path = after.resources[upload].inputs["remotePath"]
        assert path != before.resources[upload].inputs["remotePath"]
        assert f"--archive {path}" in after.command("etcd-1-binary").inputs["create"]


# ---- clients' certificates, and what is revoked


def client(name: str, **more: Any) -> Client:
    return Client(name, "plain", Permission("readwrite", "prefix", f"/{name}/"), **more)


SERIALS = "command:local:Command"


def test_a_client_has_a_certificate_of_its_name_for_client_use_only() -> None:
    found = record(cluster(3, clients=(client("tool"), client("client"))))
    made = found.resources[CERTIFICATE, "etcd:tool"]
    assert made.inputs["allowedUses"] == ["client_auth", "digital_signature"]
    assert made.parent == "etcd:tool"
    request = found.resources["tls:index/certRequest:CertRequest", "etcd:tool"]
    assert request.inputs["subject"]["commonName"] == "tool"
    assert not {"dnsNames", "ipAddresses"} & request.inputs.keys()
    assert {"etcd-1-tls", "etcd-2-tls", "etcd-3-tls"} <= made.depends_on
    # A CA has replaced another when clients, too, have certificates of it.
    assert {"etcd:tool", "etcd:client"} <= found.stash("etcd-certified").depends_on
    number = f"{serial('etcd:tool'):x}"
    remembered_ = found.resources[SERIALS, "etcd:tool:serials-1"].inputs
    assert remembered_["create"] == f"echo {number}"
    assert remembered_["update"] == f'echo "$PULUMI_COMMAND_STDOUT" {number}'


def test_either_generation_makes_a_client_another_key() -> None:
    def names(own: int, of_all: int) -> set[str]:
        found = record(
            cluster(1, cert_generation=of_all, clients=(client("tool", cert_generation=own),))
        )
        return {name for kind, name in found.resources if kind == CA_KEY and ":" in name}

    assert [names(*one) for one in ((1, 1), (2, 1), (1, 2), (2, 2))] == [
        {"etcd:tool"},
        {"etcd:tool:2"},
        {"etcd:tool-g2"},
        {"etcd:tool:2-g2"},
    ]


def test_what_was_made_in_a_revoked_generation_is_listed_and_shown() -> None:
    wanted = cluster(
        3, clients=(client("tool", cert_generation=3, revoked=(1,)),), revoked=("a1", "b2")
    )
    # Renewed once, and recorded twice by an update that was repeated.
    state = {"etcd:tool:serials-1": {"stdout": "c3 c3 d4"}, "etcd:tool:serials-2": {"stdout": "e5"}}
    found = record(wanted, state=state)
    for seq in (1, 2, 3):
        tls = found.command(f"etcd-{seq}-tls").inputs
        assert [line.strip(" \\") for line in tls["create"].splitlines()[4:]] == [
            "--revoked tool:1=c3",
            "--revoked tool:1=d4",
            "--revoked a1",
            "--revoked b2",
        ]
        listed = base64.b64decode(tls["stdin"]["value"].partition("--- revoked.crl\n")[2])
        assert listed.startswith(b"certPem of etcd-ca, privateKeyPem of etcd-ca: ")
        assert str([0xA1, 0xB2, 0xC3, 0xD4]) in listed.decode()
    for generation in (1, 2):
        former = found.resources[SERIALS, f"etcd:tool:serials-{generation}"]
        assert former.ignore_changes == ("*",)
        assert not {"create", "update", "delete"} & former.inputs.keys()
        # Or members could be told of a revocation only after a certificate that waits for them.
        assert not former.needs - {("etcd:index:Client", "etcd:tool")}


def test_what_is_revoked_is_known_in_a_preview(three: Recording) -> None:
    state = {"etcd:tool:serials-1": {"stdout": "c3"}}
    wanted = cluster(1, clients=(client("tool", cert_generation=2, revoked=(1,)),))
    shown = record(wanted, preview=True, state=state).command("etcd-1-tls")
    assert "--revoked tool:1=c3" in shown.inputs["create"]
    assert "--revoked" not in three.command("etcd-1-tls").inputs["create"]


@pytest.mark.parametrize("name", ["etcd-1", "etcd-client", "etcd:tool"])
def test_a_certificate_in_use_is_not_revoked_by_its_number(name: str) -> None:
    wanted = cluster(1, clients=(client("tool"),), revoked=(f"{serial(name):x}",))
    with pytest.raises(pulumi.RunError, match=f"the certificate of {name} that is in use"):
        record(wanted)


def test_the_end_of_a_client_s_certificate_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi, "warn", said.append)
    end = {"validityEndTime": (datetime.now(UTC) + timedelta(days=3)).isoformat()}
    record(cluster(1, clients=(client("tool"),)), state={"etcd:tool": end})
    assert [line.partition(" ends on")[0] for line in said] == ["the certificate of etcd:tool"]


def test_trees_say_what_becomes_of_the_data() -> None:
    def markers(model: Cluster) -> dict[str, str]:
        return {
            name: one.parent
            for (kind, name), one in record(model).resources.items()
            if kind == "etcd:index:DataDirectory"
        }

    assert markers(cluster(2)) == {
        "etcd-1: /data/etcd on 10.10.10.10, deleted with it": "etcd-1",
        "etcd-2: /data/etcd on 10.10.10.11, deleted with it": "etcd-2",
    }
    assert set(markers(cluster(1, rm_data=False))) == {"etcd-1: /data/etcd on 10.10.10.10, kept"}
    model = cluster(2)
    one, two = model.instances
    six = dataclasses.replace(one, node=node("fd00::1"))
    lost = dataclasses.replace(two, lost=True)
    assert set(markers(dataclasses.replace(model, instances=(six, lost)))) == {
        "etcd-1: /data/etcd on fd00:0000:0000:0000:0000:0000:0000:0001, deleted with it",
        "etcd-2: /data/etcd on 10.10.10.11, left alone",
    }


def test_data_whose_fate_changes_are_not_shown_as_deleted() -> None:
    model = cluster(1)
    lost = dataclasses.replace(model.instances[0], lost=True)
    names: dict[str, frozenset[str]] = {}
    for one in (
        model,
        cluster(1, rm_data=False),
        dataclasses.replace(cluster(2), instances=(lost, cluster(2).instances[1])),
    ):
        found = record(one).resources.items()
        names |= {
            name: registered.aliases
            for (kind, name), registered in found
            if kind == "etcd:index:DataDirectory" and name.startswith("etcd-1")
        }
    assert len(names) == 3
    for name, aliases in names.items():
        assert {name, *aliases} == set(names)


@pytest.mark.usefixtures("same_tokens")
def test_whether_data_are_kept_changes_what_is_deleted_and_nothing_else() -> None:
    removed, kept = record(cluster(3)), record(cluster(3, rm_data=False))
    for key, one in removed.resources.items():
        if key[0] == "etcd:index:DataDirectory":
            assert key not in kept.resources
            continue
        same = kept.resources[key]
        ignored = {*one.ignore_changes, *(["delete"] if key[1].endswith("-node") else [])}
        assert {k: v for k, v in one.inputs.items() if k not in ignored} == {
            k: v for k, v in same.inputs.items() if k not in ignored
        }, key


@pytest.mark.parametrize(
    ("missing", "ignored"),
    [
        # As long as it has not joined, what was wrong can be corrected.
        (("-node", "-member"), ()),
        (("-member",), ()),
        (("-2-member",), ()),
        (("nothing",), ("input",)),
    ],
)
def test_what_is_recorded_of_an_instance_binds_once_it_has_joined(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], ignored: tuple[str, ...]
) -> None:
    before = left(record(cluster(2)), without=lambda one: one.name.endswith(missing))
    monkeypatch.setattr(previous, "found", lambda: before)
    place = record(cluster(2)).stash("etcd-2-place")
    assert place.ignore_changes == ignored
    # An update of a Stash would leave its output as it was.
    assert place.replace_on_changes == (() if ignored else ("input",))


def test_a_new_stack_binds_nothing_and_an_unknown_one_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for before, ignored in ((previous.Previous(), ()), (previous.UNKNOWN, ("input",))):
        monkeypatch.setattr(previous, "found", lambda kept=before: kept)
        assert record(cluster(1)).stash("etcd-1-place").ignore_changes == ignored
