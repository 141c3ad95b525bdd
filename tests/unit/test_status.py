"""What `status` reads from a state, what it makes of what it sees, and how it says so."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import ssl
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from etcd_component import __main__ as command_line
from etcd_component import exporter, model, packing, status
from etcd_component.etcd_api.members import Alarm
from etcd_component.etcd_api.members import Member as Listed
from etcd_component.status import access, declared, machines, told
from etcd_component.status.asked import Answer, Listing
from etcd_component.status.facts import Facts, NotLookedAt, parse
from etcd_component.status.judged import judge
from etcd_component.status.report import Exit, Remedy, Report, Seen
from tests.unit.recording import PASSWORD, PRIVATE_KEY, SECRET, cluster, record

NOW = 1_800_000_000.0
DAY = 86400
BASTION = model.Login("gate", 2222, "ops", False, "GATE KEY", None, False, "ssh-ed25519 GATE")


def exported(*models: model.Cluster) -> dict[str, Any]:
    """The state that an update with these clusters leaves, as Pulumi exports it."""
    made = {"LocallySignedCert": "certPem", "SelfSignedCert": "certPem"}

    def above(parent: str) -> str:
        return "etcd:index:Instance$" if ("etcd:index:Instance", parent) in recorded else ""

    recorded = record(*models).resources
    resources = [
        {
            "urn": f"urn:pulumi:test::etcd::{above(one.parent)}{kind}::{name}",
            "type": kind,
            "inputs": hidden(one.inputs),
            "outputs": {made[kind.rpartition(":")[2]]: f"certPem of {name}\n"}
            if kind.rpartition(":")[2] in made
            else hidden(one.outputs),
        }
        for (kind, name), one in recorded.items()
    ]
    return {"resources": [{"type": "pulumi:pulumi:Stack", "urn": "a::b"}, *resources]}


def test_a_role_may_be_called_as_a_file_of_an_instance_is() -> None:
    role = model.Role("1-config", ())
    (found,) = declared.read(exported(cluster(3, roles=(role,))), "test")
    assert [one.name for one in found.members] == ["etcd-1", "etcd-2", "etcd-3"]


def hidden(value: Any) -> Any:
    """A value as the state has it: what is secret is JSON in its own envelope."""
    if isinstance(value, dict):
        if SECRET in value and "value" in value:
            return {SECRET: value[SECRET], "plaintext": json.dumps(hidden(value["value"]))}
        return {key: hidden(each) for key, each in value.items()}
    return [hidden(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def three() -> declared.Cluster:
    (found,) = declared.read(exported(cluster(3)), "test")
    return found


# ---- what the stack says


def test_the_state_of_an_update_says_what_was_put_on_each_node(three: declared.Cluster) -> None:
    assert [one.name for one in three.members] == ["etcd-1", "etcd-2", "etcd-3"]
    second = three.members[1]
    assert (second.address, second.version, second.learner) == ("10.10.10.11", "3.6.14", False)
    files = second.files
    assert files is not None
    assert files.settings.startswith("name: etcd-2\n")
    assert files.unit.startswith("# Written by etcd-node.")
    assert files.ca == "certPem of etcd-ca\n"
    assert files.certificate == "certPem of etcd-2\n"
    assert files.program == packing.sha256()
    assert files.data_dir == "/data/etcd"
    assert len(files.owner) == 16
    assert files.rolled_out
    assert files.repair == 0
    login = files.login
    assert (login.host, login.port, login.user, login.sudo) == ("10.10.10.11", 22, "admin", True)
    assert login.private_key == PRIVATE_KEY
    assert login.host_key == "ssh-ed25519 AAAA"
    assert three.root_passwords == (PASSWORD,)


@pytest.mark.parametrize(
    ("step", "field", "wanted"), [("rollout", "create", "3.6.14"), ("node", "update", "claim")]
)
def test_after_an_update_that_failed_the_state_says_who_was_left_out(
    step: str, field: str, wanted: str
) -> None:
    state = exported(cluster(3))
    (command,) = (one for one in state["resources"] if one["urn"].endswith(f"::etcd-2-{step}"))
    assert wanted in command["inputs"][field]
    command["inputs"][field] = "as the update before wanted it"
    (found,) = declared.read(state, "test")
    done = [one.files.rolled_out for one in found.members if one.files]
    assert done == [True, False, True]


def test_what_another_version_of_the_program_has_written_is_not_read() -> None:
    for change, said in (({"schema": 2}, "another version of this program"), (None, "cut off")):
        state = exported(cluster(1))
        (instance,) = (one for one in state["resources"] if one["type"] == "etcd:index:Instance")
        if change:
            instance["outputs"]["desired"].update(change)
        else:
            instance["outputs"] = {}
        with pytest.raises(declared.CannotRead, match=f"{said}.*run `pulumi up`"):
            declared.read(state, "test")


def test_access_is_not_compared_while_no_update_has_got_so_far() -> None:
    state = exported(cluster(3))
    (whole,) = (one for one in state["resources"] if one["type"] == "etcd:index:Cluster")
    whole["outputs"] = {}
    (found,) = declared.read(state, "test")
    assert found.access is None
    strangers = access.Access({"stranger": frozenset()}, {})
    assert judge(listing_access(clean(found), strangers)).findings == ()


def test_members_that_sign_tokens_run_what_the_stack_says() -> None:
    (found,) = declared.read(exported(cluster(1, auth_token="jwt")), "test")
    files = found.members[0].files
    assert files is not None
    assert "auth-token: jwt" in files.settings
    assert files.rolled_out


def test_login_and_repair_number_are_the_host_s_own() -> None:
    wanted = cluster(1)
    host = wanted.instances[0]
    login = dataclasses.replace(
        host.node.login, user="root", sudo=False, private_key=None, agent=True, bastion=BASTION
    )
    node = dataclasses.replace(host.node, login=login)
    host = dataclasses.replace(host, node=node, repair=7, learner=True)
    (found,) = declared.read(
        exported(dataclasses.replace(wanted, instances=(host, *cluster(2).instances[1:]))), "test"
    )
    member = found.members[0]
    assert member.learner
    assert member.files is not None
    assert member.files.repair == 7
    assert member.files.login == login


def test_several_clusters_of_a_stack_are_told_apart() -> None:
    found = declared.read(exported(cluster(1), cluster(1, name="other")), "test")
    assert [one.name for one in found] == ["etcd", "other"]
    assert [[each.name for each in one.members] for one in found] == [["etcd-1"], ["other-1"]]
    other = found[1].members[0].files
    assert other is not None
    assert "other" in other.settings


def test_a_stack_that_never_got_far_says_so() -> None:
    whole = exported(cluster(1))
    begun = {"resources": [one for one in whole["resources"] if "-member" not in one["urn"]]}
    states: list[dict[str, Any]] = [{}, {"resources": []}, {"resources": whole["resources"][:1]}]
    for state in (*states, begun):
        with pytest.raises(declared.CannotRead, match="no `pulumi up` of it has got so far"):
            declared.read(state, "new")


def test_lost_machines_and_what_is_on_its_way_out_are_not_looked_at() -> None:
    wanted = cluster(3)
    lost = dataclasses.replace(wanted.instances[2], lost=True)
    state = exported(dataclasses.replace(wanted, instances=(*wanted.instances[:2], lost)))
    # What is in the state of a machine that is lost stays there.
    before = exported(wanted)["resources"]
    state["resources"] += [one for one in before if "etcd-3-" in one["urn"]]
    state["resources"] += [{**one, "delete": True} for one in before if "etcd-1" in one["urn"]]
    (found,) = declared.read(state, "test")
    assert [one.name for one in found.members] == ["etcd-1", "etcd-2"]


def test_no_text_of_what_is_declared_shows_a_secret(three: declared.Cluster) -> None:
    for secret in (PASSWORD, PRIVATE_KEY, "privateKeyPem"):
        assert secret not in repr(three)


# ---- what follows


@pytest.fixture(autouse=True)
def plain_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates in these tests are words."""
    monkeypatch.setattr(ssl, "PEM_cert_to_DER_cert", str.encode)


