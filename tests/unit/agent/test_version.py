"""What etcd allows of a change of the minor version, and who may join whom."""

from __future__ import annotations

import pytest

from etcd_component.agent.decide.version import (
    FLOORS,
    Change,
    Survey,
    Surveyed,
    VoterVersion,
    data_fault,
    follows,
    is_change,
    join_objection,
    minor_of,
    objection,
    older,
    silent,
    skip_objection,
    survey_fault,
)
from etcd_component.agent.output import Refusal
from etcd_component.etcd_api.members import Versions


def one(
    number: int,
    server: str = "3.6.16",
    *,
    voter: bool = True,
    cluster: str = "3.6.0",
    storage: str = "",
    healthy: bool = True,
    reason: str = "",
) -> Surveyed:
    """Without a version it does not answer."""
    versions = Versions(server, cluster, storage) if server else None
    url = f"https://10.0.0.{number}:2380"
    return Surveyed(f"etcd-{number}", url, voter, versions, healthy, reason)


def survey(*members: Surveyed) -> Survey:
    return Survey(members)


def change(mine: str, version: str, *members: Surveyed) -> Change:
    return Change("etcd-1", mine, version, survey(*members))


# ---- numbers


@pytest.mark.parametrize(
    ("version", "minor"),
    [
        ("3.6.16", "3.6"),
        ("3.10.0", "3.10"),
        ("3.7.0-rc.1", "3.7"),
        ("none", ""),
        ("", ""),
        ("3", ""),
        ("3.6", ""),
    ],
)
def test_the_minor_version(version: str, minor: str) -> None:
    assert minor_of(version) == minor


def test_versions_are_ordered_by_their_numbers() -> None:
    assert older("3.6.9", "3.6.16")
    assert not older("3.6.16", "3.6.9")
    assert not older("3.6.16", "3.6.16")
    assert older("3.9", "3.10")
    assert not older("3.10", "3.9")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("3.6", "3.7", True),
        ("3.9", "3.10", True),
        ("3.7", "3.6", False),
        ("3.6", "3.6", False),
        ("3.6", "3.8", False),
        ("3.6", "4.7", False),
        ("", "3.7", False),
        ("3.6", "", False),
    ],
)
def test_which_minor_version_follows_which(first: str, second: str, expected: bool) -> None:
    assert follows(first, second) is expected


def test_only_another_minor_version_is_a_change() -> None:
    assert is_change("3.6.16", "3.7.3")
    assert is_change("3.7.3", "3.6.16")
    assert not is_change("3.6.15", "3.6.16")
    # Nothing is known of what runs.
    assert not is_change("none", "3.7.3")


@pytest.mark.parametrize(
    ("begin", "wanted", "step"),
    [
        ("3.6", "3.7", ""),
        ("3.7", "3.6", ""),
        ("3.6", "3.8", "3.7"),
        ("3.6", "4.0", "3.7"),
        ("3.6", "3.4", "3.5"),
        ("3.10", "3.8", "3.9"),
    ],
)
def test_no_minor_version_is_skipped(begin: str, wanted: str, step: str) -> None:
    said = skip_objection(begin, wanted)
    assert said == (
        "etcd goes from one minor version to the next, never over one. Set etcd_version to a"
        f" release of {step} first"
        if step
        else ""
    )


def test_what_a_change_is() -> None:
    up, down = change("3.6.16", "3.7.3", one(1)), change("3.7.3", "3.6.16", one(1))
    assert (up.begin, up.wanted, up.is_upgrade, up.has_begun) == ("3.6", "3.7", True, False)
    assert (down.begin, down.wanted, down.is_upgrade, down.has_begun) == (
        "3.7",
        "3.6",
        False,
        True,
    )
    with pytest.raises(Refusal) as refused:
        up.refuse("because")
    assert str(refused.value) == (
        "etcd-1 does not change from etcd 3.6.16 to 3.7.3, and no member was touched: because"
    )


