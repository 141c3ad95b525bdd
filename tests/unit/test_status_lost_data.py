"""What `status` says, and proposes, of members that have lost their data in one way or another."""

from __future__ import annotations

import dataclasses
import ssl
from typing import Any

import pytest

from etcd_component import model, packing
from etcd_component.etcd_api.members import Alarm
from etcd_component.status import declared, machines, told
from etcd_component.status.asked import Listing
from etcd_component.status.facts import Facts
from etcd_component.status.judged import judge
from etcd_component.status.report import Finding, Seen
from tests.unit.recording import cluster
from tests.unit.test_status import answering, clean, exported, facts, listed, with_facts

TOCOMMIT = "tocommit(113) is out of range [lastIndex(8)]. Was the raft log corrupted?"
SILENT = {"error": "nothing listens there"}


@pytest.fixture(autouse=True)
def plain_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates in these tests are words."""
    monkeypatch.setattr(ssl, "PEM_cert_to_DER_cert", str.encode)


def three(**second: Any) -> Seen:
    """Three members as the stack says, the second declared with these fields."""
    wanted = cluster(3)
    hosts = [*wanted.instances]
    hosts[1] = dataclasses.replace(hosts[1], **second)
    (found,) = declared.read(exported(dataclasses.replace(wanted, instances=tuple(hosts))), "test")
    return clean(found)


def crashed(seen: Seen, words: str, kind: str) -> Seen:
    down = with_facts(seen, 2, unit="activating", crash=words, crash_kind=kind)
    return answering(down, 2, **SILENT)


def wiped(seen: Seen, **said: Any) -> Seen:
    """A machine on which nothing is left."""
    empty = Facts(**{"owner": "", "program": "", "stage": "none", "data": "none"} | said)
    bare = dataclasses.replace(seen, facts={**seen.facts, "etcd-2": empty})
    return answering(bare, 2, **SILENT)


def of(seen: Seen, key: str) -> Finding:
    (found,) = (one for one in judge(seen).findings if one.key == key)
    return found


def edits(seen: Seen) -> list[str]:
    return list(told.edits(judge(seen)))


RESEAT = ["10.10.10.11: { etcd_seq: 2, etcd_reseat: 1 }"]
REPAIR = ["10.10.10.11: { etcd_seq: 2, etcd_repair: 1 }"]


@pytest.mark.parametrize(
    "words", [TOCOMMIT, "checkInitialHashKV failed: found data inconsistency with peers"]
)
def test_data_that_etcd_cannot_run_with_are_named_and_reseat_is_proposed(words: str) -> None:
    seen = crashed(three(), words, "data")
    assert f"cannot run with its data: {words}" in of(seen, "data-broken").what
    assert "keeps a copy" in of(seen, "data-broken").what
    assert edits(seen) == RESEAT


def test_without_the_quorum_of_the_others_no_reseat_is_proposed() -> None:
    seen = answering(crashed(three(), TOCOMMIT, "data"), 3, **SILENT)
    finding = of(seen, "data-broken")
    assert "of 3 voters 2 must be healthy without it, and 1 are" in finding.what
    assert edits(seen) == []


def test_a_lone_member_is_not_told_to_join_itself() -> None:
    (lone,) = declared.read(exported(cluster(1)), "test")
    down = with_facts(clean(lone), 1, unit="failed", crash=TOCOMMIT, crash_kind="data")
    seen = dataclasses.replace(answering(down, 1, **SILENT), listing=Listing(refusal="nobody"))
    assert "restore a snapshot" in of(seen, "data-broken").what
    assert edits(seen) == []


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        ("listen tcp 10.10.10.11:2380: bind: address already in use", []),
        ("open /data/etcd/member/snap/db: permission denied", REPAIR),
        ("open /data/etcd/member/snap/db: read-only file system", []),
        ("failed to verify flags", REPAIR),
        ("something nobody has heard of", REPAIR),
    ],
)
def test_what_other_data_would_not_mend_is_named_and_no_reseat_is_proposed(
    words: str, proposed: list[str]
) -> None:
    seen = crashed(three(), words, "machine" if "nobody" not in words else "unknown")
    assert words in of(seen, "unit-down").what
    assert edits(seen) == proposed


def test_one_corrupt_member_joins_again_and_of_two_a_person_decides() -> None:
    seen = three()
    one = dataclasses.replace(seen.listing, alarms=(Alarm(2, "CORRUPT"),))
    alone = dataclasses.replace(seen, listing=one)
    assert "data of etcd-2 differ" in of(alone, "alarm").what
    assert edits(alone) == RESEAT
    two = dataclasses.replace(seen.listing, alarms=(Alarm(2, "CORRUPT"), Alarm(3, "CORRUPT")))
    both = dataclasses.replace(seen, listing=two)
    assert {finding.key for finding in judge(both).findings} == {"alarm"}
    assert edits(both) == []


def test_an_alarm_that_is_nobody_s_is_not_to_be_disarmed() -> None:
    seen = three()
    nobody = dataclasses.replace(seen.listing, alarms=(Alarm(0, "CORRUPT"),))
    seen = dataclasses.replace(seen, listing=nobody)
    assert "endpoint hashkv --cluster" in of(seen, "alarm").what
    assert "disarm" not in of(seen, "alarm").what
    assert edits(seen) == []


def test_an_etcd_that_may_name_the_wrong_one_is_not_believed() -> None:
    seen = answering(three(), 2, cluster_version="3.5.0")
    alarms = dataclasses.replace(seen.listing, alarms=(Alarm(2, "CORRUPT"),))
    seen = dataclasses.replace(seen, listing=alarms)
    assert "endpoint hashkv --cluster" in of(seen, "alarm").what
    assert edits(seen) == []


def test_the_cluster_s_version_is_not_that_of_a_member_that_is_down() -> None:
    seen = answering(three(), 2, **SILENT)
    alarms = dataclasses.replace(seen.listing, alarms=(Alarm(2, "CORRUPT"),))
    for version in ("3.5.0", "not_decided"):
        others = answering(seen, 1, cluster_version=version)
        others = answering(others, 3, cluster_version=version)
        others = dataclasses.replace(others, listing=alarms)
        assert "endpoint hashkv --cluster" in of(others, "alarm").what, version


def test_a_wiped_machine_needs_a_number_that_was_never_used() -> None:
    seen = wiped(three())
    assert [one.key for one in judge(seen).findings] == ["no-answer", "wiped"]
    assert edits(seen) == RESEAT
    # It has forgotten which number was used; the stack has not.
    assert edits(wiped(three(reseat=4))) == ["10.10.10.11: { etcd_seq: 2, etcd_reseat: 5 }"]


def test_a_system_that_was_installed_anew_takes_its_data_over() -> None:
    seen = wiped(three(), data="whole")
    assert "its data are there in /data/etcd" in of(seen, "reinstalled").what
    assert edits(seen) == REPAIR


def test_a_disk_that_is_not_mounted_is_to_be_mounted() -> None:
    lost = {"stage": "lost", "data": "none", "missing_mount": "/data", "unit": "failed"}
    seen = answering(with_facts(three(), 2, **lost), 2, **SILENT)
    assert "`mount /data`" in of(seen, "not-mounted").what
    assert "etcd_reseat" not in " ".join(edits(seen))
    bare = wiped(three(), missing_mount="/data")
    assert "`mount /data`" in of(bare, "not-mounted").what
    assert edits(bare) == []


def test_data_in_memory_are_known_as_such() -> None:
    lost = {"stage": "lost", "data": "none", "file_system": "tmpfs", "unit": "failed"}
    seen = answering(with_facts(three(), 2, **lost), 2, **SILENT)
    assert "in memory (tmpfs)" in of(seen, "data-lost").what
    assert edits(seen) == RESEAT


def test_half_of_a_member_is_lost_data_too() -> None:
    seen = answering(with_facts(three(), 2, stage="lost", data="part", unit="failed"), 2, **SILENT)
    assert "only a part of the member" in of(seen, "data-lost").what
    assert edits(seen) == RESEAT


def test_a_machine_that_has_not_begun_is_not_taken_for_a_wiped_one() -> None:
    seen = wiped(three())
    without = tuple(listed(one) for one in seen.cluster.members if one.name != "etcd-2")
    seen = dataclasses.replace(seen, listing=Listing(without))
    assert "wiped" not in {one.key for one in judge(seen).findings}


def test_the_node_is_asked_where_its_data_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(_: object, command: str, program: bytes, _seconds: float) -> str:
        assert program == packing.agent()
        asked.append(command)
        return '{"schema": 1, "owner": "", "program": "", "stage": "none"}'

    monkeypatch.setattr(machines, "_run", run)
    files = three().cluster.members[1].files
    assert files is not None
    machines.look("etcd", files, machines.Way(None))  # type: ignore[arg-type]
    (command,) = asked
    assert command.startswith("sudo -n python3 ")
    assert command.endswith(" facts --cluster etcd --data /data/etcd")


def test_a_member_that_runs_is_not_held_to_its_last_crash() -> None:
    seen = with_facts(three(), 2, crash="", crash_kind="")
    assert judge(seen).findings == ()
    assert isinstance(facts(seen.cluster.members[1]), Facts)
    assert model.quorum(3) == 2