def answer(member: declared.Member, **more: Any) -> Answer:
    assert member.files is not None
    said: dict[str, Any] = {
        "certificate": member.files.certificate.encode(),
        "expires": NOW + 400 * DAY,
        "healthy": True,
        "id": int(member.name[-1]),
        "version": "3.6.14",
        "cluster_version": "3.6.0",
        "leads": member.name == "etcd-1",
        "has_leader": True,
        "index": 5000,
        "applied": 5000,
        "size": 2 * 1024**2,
        "in_use": 1024**2,
        "quota": 8 * 1024**3,
    }
    return Answer(**said | more)


def listed(member: declared.Member, **more: Any) -> Listed:
    own = Listed(int(member.name[-1]), member.name, (member.peer_url,), (member.client_url,))
    return dataclasses.replace(own, **more)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def facts(member: declared.Member, **more: Any) -> Facts:
    files = member.files
    assert files is not None
    found = Facts(
        owner=files.owner,
        program=files.program,
        stage="joined",
        data="whole",
        unit="active",
        version="3.6.14",
        reported="3.6.14",
        configuration=files.settings,
        settings=files.settings,
        unit_file=files.unit,
        ca=digest(files.ca),
        certificate=digest(files.certificate),
        revoked=files.revoked,
    )
    return dataclasses.replace(found, **more)