# ---- the survey


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ((one(1), one(2)), ""),
        ((), "no member tells its version"),
        ((one(1), one(2, "")), "etcd-2 does not answer at https://10.0.0.2:2380"),
        # Only a learner may be silent, and not all may.
        ((one(1), one(2, "", voter=False)), ""),
        ((one(2, "", voter=False),), "no member tells its version"),
        (
            (one(1), one(2, healthy=False, reason="RAFT NO LEADER")),
            "etcd-2 is not healthy: RAFT NO LEADER",
        ),
        ((one(1), one(2, healthy=False, reason="RAFT NO LEADER", voter=False)), ""),
        (
            (one(1, healthy=False, reason="ALARM NOSPACE"), one(2)),
            "the alarm NOSPACE is raised: `etcdctl alarm list` says where",
        ),
        (
            (one(1), one(2, healthy=False, reason="ALARM CORRUPT", voter=False)),
            "the alarm CORRUPT is raised: `etcdctl alarm list` says where",
        ),
        ((one(1, healthy=False),), "etcd-1 is not healthy: "),
    ],
)
def test_all_must_answer_and_be_healthy(members: tuple[Surveyed, ...], expected: str) -> None:
    assert survey_fault(survey(*members)) == expected


def test_without_a_list_nothing_is_healthy() -> None:
    assert survey_fault(Survey(error="no member answers")) == "no member answers"
    assert survey_fault(Survey()) == "no member tells its version"


def test_the_minor_versions_that_run() -> None:
    assert survey(one(1, "3.10.0"), one(2, "3.9.9"), one(3, "3.9.1"), one(4, "")).minors == [
        "3.9",
        "3.10",
    ]
    assert survey(one(1), one(2, "", voter=False), one(3, "")).broken_learners == [
        "etcd-2 at https://10.0.0.2:2380"
    ]


# ---- objections


def test_nothing_stands_against_an_upgrade_of_healthy_voters() -> None:
    assert objection(change("3.6.16", "3.7.3", one(1), one(2), one(3))) == ""


def test_nothing_stands_against_a_downgrade_whatever_releases_run() -> None:
    assert objection(change("3.7.3", "3.6.1", one(1, "3.7.0"), one(2, "3.7.3"))) == ""


def test_versions_that_nobody_tells_stand_against_it() -> None:
    assert objection(change("3.6.16", "3.7.3")) == "the versions of the members cannot be read"


@pytest.mark.parametrize(
    ("mine", "version", "runs"),
    [
        ("3.6.16", "3.5.35", ("3.6.16", "3.7.3")),
        ("3.7.3", "3.8.0", ("3.6.16", "3.7.3")),
        ("3.6.16", "3.7.3", ("3.6.16", "3.5.35")),
    ],
)
def test_a_change_that_was_not_finished_is_finished_or_turned_back_first(
    mine: str, version: str, runs: tuple[str, str]
) -> None:
    minors = " and ".join(sorted(minor_of(one) for one in runs))
    said = objection(change(mine, version, one(1, runs[0]), one(2, runs[1])))
    assert said == (
        f"the members run etcd {minors}, a change that was not finished. Set etcd_version to a"
        " release of one of these first"
    )


def test_what_was_begun_goes_on_either_way() -> None:
    mixed = one(1, "3.7.3"), one(2, "3.6.16")
    assert objection(change("3.6.16", "3.7.3", *mixed)) == ""
    assert objection(change("3.7.3", "3.6.16", *mixed)) == ""


@pytest.mark.parametrize(("wanted", "version"), [("3.6", "3.6.0"), ("3.7", "3.7.3")])
def test_an_upgrade_begins_at_the_floor(wanted: str, version: str) -> None:
    floor = FLOORS[wanted]
    minor, _, patch = floor.rpartition(".")
    below = f"{minor}.{int(patch) - 1}"
    assert objection(change(floor, version, one(1, floor), one(2, floor))) == ""
    assert objection(change(floor, version, one(1, floor), one(2, below))) == (
        f"etcd-2 runs etcd {below}, and {wanted} may only follow {floor} or later. Set etcd_version"
        f" to such a release of {minor} first"
    )


