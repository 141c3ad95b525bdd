"""How far an instance is, by what is on its machine and by what its peers say."""

from __future__ import annotations

import pytest

from etcd_component.agent.decide.lifecycle import (
    JOINED,
    JOINING,
    LOST,
    NOT_JOINED,
    REMOVED,
    in_cluster,
    stage,
)


@pytest.mark.parametrize(
    ("has_membership", "holds_member", "has_joined", "expected"),
    [
        (False, False, False, NOT_JOINED),
        (False, True, False, NOT_JOINED),
        (True, False, False, JOINING),
        (True, True, False, JOINED),
        (True, False, True, LOST),
        (True, True, True, JOINED),
    ],
)
def test_stage(has_membership: bool, holds_member: bool, has_joined: bool, expected: str) -> None:
    found = stage(has_membership=has_membership, holds_member=holds_member, has_joined=has_joined)
    assert found == expected


@pytest.mark.parametrize("found", [NOT_JOINED, JOINING, JOINED, LOST])
@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize("is_unknown", [True, False])
def test_removed_is_only_one_that_joined_is_down_and_is_unknown(
    found: str, is_active: bool, is_unknown: bool
) -> None:
    removed = found == JOINED and not is_active and is_unknown
    expected = REMOVED if removed else found
    assert in_cluster(found, is_active=is_active, is_unknown=is_unknown) == expected