def clean(wanted: declared.Cluster) -> Seen:
    """Everything as the stack says."""
    return Seen(
        wanted,
        {one.client_url: answer(one) for one in wanted.members},
        Listing(tuple(listed(one) for one in wanted.members)),
        {one.name: facts(one) for one in wanted.members},
        NOW,
    )


def answering(seen: Seen, seq: int, **more: Any) -> Seen:
    member = seen.cluster.members[seq - 1]
    changed = Answer(**more) if "error" in more else answer(member, **more)
    return dataclasses.replace(seen, answers={**seen.answers, member.client_url: changed})


def with_facts(seen: Seen, seq: int, **more: Any) -> Seen:
    member = seen.cluster.members[seq - 1]
    return dataclasses.replace(seen, facts={**seen.facts, member.name: facts(member, **more)})


def listing(seen: Seen, *members: Listed, **more: Any) -> Seen:
    return dataclasses.replace(seen, listing=Listing(members, **more))


def found(seen: Seen) -> list[tuple[str, str, str]]:
    return [(one.key, one.member, one.remedy.value) for one in judge(seen).findings]


def test_a_cluster_that_is_as_declared_is_well(three: declared.Cluster) -> None:
    report = judge(clean(three))
    assert report.findings == ()
    assert report.exit == Exit.WELL
    assert (report.voters, report.well, report.quorum, report.may_be_lost) == (3, 3, 2, 1)
    assert report.leader == "etcd-1"
    assert told.verdict(report) == (
        "well. 3 of 3 voters are well, and 2 must be: 1 more may be lost."
    )
    assert list(told.edits(report)) == []


@pytest.mark.parametrize(
    ("there", "problem"), [("", "missing"), ("stopped", "stopped"), ("00", "changed"), (None, None)]
)
def test_what_tells_of_a_node_is_looked_at_where_it_should_be_there(
    there: str | None, problem: str | None
) -> None:
    wanted = cluster(1)
    (host,) = wanted.instances
    host = dataclasses.replace(host, exporter_port=2381)
    (kept,) = declared.read(exported(dataclasses.replace(wanted, instances=(host,))), "test")
    units = "".join(exporter.units(wanted, host).values())
    report = judge(with_facts(clean(kept), 1, exporter=digest(units) if there is None else there))
    said = [f"what tells of its node (etcd_exporter_port, etcd_textfile_dir) is {problem}"]
    assert [one.what for one in report.findings] == (said if problem else [])