def test_a_learner_is_no_part_of_a_change_unless_it_has_begun() -> None:
    learner, broken = one(2, voter=False), one(2, "", voter=False)
    assert objection(change("3.6.16", "3.7.3", one(1), learner)) == (
        "etcd-2 is a learner. Take its etcd_learner or its line away first"
    )
    assert objection(change("3.6.16", "3.7.3", one(1), broken)) == (
        "a learner does not run: etcd-2 at https://10.0.0.2:2380. Take its line away first"
    )
    for other in (learner, broken):
        begun = change("3.6.16", "3.7.3", one(1), other, one(3, "3.7.3"))
        assert objection(begun) == ""


# ---- a downgrade's data


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (one(2, "3.7.3", cluster="3.6.0", storage="3.6.0"), ""),
        # 3.5 says nothing of its storage, and 3.6 does not name that of 3.5.
        (one(2, "3.7.3", cluster="3.6.0"), ""),
        (
            one(2, "3.7.3", cluster="3.7.0", storage="3.6.0"),
            "the cluster is at 3.7.0 for etcd-2",
        ),
        (
            one(2, "3.7.3", cluster="3.6.0", storage="3.7.0"),
            "the data of etcd-2 are those of etcd 3.7.0",
        ),
        (
            one(2, "3.7.3", cluster="3.6.0", storage="3.60.0"),
            "the data of etcd-2 are those of etcd 3.60.0",
        ),
        (one(2, ""), "etcd-2 does not answer at https://10.0.0.2:2380"),
    ],
)
def test_all_data_must_be_ready_for_a_downgrade(second: Surveyed, expected: str) -> None:
    first = one(1, "3.7.3", cluster="3.6.0", storage="3.6.0")
    assert data_fault(survey(first, second), "3.6") == expected


def test_data_that_nobody_tells_of_are_not_ready() -> None:
    assert data_fault(Survey(), "3.6") == "no member tells its version"


# ---- joining


def voter(number: int, version: str) -> VoterVersion:
    return VoterVersion(f"etcd-{number}", f"https://10.0.0.{number}:2380", version)


def test_one_joins_voters_of_its_own_minor_version() -> None:
    assert join_objection("etcd-4", "3.6.16", [voter(1, "3.6.11"), voter(2, "")]) == ""
    assert silent([voter(1, "3.6.11"), voter(2, "")]) == ["etcd-2 at https://10.0.0.2:2380"]


def test_one_of_another_minor_version_does_not_join() -> None:
    said = join_objection("etcd-4", "3.7.3", [voter(1, "3.6.16"), voter(2, "3.6.16")])
    assert said.startswith(
        "etcd-4 would join with etcd 3.7.3, but the cluster runs 3.6.16; it was not added."
    )
    assert "set etcd_version to 3.6.16" in said


@pytest.mark.parametrize(
    ("version", "runs", "listed"),
    [
        ("3.7.3", ("3.6.16", "3.7.3"), "etcd-2 3.7.3, etcd-1 3.6.16"),
        ("3.6.16", ("3.6.16", "3.7.3"), "etcd-1 3.6.16, etcd-2 3.7.3"),
        ("3.5.35", ("3.6.16", "3.7.3"), "etcd-1 3.6.16, etcd-2 3.7.3"),
    ],
)
def test_nobody_joins_in_the_middle_of_a_change(
    version: str, runs: tuple[str, str], listed: str
) -> None:
    said = join_objection("etcd-4", version, [voter(1, runs[0]), voter(2, runs[1])])
    assert said.startswith(
        f"etcd-4 would join with etcd {version}, but the members run different minor versions:"
        f" {listed}; it was not added."
    )


@pytest.mark.parametrize("voters", [[], [voter(1, ""), voter(2, "")]])
def test_one_does_not_join_where_nobody_tells_a_version(voters: list[VoterVersion]) -> None:
    said = join_objection("etcd-4", "3.6.16", voters)
    listed = "etcd-1 at https://10.0.0.1:2380 etcd-2 at https://10.0.0.2:2380"
    assert said == (
        "etcd-4 was not added: no voter tells which version it runs:"
        f" {listed if voters else 'there is none'}. Bring them back and run `pulumi up` again"
    )
