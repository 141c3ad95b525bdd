"""What a preview says of nodes and members that it has looked at."""

from __future__ import annotations

import dataclasses
import json
import ssl
import time
from pathlib import Path
from typing import Any, cast

import pytest

from etcd_component.drift import look, warnings
from etcd_component.drift.gates import Step, refusals
from etcd_component.drift.step import step_of
from etcd_component.etcd_api.members import Alarm
from etcd_component.ssh.client import NotLookedAt
from etcd_component.status import asked, declared, machines
from etcd_component.status.asked import Answer, Listing
from etcd_component.status.facts import Facts
from etcd_component.status.judged import judge
from etcd_component.status.report import Seen
from tests.unit.exported import export, left
from tests.unit.recording import cluster, record
from tests.unit.test_status import (
    answering,
    clean,
    exported,
    facts,
    listed,
    listing,
    with_facts,
)

QUIET = Step("3.6.14")
RESTART = Step("3.6.14", restarts=("etcd-1", "etcd-2", "etcd-3"))
DOWN = {"error": "no answer", "reached": False}


@pytest.fixture(autouse=True)
def plain_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates in these tests are words."""
    monkeypatch.setattr(ssl, "PEM_cert_to_DER_cert", str.encode)


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    return exported(cluster(3))


@pytest.fixture
def seen(state: dict[str, Any]) -> Seen:
    (found,) = declared.clusters(state)
    return clean(found)


def said(seen: Seen, step: Step = QUIET) -> list[str]:
    # The day of these tests is not that of the certificates.
    return list(warnings(judge(seen), step))


# --- what differs


def test_nothing_is_said_of_a_cluster_that_is_as_it_was_left(seen: Seen) -> None:
    assert said(seen) == []
    assert said(seen, RESTART) == []


def test_what_was_changed_by_hand_is_said_in_one_message(seen: Seen) -> None:
    files = seen.cluster.members[1].files
    assert files is not None
    edited = files.settings.replace("snapshot-count: 10000", "snapshot-count: 5")
    (found,) = said(with_facts(seen, 2, configuration=edited, is_enabled=False))
    assert found.splitlines() == [
        ("cluster etcd differs from what the last update left (`make status` says what to do):"),
        "  etcd-2: etcd.yaml differs from the stack",
        "      - snapshot-count: 10000",
        "      + snapshot-count: 5",
        "  etcd-2: its unit does not start at boot",
    ]


def test_who_is_away_is_said(seen: Seen) -> None:
    away = dataclasses.replace(seen, facts={**seen.facts, "etcd-3": "no answer within 3 s"})
    (found,) = said(away)
    assert "etcd-3: its node was not looked at: no answer within 3 s" in found


def test_from_where_no_member_is_reached_their_nodes_alone_are_spoken_of(seen: Seen) -> None:
    for seq in (1, 2, 3):
        seen = answering(seen, seq, **DOWN)
    seen = dataclasses.replace(seen, listing=Listing(refusal="nobody answers"))
    assert said(seen, RESTART) == []
    (found,) = said(with_facts(seen, 2, unit="failed"))
    assert "etcd-2: its unit is failed" in found


def test_many_differences_are_counted_and_not_listed(seen: Seen) -> None:
    for seq in (1, 2, 3):
        seen = with_facts(
            seen, seq, unit_file="", ca="", certificate="", version="3.6.1", is_enabled=False
        )
    (found,) = said(seen)
    assert "  ... and " in found
    assert len(found.splitlines()) < 50


# --- gates


def ill(seen: Seen, *seqs: int) -> Seen:
    for seq in seqs:
        seen = answering(seen, seq, **DOWN)
    return seen


@pytest.mark.parametrize(
    ("down", "step", "reason"),
    [
        ((), RESTART, ""),
        ((3,), QUIET, ""),
        (
            (3,),
            RESTART,
            "etcd-3 is not healthy (no answer), so etcd-1 and etcd-2 would not be restarted",
        ),
        ((3,), Step("3.6.14", restarts=("etcd-3",)), ""),
        (
            (3,),
            Step("3.6.14", joins=("etcd-4",)),
            "etcd-3 is not healthy (no answer), so etcd would not take in etcd-4",
        ),
        ((), Step("3.6.14", leaves=("etcd-3",)), ""),
        ((3,), Step("3.6.14", leaves=("etcd-3",)), ""),
        (
            (2,),
            Step("3.6.14", leaves=("etcd-3",)),
            ("etcd-3 could not leave: of the 2 voters that stay, 2 must be healthy, and 1 is"),
        ),
        ((), Step("3.7.1", restarts=("etcd-1",)), ""),
        (
            (2,),
            Step("3.7.1", restarts=("etcd-1",)),
            "no member changes to etcd 3.7.1: etcd-2 does not answer at 10.10.10.11:2379",
        ),
    ],
)
def test_what_the_nodes_would_refuse(
    seen: Seen, down: tuple[int, ...], step: Step, reason: str
) -> None:
    assert list(refusals(judge(ill(seen, *down)), step)) == ([reason] if reason else [])


def test_an_alarm_holds_up_restarts_unless_a_larger_quota_is_its_cure(seen: Seen) -> None:
    members = [listed(one) for one in seen.cluster.members]
    alarmed = listing(seen, *members, alarms=(Alarm(1, "NOSPACE"),))
    (found,) = refusals(judge(alarmed), RESTART)
    assert found == "while an alarm is raised (NOSPACE at etcd-1), no member is restarted"
    cure = dataclasses.replace(RESTART, raises_quota=True)
    assert list(refusals(judge(alarmed), cure)) == []
    assert list(refusals(judge(alarmed), QUIET)) == []


def test_the_versions_that_run_count_and_not_those_of_the_state(seen: Seen) -> None:
    for seq in (1, 2, 3):
        seen = answering(seen, seq, version="3.5.35", cluster_version="3.5.0")
    (found,) = refusals(judge(seen), Step("3.7.1", restarts=("etcd-1",)))
    assert "never over one" in found


def test_the_step_is_read_from_state_and_inventory() -> None:
    before = left(record(cluster(3)))
    assert step_of(before, cluster(3)) == Step("3.6.14", [], [], [])
    assert step_of(before, cluster(3, quota_bytes=16 * 1024**3)) == Step(
        "3.6.14", ["etcd-1", "etcd-2", "etcd-3"], [], [], raises_quota=True
    )
    larger = cluster(3, quota_bytes=16 * 1024**3)
    new_first = (cluster(4).instances[3], *larger.instances)
    first = dataclasses.replace(larger, instances=new_first)
    assert step_of(before, first).raises_quota
    assert step_of(before, cluster(4)) == Step("3.6.14", [], ["etcd-4"], [])
    assert step_of(before, cluster(2)) == Step("3.6.14", [], [], ["etcd-3"])


# --- looking


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, seen: Seen) -> dict[str, Any]:
    """Nodes and members that answer at once, unless a test has them do something else."""
    nodes: dict[str, Any] = {}

    def look_at(cluster: str, data_dir: str, way: Any, *, sudo: bool, seconds: float) -> Facts:
        assert sudo
        assert seconds > look.SECONDS
        name = way.name
        if name in nodes:
            return cast("Facts", nodes[name]())
        return next(facts(one) for one in seen.cluster.members if one.name == name)

    def ask(*_: Any) -> tuple[dict[str, Answer], Listing]:
        return dict(seen.answers), seen.listing

    monkeypatch.setattr(machines, "prepare", lambda login, place, dial_seconds: place)
    monkeypatch.setattr(machines, "look_at", look_at)
    monkeypatch.setattr(asked, "client_context", lambda cluster, place: None)
    monkeypatch.setattr(look, "ask_members", ask)
    return nodes


def test_all_are_looked_at_with_the_logins_of_the_inventory(
    lab: dict[str, Any], state: dict[str, Any]
) -> None:
    looking = look.Look([cluster(3)], lambda: json.dumps({"deployment": state}))
    (report,) = looking.reports()
    assert {row.name for row in report.rows if row.facts} == {"etcd-1", "etcd-2", "etcd-3"}
    assert looking.problem == ""


def test_a_node_that_hangs_is_not_waited_for(
    lab: dict[str, Any], state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "SECONDS", 0.5)
    lab["etcd-2"] = lambda: time.sleep(5)
    started = time.monotonic()
    (report,) = look.Look([cluster(3)], lambda: json.dumps({"deployment": state})).reports()
    assert time.monotonic() - started < 2
    away = [one for one in report.findings if one.key == "not-looked-at"]
    assert [one.member for one in away] == ["etcd-2"]


def test_a_slow_preview_leaves_nodes_as_much_time_as_it_takes(
    lab: dict[str, Any], state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "SECONDS", 0)
    shown = json.dumps({"deployment": state})
    (found,) = declared.clusters(state)

    def answer_late() -> Facts:
        time.sleep(0.5)
        return facts(found.members[1])

    lab["etcd-2"] = answer_late
    looking = look.Look([cluster(3)], lambda: shown)
    time.sleep(0.8)
    (report,) = looking.reports()
    assert "not-looked-at" not in {one.key for one in report.findings}


def test_a_node_that_cannot_be_reached_is_said_with_the_reason(
    lab: dict[str, Any], state: dict[str, Any]
) -> None:
    def refuse() -> None:
        raise NotLookedAt("connect to host 10.10.10.11: Connection refused")

    lab["etcd-2"] = refuse
    (report,) = look.Look([cluster(3)], lambda: json.dumps({"deployment": state})).reports()
    (away,) = [one for one in report.findings if one.key == "not-looked-at"]
    assert "Connection refused" in away.what


def test_new_machines_are_not_waited_for(
    lab: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab["etcd-1"] = lambda: time.sleep(5)
    started = time.monotonic()
    new = look.Look([cluster(3)], lambda: json.dumps({"deployment": None}))
    assert new.reports() == []
    assert new.problem == ""
    assert time.monotonic() - started < 2


def test_where_secrets_are_not_shown_nobody_is_looked_at(lab: dict[str, Any]) -> None:
    shown = export(record(cluster(3)))
    looking = look.Look([cluster(3)], lambda: shown)
    assert looking.reports() == []
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" in looking.problem


@pytest.mark.parametrize("exported", ["", "no JSON"])
def test_without_a_state_it_is_said_that_nobody_was_looked_at(
    lab: dict[str, Any], exported: str
) -> None:
    looking = look.Look([cluster(3)], lambda: exported)
    assert looking.reports() == []
    assert looking.problem == "the state cannot be read"


def test_files_with_keys_are_gone_afterwards(lab: dict[str, Any], state: dict[str, Any]) -> None:
    looking = look.Look([cluster(3)], lambda: json.dumps({"deployment": state}))
    place = Path(looking._place.name)
    assert place.stat().st_mode & 0o077 == 0
    looking.reports()
    assert not place.exists()