@pytest.mark.parametrize(
    ("fact", "key"),
    [
        ({"owner": ""}, "owner"),
        ({"program": ""}, "program"),
        ({"program": "00"}, "program"),
        ({"unit": "inactive", "runs_the_files": False}, "unit-down"),
        ({"runs_the_files": False}, "restart-pending"),
        ({"is_enabled": False}, "unit-disabled"),
        ({"is_loaded": False}, "unit-not-loaded"),
        ({"version": "3.5.33", "reported": "3.5.33"}, "version-linked"),
        ({"reported": ""}, "version-linked"),
        ({"reported": "3.6.13"}, "version-linked"),
        ({"configuration": "name: x\n"}, "settings"),
        ({"settings": "name: x\n"}, "settings"),
        ({"is_composed": False}, "settings"),
        ({"stage": "none"}, "settings"),
        ({"unit_file": ""}, "unit"),
        ({"ca": "00"}, "ca"),
        ({"certificate": ""}, "certificate"),
        ({"revoked": ""}, "revoked"),
    ],
)
def test_what_was_changed_on_a_node_is_named_and_can_be_repaired(
    three: declared.Cluster, fact: dict[str, Any], key: str
) -> None:
    seen = with_facts(clean(three), 2, **fact)
    assert found(seen) == [(key, "etcd-2", "repair")]
    report = judge(seen)
    assert report.exit == Exit.DIFFERS
    assert list(told.edits(report)) == ["10.10.10.11: { etcd_seq: 2, etcd_repair: 1 }"]


def test_the_lines_of_a_file_that_differ_are_shown(three: declared.Cluster) -> None:
    files = three.members[1].files
    assert files is not None
    edited = files.settings.replace("snapshot-count: 10000", "snapshot-count: 5000")
    seen = with_facts(clean(three), 2, configuration=edited)
    text = told.as_text([judge(seen)], width=100, colour=False)
    assert "! etcd-2: etcd.yaml differs from the stack\n" in text
    assert "      - snapshot-count: 10000\n      + snapshot-count: 5000\n" in text
    many = with_facts(clean(three), 2, unit_file="\n".join(map(str, range(50))))
    (one,) = judge(many).findings
    assert len(one.lines) == 7


def test_another_stack_s_mark_is_for_a_person(three: declared.Cluster) -> None:
    assert found(with_facts(clean(three), 2, owner="other")) == [("owner", "etcd-2", "person")]


def test_a_drop_in_is_mentioned_and_is_no_fault(three: declared.Cluster) -> None:
    own = facts(three.members[0])
    seen = clean(three)
    seen = dataclasses.replace(
        seen, facts={**seen.facts, "etcd-1": dataclasses.replace(own, drop_ins=("/x.conf",))}
    )
    report = judge(seen)
    assert report.exit == Exit.WELL
    assert "- etcd-1: /x.conf adds to the unit\n" in told.as_text([report], width=100, colour=False)


def test_a_node_that_could_not_be_looked_at_is_said_with_the_reason(
    three: declared.Cluster,
) -> None:
    seen = clean(three)
    seen = dataclasses.replace(seen, facts={**seen.facts, "etcd-3": "Permission denied"})
    report = judge(seen)
    assert [one.key for one in report.findings] == ["not-looked-at"]
    assert "Permission denied" in report.findings[0].what
    # Who did not want it to be looked at hears nothing of it.
    assert judge(dataclasses.replace(seen, facts={})).exit == Exit.WELL


def test_lost_data_need_a_number_that_was_not_used_yet(three: declared.Cluster) -> None:
    seen = with_facts(clean(three), 3, stage="lost", rejoin=4, unit="failed")
    seen = answering(seen, 3, error="nothing listens there")
    report = judge(seen)
    assert [one.key for one in report.findings] == ["no-answer", "data-lost", "unit-down"]
    assert list(told.edits(report)) == ["10.10.10.12: { etcd_seq: 3, etcd_reseat: 5 }"]


