"""What an update is about to do, in one paragraph: said in a preview."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest

from etcd_component import previous
from etcd_component.changes import planned
from etcd_component.model import Client, Cluster, Instance, Monitor, Permission, Role, User
from etcd_component.previous import UNKNOWN, Previous
from tests.unit.exported import export, left
from tests.unit.recording import cluster, node, record

NOW = datetime(2026, 11, 27, tzinfo=UTC)
NOTHING = "Nothing changes: no member, setting, certificate, user or role."
ALL = "etcd-1, etcd-2 and etcd-3"


def said(before: Previous, *wanted: Cluster, monitor: Monitor | None = None) -> str:
    return planned(before, wanted, monitor, (), NOW)


_LEFT: dict[str, Previous] = {}


def after(**settings: Any) -> Previous:
    """What an update to three members leaves; made once for the same settings."""
    key = repr(settings)
    if key not in _LEFT:
        _LEFT[key] = left(record(cluster(3, **settings)))
    return _LEFT[key]


def each(model: Cluster, **changes: Any) -> Cluster:
    """A cluster with something else about all of its instances."""
    instances = tuple(dataclasses.replace(one, **changes) for one in model.instances)
    return dataclasses.replace(model, instances=instances)


def one(model: Cluster, seq: int, **changes: Any) -> Cluster:
    """A cluster with something else about one of its instances."""
    instances = tuple(
        dataclasses.replace(each, **changes) if each.seq == seq else each
        for each in model.instances
    )
    return dataclasses.replace(model, instances=instances)


# --- nothing


def test_nothing_changes_where_the_inventory_is_as_it_was() -> None:
    assert said(after(), cluster(3)) == NOTHING


def test_of_what_is_not_compared_nothing_is_promised() -> None:
    own: dict[str, Any] = {"users": (User("app", (), password="of a person's own"),)}
    assert said(after(**own), cluster(3, **own)) == (
        f"{NOTHING} Passwords that are configured are not compared."
    )


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert said(UNKNOWN, cluster(3)) == ""


# --- members


def test_a_new_cluster_is_named_with_its_addresses() -> None:
    assert said(Previous(), cluster(3)) == (
        "Cluster etcd: a new cluster of etcd-1 (10.10.10.10), etcd-2 (10.10.10.11) and etcd-3"
        " (10.10.10.12) with etcd 3.6.14, TLS and authentication."
    )


def test_a_first_run_that_was_cut_off_is_a_new_cluster_still() -> None:
    before = left(record(cluster(3)), without="-member")
    assert said(before, cluster(3)).startswith("Cluster etcd: a new cluster of etcd-1")


def test_who_comes_joins() -> None:
    assert said(after(), cluster(4)) == "Cluster etcd: etcd-4 (10.10.10.13) joins."
    assert said(after(), cluster(5)) == (
        "Cluster etcd: etcd-4 (10.10.10.13) and etcd-5 (10.10.10.14) join."
    )
    assert said(after(), one(cluster(4), 4, learner=True)) == (
        "Cluster etcd: etcd-4 (10.10.10.13) joins as learner."
    )


def test_a_learner_is_promoted() -> None:
    before = left(record(one(cluster(4), 4, learner=True)))
    assert said(before, cluster(4)) == "Cluster etcd: etcd-4 is promoted from learner to voter."


def test_who_leaves_comes_last() -> None:
    leaving = ("etcd-3 (10.10.10.12) leaves cluster etcd; its data in /data/etcd are deleted",)
    four = dataclasses.replace(
        cluster(2), instances=(*cluster(2).instances, Instance("etcd", 4, node("10.10.10.13")))
    )
    assert planned(after(), [four], None, leaving, NOW) == (
        "Cluster etcd: etcd-4 (10.10.10.13) joins. Last, etcd-3 (10.10.10.12) leaves cluster etcd;"
        " its data in /data/etcd are deleted."
    )
    assert planned(after(), [cluster(2)], None, leaving, NOW) == f"{leaving[0]}."


def test_a_lost_member_is_removed_by_another() -> None:
    lost = one(cluster(4), 3, lost=True)
    assert said(after(), lost) == (
        "Cluster etcd: etcd-3 (10.10.10.12) is removed from the cluster by another member; its"
        " machine is left alone (etcd_lost); etcd-4 (10.10.10.13) joins."
    )
    assert said(left(record(lost)), lost) == NOTHING


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (
            {"reseat": 1},
            (
                "join<s> again with the data of the others if <its> own are lost or broken"
                " (etcd_reseat 1)"
            ),
        ),
        (
            {"repair": 2},
            "get<s> every file, unit and program put back as configured (etcd_repair 2)",
        ),
        ({"exporter_port": 9379}, "begin<s> to export node metrics"),
        (
            {"client_port": 3379, "peer_port": 3380},
            (
                "get<s> a new configuration (etcd_port 2379 -> 3379 and etcd_peer_port 2380 ->"
                " 3380) and restart<s>"
            ),
        ),
    ],
)
def test_what_is_said_of_one_host_is_said_of_one_member(
    raised: dict[str, Any], expected: str
) -> None:
    sentence = expected.replace("<s>", "s").replace("<its>", "its")
    assert said(after(), one(cluster(3), 2, **raised)) == f"Cluster etcd: etcd-2 {sentence}."


def test_what_exports_node_metrics_changes_and_ends() -> None:
    before = left(record(each(cluster(3), exporter_port=9379)))
    assert "export node metrics in another way" in said(
        before, each(cluster(3), exporter_port=9380)
    )
    assert f"{ALL} no longer export node metrics" in said(before, cluster(3))


# --- settings


@pytest.mark.parametrize(
    ("before", "now", "named"),
    [
        ({}, {"snapshot_count": 20000}, "snapshot-count 10000 -> 20000"),
        (
            {},
            {"snapshot_count": 20000, "log_level": "debug"},
            "snapshot-count 10000 -> 20000 and log-level info -> debug",
        ),
        ({}, {"options": {"max-request-bytes": 3145728}}, "max-request-bytes 3145728"),
        ({"options": {"max-request-bytes": 1}}, {}, "max-request-bytes no longer set"),
        (
            {"options": {"pre-vote": True}},
            {"options": {"pre-vote": False}},
            "pre-vote true -> false",
        ),
        (
            {"options": {"cors": "a"}},
            {"options": {"cors": "https://" + 20 * "long"}},
            "cors",
        ),
    ],
)
def test_a_changed_setting_is_named_as_etcd_names_it(
    before: dict[str, Any], now: dict[str, Any], named: str
) -> None:
    found = said(after(**before), cluster(3, **now))
    assert found == (
        f"Cluster etcd: {ALL} get a new configuration ({named}) and restart one after another."
    )


@pytest.mark.parametrize(
    ("before", "now", "how"),
    [
        ("3.6.14", "3.6.16", "upgraded from etcd 3.6.14 to 3.6.16"),
        ("3.5.35", "3.6.16", "upgraded from etcd 3.5.35 to 3.6.16 (a snapshot is kept before)"),
        ("3.6.16", "3.5.35", "downgraded from etcd 3.6.16 to 3.5.35"),
    ],
)
def test_a_change_of_version_names_both(before: str, now: str, how: str) -> None:
    found = said(after(version=before), cluster(3, version=now))
    assert found == f"Cluster etcd: {ALL} are {how} and restart one after another."


def test_members_with_different_changes_have_sentences_of_their_own() -> None:
    found = said(after(), one(cluster(3, snapshot_count=5), 2, client_port=3379))
    assert found == (
        "Cluster etcd: etcd-1 and etcd-3 get a new configuration (snapshot-count 10000 -> 5) and"
        " restart one after another; etcd-2 gets a new configuration (etcd_port 2379 -> 3379 and"
        " snapshot-count 10000 -> 5) and restarts."
    )


def test_an_update_that_was_cut_off_before_the_restarts_is_finished() -> None:
    files = {"config"}

    def put(name: str) -> bool:
        return name.rpartition("-")[2] in files

    new = json.loads(export(record(cluster(3, snapshot_count=5))))["deployment"]["resources"]
    state = json.loads(export(record(cluster(3))))
    newer = {each["urn"]: each for each in new if put(each["urn"])}
    resources = state["deployment"]["resources"]
    state["deployment"]["resources"] = [newer.get(each["urn"], each) for each in resources]
    found = said(previous.parse(json.dumps(state)), cluster(3, snapshot_count=5))
    assert found == (
        f"Cluster etcd: {ALL} take over what the last update put in place and restart one after"
        " another."
    )
    unfinished = left(record(cluster(3)), without="-rollout")
    assert said(unfinished, cluster(3)) == (
        f"Cluster etcd: {ALL} are finished, where the last update was cut off."
    )


def test_another_source_of_the_same_release_restarts_nothing() -> None:
    assert said(after(), cluster(3, install="preinstalled")) == (
        f"Cluster etcd: {ALL} check their program against another source (preinstalled)."
    )


def test_what_holds_for_later_is_said() -> None:
    assert (
        said(after(safeguard=True), cluster(3)) == "Cluster etcd: etcd_safeguard is switched off."
    )
    assert said(after(), cluster(3, rm_data=False)) == (
        "Cluster etcd: from now on, the data of a member that leaves are kept (etcd_rm_data)."
    )


def test_what_becomes_of_software_is_said_as_of_data() -> None:
    later = "Cluster etcd: from now on, the software of a member that leaves"
    assert said(after(), cluster(3, rm_pkg=True)) == f"{later} goes with it (etcd_rm_pkg)."
    assert said(after(rm_pkg=True), cluster(3)) == f"{later} is kept (etcd_rm_pkg)."


def test_another_checksum_of_the_same_release_is_said() -> None:
    former, other = ({"amd64": digit * 64} for digit in "ab")
    before = after(archive_sha256=former)
    assert said(before, cluster(3, archive_sha256=former)) == NOTHING
    assert said(before, cluster(3, archive_sha256=other)) == (
        "Cluster etcd: from now on, etcd's archive must have another checksum"
        " (etcd_archive_sha256)."
    )
    assert "checksum" not in said(before, cluster(3, version="3.6.16", archive_sha256=other))


# --- certificates

BUNDLE = f"{ALL} get the new CA bundle and restart one after another"
BOTH = {"ca_trusted": (1, 2)}


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (
            {},
            BOTH | {"ca_signing": 1},
            f"CA 2 becomes trusted by members and clients; {BUNDLE}",
        ),
        (
            BOTH | {"ca_signing": 1},
            BOTH | {"ca_signing": 2},
            "all certificates are issued anew by CA 2 (no restart for that)",
        ),
        (
            BOTH | {"ca_signing": 2},
            {"ca_trusted": (2,)},
            f"CA 1 is no longer trusted; {BUNDLE}",
        ),
        (
            {},
            {"cert_generation": 2},
            "all certificates are made anew, with new keys (no restart for that)",
        ),
        (
            {},
            {"cert_days": 900},
            "all certificates are issued anew, valid for 900 days (no restart for that)",
        ),
        ({}, {"revoked": ("ab",)}, "certificates ab are refused"),
        ({"revoked": ("ab",)}, {}, "certificates ab are no longer refused as revoked"),
        (
            {},
            {"auth_token": "jwt"},
            f"{ALL} get a new configuration (auth-token) and restart one after another",
        ),
        (
            {"auth_token": "jwt"},
            {"auth_token": "jwt", "auth_token_generation": 2},
            (
                "the keys that sign tokens are made anew; "
                f"{ALL} get the new token keys and restart one after another"
            ),
        ),
    ],
)
def test_steps_of_certificates_and_cas(
    before: dict[str, Any], now: dict[str, Any], expected: str
) -> None:
    found = said(after(**before), cluster(3, **now))
    assert found == f"Cluster etcd: {expected}."


def test_a_new_first_voter_hides_no_revocation() -> None:
    now = cluster(3, revoked=("ab",))
    new = Instance("etcd", 4, node("10.10.10.13"))
    first = dataclasses.replace(now, instances=(new, *now.instances))
    assert said(after(), first) == (
        "Cluster etcd: etcd-4 (10.10.10.13) joins; certificates ab are refused."
    )


def test_a_ca_that_is_given_is_known_by_its_content() -> None:
    given: dict[str, Any] = {"ca_cert": "a CA\n", "ca_key": "its key"}
    assert said(after(**given), cluster(3, **given)) == NOTHING
    both = given | {"ca_trusted": ("given", 1), "ca_signing": "given"}
    assert said(after(**given), cluster(3, **both)) == (
        f"Cluster etcd: CA 1 becomes trusted by members and clients; {BUNDLE}."
    )
    assert said(after(**both), cluster(3)) == (
        "Cluster etcd: the CA of etcd_ca_cert is no longer trusted; all certificates are issued"
        f" anew by CA 1 (no restart for that); {BUNDLE}."
    )


def test_a_root_behind_a_given_ca_is_another_bundle() -> None:
    first = "-----BEGIN CERTIFICATE-----\nfirst\n-----END CERTIFICATE-----\n"
    given = {"ca_cert": first, "ca_key": "its key"}
    longer = given | {"ca_cert": first + first.replace("first", "root")}
    assert said(after(**given), cluster(3, **given)) == NOTHING
    assert said(after(**given), cluster(3, **longer)) == (
        "Cluster etcd: all certificates are issued anew by the CA of etcd_ca_cert (no restart for"
        f" that); {BUNDLE}."
    )


@pytest.mark.parametrize(
    ("end", "due"), [("2027-11-26T00:00:00+00:00", True), ("2027-11-28T00:00:00+00:00", False)]
)
def test_a_certificate_is_renewed_in_its_last_year(end: str, due: bool) -> None:
    state = json.loads(export(record(cluster(3))))
    for resource in state["deployment"]["resources"]:
        if resource["type"].endswith("LocallySignedCert") and "etcd-2" in resource["urn"]:
            resource["outputs"]["validityEndTime"] = end
    found = said(previous.parse(json.dumps(state)), cluster(3))
    renewed = (
        "Cluster etcd: the certificates of etcd-2 are renewed, less than 365 days before their end"
        " (no restart for that)."
    )
    assert found == (renewed if due else NOTHING)


# --- access

PREFIX = Permission("readwrite", "prefix", "/app/")
OTHER = Permission("readwrite", "prefix", "/application/")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (
            {},
            {"roles": (Role("app", (PREFIX,)),), "users": (User("tim", ("app",)),)},
            "role app and user tim are made",
        ),
        (
            {"roles": (Role("app", (PREFIX,)),)},
            {"roles": (Role("app", (OTHER,)),)},
            "role app gets other rights",
        ),
        ({"users": (User("old", ()),)}, {}, "user old is removed"),
        ({}, {"clients": (Client("pg", "patroni", PREFIX),)}, "client pg is made"),
        ({"clients": (Client("pg", "patroni", PREFIX),)}, {}, "client pg is removed"),
        (
            {"clients": (Client("pg", "patroni", PREFIX),)},
            {"clients": (Client("pg", "patroni", OTHER),)},
            "client pg gets other rights",
        ),
        (
            {"clients": (Client("pg", "patroni", PREFIX),)},
            {"clients": (Client("pg", "patroni", PREFIX, cert_generation=2),)},
            "the certificates of client pg are made anew, with new keys (no restart for that)",
        ),
        (
            {"users": (User("tim", ()),)},
            {"users": (User("tim", (), password_generation=2),)},
            "tim's password changes",
        ),
        (
            {},
            {"root_password": None, "root_password_generation": 2},
            "root's password changes",
        ),
        (
            {},
            {"undeclared_access": "remove"},
            "users and roles that nobody declared are removed (etcd_undeclared_access)",
        ),
        (
            {"users": (User("tim", ()),)},
            {"users": (User("tim", ()),), "undeclared_access": "remove"},
            "users and roles that nobody declared are removed (etcd_undeclared_access)",
        ),
        (
            {"undeclared_access": "remove"},
            {},
            (
                "users and roles that nobody declared are only reported from now on"
                " (etcd_undeclared_access)"
            ),
        ),
    ],
)
def test_users_roles_and_clients(
    before: dict[str, Any], now: dict[str, Any], expected: str
) -> None:
    found = said(after(**before), cluster(3, **now))
    assert found == f"Cluster etcd: {expected}."


def test_undeclared_access_that_is_removed_already_is_no_news() -> None:
    removes = {"undeclared_access": "remove"}
    assert said(after(**removes), cluster(3, **removes)) == NOTHING
    assert "nobody declared" not in said(Previous(), cluster(3, **removes))


# --- the rest


def test_a_new_agent_is_said_once_and_restarts_nobody() -> None:
    with mock.patch("etcd_component.packing.sha256", return_value="f" * 64):
        assert said(after(), cluster(3)) == (
            "The agent on all nodes is renewed; no member restarts for that."
        )


def test_a_monitor_comes_changes_moves_and_goes() -> None:
    monitor = Monitor(node("10.10.10.90"))
    elsewhere = Monitor(node("10.10.10.91"))
    with_one = left(record(cluster(3), monitor=monitor))
    assert said(after(), cluster(3), monitor=monitor) == "A monitor is set up on 10.10.10.90."
    assert said(with_one, cluster(3), monitor=monitor) == NOTHING
    assert said(with_one, cluster(4), monitor=monitor) == (
        "Cluster etcd: etcd-4 (10.10.10.13) joins. The monitor gets other targets, rules or"
        " settings."
    )
    gone = "The monitor on 10.10.10.90 is removed; what it has collected is kept there."
    assert said(with_one, cluster(3)) == gone
    assert said(with_one, cluster(3), monitor=elsewhere) == (
        f"A monitor is set up on 10.10.10.91. {gone}"
    )


def test_a_monitor_that_was_lost_is_only_forgotten() -> None:
    monitor = Monitor(node("10.10.10.90"), rm_data=True)
    lost = dataclasses.replace(monitor, lost=True)
    # The engine keeps the inputs of what ignores all changes.
    state = json.loads(export(record(cluster(3), monitor=monitor)))
    for resource in state["deployment"]["resources"]:
        if resource["urn"].rpartition("::")[2].startswith("monitor"):
            resource["retainOnDelete"] = True
    before = previous.parse(json.dumps(state))
    forgotten = (
        "The monitor on 10.10.10.90, marked lost, is forgotten; nothing is done on its machine."
    )
    assert said(before, cluster(3), monitor=lost) == NOTHING
    assert said(before, cluster(3)) == forgotten
    assert said(before, cluster(3), monitor=Monitor(node("10.10.10.91"))) == (
        f"A monitor is set up on 10.10.10.91. {forgotten}"
    )


def test_of_several_clusters_only_those_that_change_are_named() -> None:
    both = left(record(cluster(3), cluster(3, "prod")))
    assert said(both, cluster(3), cluster(3, "prod", snapshot_count=5)).startswith(
        "Cluster prod: prod-1, prod-2 and prod-3 get a new configuration"
    )


def test_every_edit_that_restarts_a_member_is_said_and_no_other() -> None:
    """By the rule that the program itself follows: what its rollout is given."""
    rollout = record(cluster(3)).command("etcd-1-rollout").inputs["create"]
    edits: tuple[dict[str, Any], ...] = (
        {"snapshot_count": 5},
        {"cert_generation": 2},
        {"version": "3.6.16"},
    )
    for settings in edits:
        now = record(cluster(3, **settings)).command("etcd-1-rollout").inputs["create"]
        found = said(after(), cluster(3, **settings))
        assert ("restart one after another" in found) is (now != rollout)
