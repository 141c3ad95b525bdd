"""Who leaves with an update, in words, and what is refused before anything is registered."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from etcd_component.__main__ import main
from etcd_component.departures import Departures, departures, destroyed
from etcd_component.model import Cluster, Instance
from etcd_component.previous import UNKNOWN, Previous
from tests.unit.exported import export, left
from tests.unit.recording import cluster, node, record


def placed(name: str, seats: dict[int, int], **settings: Any) -> Cluster:
    """A cluster of these numbers, each at 10.10.10.N."""
    instances = tuple(
        Instance(name, seq, node(f"10.10.10.{at}")) for seq, at in sorted(seats.items())
    )
    return dataclasses.replace(cluster(1, name, **settings), instances=instances)


def etcd(seats: dict[int, int], **settings: Any) -> Cluster:
    return placed("etcd", seats, **settings)


THREE = {1: 10, 2: 11, 3: 12}
FIVE = THREE | {4: 13, 5: 14}


def after(*models: Cluster) -> Previous:
    """What an update to these leaves."""
    return left(record(*models))


@pytest.fixture(scope="module")
def three() -> Previous:
    return after(etcd(THREE))


@pytest.fixture(scope="module")
def five() -> Previous:
    return after(etcd(FIVE))


def refused(found: Departures) -> str:
    assert found.refusals
    assert not found.leaving
    return "\n".join(str(one) for one in found.refusals)


def test_nothing_is_said_where_nobody_leaves(three: Previous) -> None:
    assert departures(three, [etcd(THREE)]) == Departures()
    assert departures(three, [etcd(FIVE)]) == Departures()
    assert departures(Previous(), [etcd(THREE)]) == Departures()


# --- who leaves


def test_deleted_lines_are_named_with_what_becomes_of_their_data(five: Previous) -> None:
    found = departures(five, [etcd(THREE)])
    assert found.refusals == ()
    assert found.leaving == (
        (
            "etcd-4 (10.10.10.13) and etcd-5 (10.10.10.14) leave cluster etcd; their data in"
            " /data/etcd are deleted (etcd_rm_data)"
        ),
    )


def test_one_that_leaves_is_one(three: Previous) -> None:
    assert departures(three, [etcd({1: 10, 2: 11})]).leaving == (
        (
            "etcd-3 (10.10.10.12) leaves cluster etcd; its data in /data/etcd are deleted"
            " (etcd_rm_data)"
        ),
    )


def test_data_are_kept_as_the_state_says_and_not_as_this_edit_does() -> None:
    kept = after(etcd(THREE, rm_data=False))
    found = departures(kept, [etcd({1: 10, 2: 11}, rm_data=True)])
    assert found.leaving == (
        (
            "etcd-3 (10.10.10.12) leaves cluster etcd; its data in /data/etcd are kept"
            " (etcd_rm_data: false)"
        ),
    )


def test_a_deleted_group_is_a_destroyed_cluster(three: Previous) -> None:
    both = after(etcd(THREE), placed("prod", {1: 20, 2: 21, 3: 22}))
    assert departures(both, [etcd(THREE)]).leaving == (
        (
            "cluster prod is destroyed: prod-1 (10.10.10.20), prod-2 (10.10.10.21) and prod-3"
            " (10.10.10.22) stop; their data in /data/etcd are deleted (etcd_rm_data)"
        ),
    )
    assert destroyed(three) == (
        (
            "cluster etcd is destroyed: etcd-1 (10.10.10.10), etcd-2 (10.10.10.11) and etcd-3"
            " (10.10.10.12) stop; their data in /data/etcd are deleted (etcd_rm_data)"
        ),
    )
    assert destroyed(Previous()) == ()


def test_each_directory_is_named_where_they_differ() -> None:
    model = etcd(THREE)
    one, *others = model.instances
    elsewhere = dataclasses.replace(one, data_dir="/srv/etcd")
    found = destroyed(after(dataclasses.replace(model, instances=(elsewhere, *others))))
    assert (
        "their data in /srv/etcd on 10.10.10.10, /data/etcd on 10.10.10.11 and /data/etcd on"
        " 10.10.10.12 are deleted" in found[0]
    )


def test_a_lost_machine_is_forgotten_and_nothing_is_deleted_there() -> None:
    model = etcd(THREE)
    *others, last = model.instances
    lost = dataclasses.replace(model, instances=(*others, dataclasses.replace(last, lost=True)))
    assert departures(after(lost), [etcd({1: 10, 2: 11, 4: 13})]).leaving == (
        (
            "etcd-3 (10.10.10.12) of cluster etcd, marked etcd_lost, is forgotten; nothing is done"
            " on its machine"
        ),
    )


def test_of_a_machine_that_was_never_reached_nothing_is_said() -> None:
    unreached = left(
        record(etcd(THREE)),
        without=lambda one: one.name.startswith("etcd-3-") and "place" not in one.name,
    )
    assert departures(unreached, [etcd({1: 10, 2: 11})]) == Departures()


# --- refused: numbers


@pytest.mark.parametrize(
    ("seats", "wrong"),
    [
        ({1: 10, 2: 11, 4: 12}, {"10.10.10.12": ("etcd-3", "etcd-4")}),
        (
            {4: 10, 5: 11, 6: 12},
            {
                "10.10.10.10": ("etcd-1", "etcd-4"),
                "10.10.10.11": ("etcd-2", "etcd-5"),
                "10.10.10.12": ("etcd-3", "etcd-6"),
            },
        ),
        (
            {1: 10, 2: 12, 3: 11},
            {"10.10.10.11": ("etcd-2", "etcd-3"), "10.10.10.12": ("etcd-3", "etcd-2")},
        ),
        (
            {2: 10, 3: 11, 4: 12},
            {
                "10.10.10.10": ("etcd-1", "etcd-2"),
                "10.10.10.11": ("etcd-2", "etcd-3"),
                "10.10.10.12": ("etcd-3", "etcd-4"),
            },
        ),
        # The old number goes on elsewhere, or others leave and come as well.
        ({1: 10, 2: 11, 4: 12, 3: 13}, {"10.10.10.12": ("etcd-3", "etcd-4")}),
        ({1: 10, 4: 12, 5: 13}, {"10.10.10.12": ("etcd-3", "etcd-4")}),
    ],
    ids=["one", "all", "two swapped", "shifted", "moved and replaced", "amid others"],
)
def test_a_number_on_a_machine_that_is_another_member_is_refused(
    three: Previous, seats: dict[int, int], wrong: dict[str, tuple[str, str]]
) -> None:
    found = departures(three, [etcd(seats)])
    assert {one.place for one in found.refusals} == set(wrong)
    for one in found.refusals:
        old, new = wrong[one.place]
        assert f"this machine is {old}, a member of cluster etcd, and not {new}" in one.problem
        assert f"put etcd_seq: {old.removeprefix('etcd-')} back" in one.cure
    assert found.leaving == ()


def test_a_number_that_never_joined_can_be_corrected() -> None:
    first_run = left(record(etcd(THREE)), without="-3-member")
    found = departures(first_run, [etcd({1: 10, 2: 11, 4: 12})])
    assert found.refusals == ()


def test_what_a_refused_step_left_in_the_state_refuses_nothing_when_it_is_undone() -> None:
    def not_of_the_refused(one: Any) -> bool:
        return one.name.startswith("etcd-4-") and not one.name.endswith("-place")

    models = dataclasses.replace(
        etcd(THREE), instances=(*etcd(THREE).instances, Instance("etcd", 4, node("10.10.10.12")))
    )
    stale = left(record(models), without=not_of_the_refused)
    assert "etcd-4" in stale.instances
    assert departures(stale, [etcd(THREE)]) == Departures()


def test_the_machine_of_a_lost_member_may_have_a_new_number() -> None:
    model = etcd(THREE)
    *others, last = model.instances
    lost = dataclasses.replace(model, instances=(*others, dataclasses.replace(last, lost=True)))
    assert departures(after(lost), [etcd({1: 10, 2: 11, 4: 12})]).refusals == ()


def test_a_machine_is_replaced_by_another_address_and_number(three: Previous) -> None:
    found = departures(three, [etcd({1: 10, 2: 11, 4: 13})])
    assert found.refusals == ()
    assert "etcd-3 (10.10.10.12) leaves" in found.leaving[0]


# --- refused: clusters


@pytest.mark.parametrize("ports", [{}, {"client_port": 3379, "peer_port": 3380}])
def test_a_renamed_cluster_is_refused_whatever_its_ports(
    three: Previous, ports: dict[str, int]
) -> None:
    renamed = placed("prod", THREE)
    instances = tuple(dataclasses.replace(one, **ports) for one in renamed.instances)  # type: ignore[arg-type]
    found = departures(three, [dataclasses.replace(renamed, instances=instances)])
    said = refused(found)
    assert len(found.refusals) == 1
    assert "cluster etcd: the inventory has it no more, and a new cluster prod on its" in said
    assert "10.10.10.10, 10.10.10.11 and 10.10.10.12" in said
    assert "put etcd_cluster: etcd back: a cluster cannot be renamed" in said
    # An inventory without a cluster is refused, so `pulumi up` cannot delete the last one.
    assert "delete etcd first, with `pulumi destroy` while the inventory has it" in said


def test_a_renamed_cluster_beside_another_can_be_deleted_by_an_update() -> None:
    both = after(etcd(THREE), placed("other", {1: 20}))
    said = refused(departures(both, [placed("prod", THREE), placed("other", {1: 20})]))
    assert "delete etcd first, run `pulumi up`, and add it then" in said


def test_one_shared_machine_is_enough_and_numbers_do_not_matter(three: Previous) -> None:
    assert "cannot be renamed" in refused(
        departures(three, [placed("prod", {7: 12, 8: 13, 9: 14})])
    )


def test_a_cluster_that_goes_while_another_comes_on_other_machines_is_said(
    three: Previous,
) -> None:
    found = departures(three, [placed("prod", {1: 20, 2: 21, 3: 22})])
    assert found.refusals == ()
    assert "cluster etcd is destroyed" in found.leaving[0]


def test_a_name_that_never_had_a_member_can_be_corrected() -> None:
    first_run = left(record(etcd(THREE)), without="-member")
    assert departures(first_run, [placed("prod", THREE)]).refusals == ()


def test_a_machine_does_not_change_its_cluster_in_one_update() -> None:
    both = after(etcd(THREE), placed("prod", {1: 20, 2: 21, 3: 22}))
    found = departures(both, [etcd({1: 10, 2: 11}), placed("prod", {1: 20, 2: 21, 3: 22, 4: 12})])
    said = refused(found)
    assert "10.10.10.12: this machine is etcd-3, a member of cluster etcd" in said
    assert "prod-4 of cluster prod in one update" in said
    vanished = departures(both, [placed("prod", {1: 20, 2: 21, 3: 22, 4: 12})])
    assert "10.10.10.12: this machine is etcd-3" in refused(vanished)


def test_two_clusters_may_share_machines() -> None:
    both = after(etcd(THREE))
    found = departures(both, [etcd(THREE), placed("prod", THREE)])
    assert found == Departures()
    shared = after(etcd(THREE), placed("prod", THREE))
    assert departures(shared, [placed("prod", THREE)]).refusals == ()
    assert "cluster etcd is destroyed" in departures(shared, [placed("prod", THREE)]).leaving[0]


# --- the safeguard


def test_a_preview_says_that_the_safeguard_is_on_and_against_what() -> None:
    guarded = etcd(THREE, safeguard=True)
    (sentence,) = departures(after(guarded), [guarded]).safeguards
    assert sentence == (
        "cluster etcd: etcd_safeguard is on, so neither can a member be removed nor the cluster be"
        " destroyed"
    )
    (new,) = departures(Previous(), [guarded]).safeguards
    assert new == sentence + "; it holds when this update is done"
    assert departures(after(guarded), [etcd(THREE)]).safeguards == ()


@pytest.mark.parametrize("edit", [True, False])
def test_a_protected_member_is_not_deleted_even_if_this_edit_drops_the_safeguard(
    edit: bool,
) -> None:
    guarded = after(etcd(THREE, safeguard=True))
    found = departures(guarded, [etcd({1: 10, 2: 11}, safeguard=edit)])
    said = refused(found)
    assert "cluster etcd: the inventory has etcd-3 no more, and etcd_safeguard protects" in said
    assert "set etcd_safeguard: false and run `pulumi up`" in said
    vanished = departures(guarded, [placed("prod", {1: 20, 2: 21, 3: 22})])
    assert "cluster etcd: the inventory has it no more, and etcd_safeguard protects it" in refused(
        vanished
    )


def test_a_protected_cluster_that_is_renamed_is_told_once() -> None:
    found = departures(after(etcd(THREE, safeguard=True)), [placed("prod", THREE)])
    assert len(found.refusals) == 1
    assert "cannot be renamed" in refused(found)


def test_a_lost_machine_is_not_protected() -> None:
    model = etcd(THREE, safeguard=True)
    *others, last = model.instances
    lost = dataclasses.replace(model, instances=(*others, dataclasses.replace(last, lost=True)))
    found = departures(after(lost), [etcd({1: 10, 2: 11, 4: 13}, safeguard=True)])
    assert found.refusals == ()


# --- nothing known


def test_that_nothing_is_known_is_said_and_not_taken_for_nothing_there() -> None:
    found = departures(UNKNOWN, [etcd(THREE)])
    assert found.refusals == ()
    assert found.unknown is not None
    assert "cannot be read" in found.unknown
    assert departures(Previous(), [etcd(THREE)]).unknown is None


# --- what `make destroy` says first


def test_what_a_destroy_takes_away_is_said_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "argv", ["etcd_component", "removal", "prod"])
    program = tmp_path / "pulumi"
    (tmp_path / "export").write_text(export(record(etcd({1: 10}))))
    program.write_text(
        f"#!/bin/sh\ncase $* in *show-secrets*) exit 1;; esac\ncat {tmp_path}/export\n"
    )
    program.chmod(0o755)
    assert main() == 0
    assert capsys.readouterr().out == (
        "cluster etcd is destroyed: etcd-1 (10.10.10.10) stops; its data in /data/etcd are deleted"
        " (etcd_rm_data)\n"
    )
    program.write_text("#!/bin/sh\necho 'error: no stack' >&2\nexit 255\n")
    assert main() == 1
    assert "removal: Pulumi does not give the state of the stack prod: no stack" in (
        capsys.readouterr().err
    )