def test_margins_are_counted_in_voters_that_are_well(three: declared.Cluster) -> None:
    silent = {"error": "no answer"}
    one = judge(answering(clean(three), 3, **silent))
    assert (one.exit, one.well, one.may_be_lost) == (Exit.DIFFERS, 2, 0)
    assert told.verdict(one) == (
        "SERVES WITHOUT MARGIN. 2 of 3 voters are well, and 2 must be: no other may be lost."
    )
    alone = {"healthy": False, "reason": "RAFT NO LEADER", "leads": False, "has_leader": False}
    two = answering(answering(clean(three), 3, **silent), 2, **silent)
    two = listing(answering(two, 1, **alone), refusal="no voter that follows a leader answers")
    two = dataclasses.replace(two, listing=Listing(refusal="nobody"))
    report = judge(two)
    assert (report.exit, report.well, report.may_be_lost) == (Exit.NO_QUORUM, 0, 0)
    assert told.verdict(report) == (
        "NO QUORUM. 0 of 3 voters are well, and 2 must be: nothing can be written."
    )


def test_two_members_that_only_we_do_not_reach_are_no_lost_quorum(three: declared.Cluster) -> None:
    seen = clean(three)
    for seq in (2, 3):
        seen = answering(seen, seq, error="no answer")
    report = judge(seen)
    assert report.exit == Exit.DIFFERS
    assert "as seen from here" in told.verdict(report)
    (first, _) = report.findings
    assert first.what == "etcd runs there, but does not answer here at 10.10.10.11:2379: no answer"


def test_silence_is_not_taken_for_knowledge(three: declared.Cluster) -> None:
    seen = clean(three)
    for seq in (1, 2, 3):
        seen = answering(seen, seq, error="no answer")
    report = judge(dataclasses.replace(seen, listing=Listing(refusal="nobody")))
    assert report.exit == Exit.NO_QUORUM
    assert told.verdict(report).startswith("NO ANSWER from any member")


def test_a_lone_member_is_well_though_it_may_not_be_lost() -> None:
    (lone,) = declared.read(exported(cluster(1)), "test")
    report = judge(clean(lone))
    assert report.exit == Exit.WELL
    assert told.verdict(report) == "well. 1 of 1 voter is well, and 1 must be: none may be lost."


def test_members_that_only_one_side_knows_are_named(three: declared.Cluster) -> None:
    first, second, third = (listed(one) for one in three.members)
    foreign = Listed(255, "", ("https://10.9.9.9:2380",), (), is_learner=True)
    seen = listing(clean(three), first, second, third, foreign)
    assert found(seen) == [("unknown-member", "ff", "person")]
    report = judge(seen)
    assert "`etcdctl member remove ff`" in report.findings[0].what
    assert report.voters == 3
    assert report.rows[-1].role == "unstarted"
    assert report.rows[-1].address == "10.9.9.9:2380"

    assert found(listing(clean(three), first, second)) == [("not-a-member", "etcd-3", "reseat")]
    started = dataclasses.replace(third, name="", client_urls=())
    assert ("unstarted", "etcd-3", "repair") in found(listing(clean(three), first, second, started))


def test_a_foreign_voter_counts_for_the_quorum(three: declared.Cluster) -> None:
    foreign = Listed(9, "x", ("https://10.9.9.9:2380",), ("https://10.9.9.9:2379",))
    report = judge(listing(clean(three), *(listed(one) for one in three.members), foreign))
    assert (report.voters, report.quorum, report.well, report.may_be_lost) == (4, 3, 3, 0)


def test_roles_that_differ_are_named(three: declared.Cluster) -> None:
    first, second, third = (listed(one) for one in three.members)
    learner = dataclasses.replace(third, is_learner=True)
    seen = listing(clean(three), first, second, learner)
    assert found(seen) == [("is-learner", "etcd-3", "repair")]
    assert judge(seen).voters == 2

    wanted = dataclasses.replace(three.members[2], learner=True)
    other = dataclasses.replace(three, members=(*three.members[:2], wanted))
    assert found(clean(other)) == [("is-voter", "etcd-3", "person")]
    assert judge(listing(clean(other), first, second, learner)).findings == ()


def test_a_member_is_known_by_its_id_before_its_peer_url(three: declared.Cluster) -> None:
    first, second, third = (listed(one) for one in three.members)
    moved = dataclasses.replace(third, peer_urls=("https://10.10.10.12:9999",))
    assert found(listing(clean(three), first, second, moved)) == [("peer-url", "etcd-3", "person")]


def test_without_a_login_the_nodes_say_who_the_members_are(three: declared.Cluster) -> None:
    foreign = Listed(9, "", ("https://10.9.9.9:2380",), ())
    seen = clean(three)
    own = facts(three.members[0], members=(*map(listed, three.members), foreign))
    seen = dataclasses.replace(
        seen, listing=Listing(refusal="etcd says no"), facts={**seen.facts, "etcd-1": own}
    )
    keys = [one.key for one in judge(seen).findings]
    assert keys == ["no-list", "unknown-member"]
    assert judge(seen).voters == 4


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"version": "3.6.13"}, "version-running"),
        ({"applied": 4000}, "lag"),
        ({"size": 7 * 1024**3}, "quota"),
        ({"healthy": False, "reason": "ALARM CORRUPT"}, "not-healthy"),
        ({"expires": NOW + 29 * DAY}, "certificate-ends"),
        ({"certificate": b"another"}, "certificate-served"),
        ({"error": "its certificate has expired", "expired": True}, "certificate-expired"),
        ({"error": "no answer"}, "no-answer"),
    ],
)
def test_what_a_member_says_that_is_not_well_is_named(
    three: declared.Cluster, said: dict[str, Any], key: str
) -> None:
    seen = answering(clean(three), 2, **said)
    assert [(one, who) for one, who, _ in found(seen)] == [(key, "etcd-2")]
    assert judge(seen).exit == Exit.DIFFERS


def test_a_member_that_was_asked_by_way_of_its_node_is_no_fault(three: declared.Cluster) -> None:
    report = judge(answering(clean(three), 2, detour=True))
    assert [(one.key, one.note) for one in report.findings] == [("detour", True)]
    assert report.exit == Exit.WELL


def test_alarms_and_open_access_are_named(three: declared.Cluster) -> None:
    members = [listed(one) for one in three.members]
    seen = listing(clean(three), *members, alarms=(Alarm(2, "NOSPACE"),), rbac=False)
    assert found(seen) == [("rbac-off", "etcd-1", "repair"), ("alarm", "etcd-2", "person")]
    assert judge(seen).alarms == ("NOSPACE at etcd-2",)


def test_an_update_that_was_not_finished_is_named(three: declared.Cluster) -> None:
    begun = dataclasses.replace(three.members[2], files=None)
    seen = clean(three)
    wanted = dataclasses.replace(three, members=(*three.members[:2], begun))
    left = {name: one for name, one in seen.facts.items() if name != "etcd-3"}
    seen = dataclasses.replace(seen, cluster=wanted, facts=left)
    assert found(seen) == [("not-finished", "etcd-3", "up")]


def test_a_rollout_that_is_still_to_come_is_no_drift(three: declared.Cluster) -> None:
    files = three.members[1].files
    assert files is not None
    waiting = dataclasses.replace(files, rolled_out=False)
    members = list(three.members)
    members[1] = dataclasses.replace(members[1], files=waiting)
    wanted = dataclasses.replace(three, members=tuple(members))
    seen = with_facts(clean(wanted), 2, runs_the_files=False, version="3.6.13")
    assert found(seen) == [("not-finished", "etcd-2", "up")]
    assert "Run `pulumi up`." in told.as_text([judge(seen)], width=100, colour=False)


# ---- how it is said


def test_an_ipv6_host_is_quoted_in_the_edit() -> None:
    wanted = cluster(1)
    host = wanted.instances[0]
    node = dataclasses.replace(host.node, address="fd00::1")
    moved = dataclasses.replace(wanted, instances=(dataclasses.replace(host, node=node, repair=2),))
    (found,) = declared.read(exported(moved), "test")
    report = judge(with_facts(clean(found), 1, is_enabled=False))
    assert list(told.edits(report)) == ['"fd00::1": { etcd_seq: 1, etcd_repair: 3 }']
    assert "[fd00::1]:2379" in told.as_text([report], width=100, colour=False)


def everything_wrong(wanted: declared.Cluster) -> Report:
    seen = with_facts(clean(wanted), 2, is_enabled=False, unit_file="\x1b[2Jx" * 200)
    return judge(answering(seen, 3, error="\x1b[31m" + "long " * 60))


def test_the_table_fits_a_terminal_and_moves_no_cursor(three: declared.Cluster) -> None:
    text = told.as_text([everything_wrong(three)], width=100, colour=False)
    assert "\x1b" not in text
    lines = [line for line in text.splitlines() if not line.startswith("      ")]
    assert max(len(line) for line in lines) <= 118
    assert "\x1b[1;33m" in told.as_text([everything_wrong(three)], width=100, colour=True)


def test_the_json_is_documented_and_holds_no_secret(three: declared.Cluster) -> None:
    found = told.as_json("test", [judge(clean(three)), everything_wrong(three)])
    assert found["exit"] == 1
    assert [one["exit"] for one in found["clusters"]] == [0, 1]
    page = (Path(__file__).parents[2] / "docs" / "status.md").read_text()

    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return {*value, *(key for each in value.values() for key in keys(each))}
        return {key for each in value for key in keys(each)} if isinstance(value, list) else set()

    assert {key for key in keys(found) if f"`{key}`" not in page} == set()
    for secret in (PASSWORD, "OPENSSH", "privateKeyPem"):
        assert secret not in json.dumps(found)


def test_every_finding_is_documented() -> None:
    source = "".join(file.read_text() for file in Path(status.__file__).parent.glob("*.py"))
    page = (Path(__file__).parents[2] / "docs" / "status.md").read_text()
    named = {
        key
        for line in page.splitlines()
        if line.startswith("| `")
        for key in line.split("|")[1].split("`")[1::2]
    }
    keys = set(re.findall(r'(?:Finding|found|changed|repairable|rejoin)\(\s*"([a-z-]+)"', source))
    keys |= {"ca", "certificate", "revoked"}
    assert len(keys) > 20
    assert keys <= named
    assert {one.value for one in Remedy} <= set(re.findall(r"`(\w+)`", page))


def test_a_wrong_command_line_is_not_taken_for_a_lost_quorum(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["etcd_component", "status"])
    assert command_line.main() == Exit.UNREADABLE
    monkeypatch.setattr(sys, "argv", ["etcd_component", "status", "prod"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert command_line.main() == Exit.UNREADABLE
    assert "there is no `pulumi` on PATH" in capsys.readouterr().err


# ---- the way to the nodes


def login(**more: Any) -> model.Login:
    own = model.Login("10.0.0.1", 2200, "admin", True, "THE KEY", None, False, "ssh-ed25519 AAAA")
    return dataclasses.replace(own, **more)


def test_keys_are_in_files_that_nobody_else_can_read(tmp_path: Path) -> None:
    place = tmp_path / "private"
    machines.prepare(login(private_key_passphrase="open sesame", bastion=BASTION), place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    for file in place.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    shown = subprocess.run(
        ["ssh", "-G", "-F", place / "config", "node"], capture_output=True, text=True, check=True
    ).stdout
    for line in (
        "hostname 10.0.0.1",
        "port 2200",
        "user admin",
        "proxyjump bastion",
        "stricthostkeychecking true",
        "identitiesonly yes",
    ):
        assert f"\n{line}\n" in f"\n{shown}", line
    assert (place / "node.known").read_text() == "node ssh-ed25519 AAAA\n"
    asked = f"Enter passphrase for key '{place / 'node.key'}': "
    answered = subprocess.run(
        [place / "askpass", asked], capture_output=True, text=True, check=True
    )
    assert answered.stdout == "open sesame\n"


def test_an_agent_s_key_needs_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(NotLookedAt, match="no agent runs here"):
        machines.prepare(login(private_key=None, agent=True), tmp_path / "x")


def document(**more: Any) -> dict[str, Any]:
    """What a node prints of an instance that is as it should be."""
    found = dataclasses.asdict(Facts(owner="a", program="00", stage="joined", data="whole"))
    return {"schema": 1, **found, **more}


def test_what_a_node_prints_is_one_document_perhaps_behind_a_greeting() -> None:
    member = {"ID": "255", "name": "n", "peerURLs": ["p"], "clientURLs": ["c"], "isLearner": True}
    said = document(drop_ins=["/x", "/y"], members=[member], rejoin=3, is_loaded=False)
    found = parse(f"Welcome!\n{json.dumps(said)}\n")
    assert (found.owner, found.stage, found.rejoin, found.is_loaded) == ("a", "joined", 3, False)
    assert found.drop_ins == ("/x", "/y")
    assert found.members == (Listed(255, "n", ("p",), ("c",), is_learner=True),)
    bare = parse('{"schema": 1, "owner": "", "program": "", "stage": "none"}')
    assert (bare.stage, bare.members) == ("none", ())


def test_what_is_no_document_of_a_node_is_not_taken_for_one() -> None:
    for text in ("Welcome to this machine\n", "", "[]", '{"owner": "a"}', "owner=a\nseat=taken\n"):
        with pytest.raises(NotLookedAt, match="is not understood"):
            parse(text)


@pytest.mark.parametrize(
    "more",
    [
        {"schema": 2},
        {"owner": None},
        {"rejoin": "3"},
        {"is_loaded": "yes"},
        {"drop_ins": [1]},
        {"members": [{"ID": "x"}]},
        {"members": "none"},
    ],
)
def test_a_document_of_another_version_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(NotLookedAt, match="of another version; run `pulumi up`"):
        parse(json.dumps(document(**more)))


def test_a_document_that_lacks_something_is_refused() -> None:
    said = document()
    del said["unit"]
    with pytest.raises(NotLookedAt, match="of another version"):
        parse(json.dumps(said))


# ---- users and roles


APP = model.Role(
    "app",
    (
        model.Permission("readwrite", "prefix", "/my app/"),
        model.Permission("read", "key", "/a"),
        model.Permission("write", "range", "/c", "/f"),
    ),
)
ANSWERS: dict[str, dict[str, Any]] = {
    "auth/user/list": {"users": ["root", "zoe"]},
    "auth/role/list": {"roles": ["app", "root"]},
    "auth/user/get": {"roles": ["app"]},
    "auth/role/get": {
        "perm": [
            {"key": "L2E="},
            {"permType": "WRITE", "key": "L2M=", "range_end": "L2Y="},
            {"permType": "READWRITE", "key": "L215IGFwcC8=", "range_end": "L215IGFwcDA="},
        ]
    },
}


def listing_access(seen: Seen, there: access.Access) -> Seen:
    return dataclasses.replace(seen, listing=dataclasses.replace(seen.listing, access=there))


@pytest.fixture(scope="module")
def with_access() -> Seen:
    users = (model.User("zoe", ("app",)),)
    (wanted,) = declared.read(exported(cluster(3, roles=(APP,), users=users)), "test")
    return listing_access(clean(wanted), access.listed(lambda path, _: ANSWERS[path]))


def test_users_and_roles_are_compared_with_what_was_declared(with_access: Seen) -> None:
    assert with_access.cluster.access == with_access.listing.access
    there = access.Access(
        {"zoe": frozenset({"other"}), "stranger": frozenset()}, {"by hand": frozenset()}
    )
    told = judge(listing_access(with_access, there)).findings
    assert [(one.what.partition(";")[0], one.member, one.note) for one in told] == [
        ("role app is not there", "etcd-1", False),
        ("user zoe has other roles than were declared: other", "etcd-1", False),
        ("nobody declared user stranger and role by hand", "", True),
    ]
    wanted = with_access.cluster.access
    assert wanted is not None
    (other,) = access.differences(wanted, access.Access(wanted.users, {"app": frozenset()}))
    assert other == "role app has other permissions than were declared"
    (gone,) = access.differences(wanted, access.Access({}, wanted.roles))
    assert gone == "user zoe is not there"
