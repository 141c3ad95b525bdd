"""Which voter can be spared, by number."""

from __future__ import annotations

import pytest

from etcd_component.etcd_api import quorum


@pytest.mark.parametrize(
    ("voters", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4), (9, 5)]
)
def test_a_quorum_is_more_than_half(voters: int, needed: int) -> None:
    assert quorum.quorum(voters) == needed


@pytest.mark.parametrize("voters", [0, -1])
def test_without_voters_there_is_none(voters: int) -> None:
    with pytest.raises(ValueError, match="without voters"):
        quorum.quorum(voters)


@pytest.mark.parametrize(
    ("voters", "remove", "leave", "restart"),
    [
        # How many of the others must be healthy; None where not even all are enough.
        (1, None, None, 0),
        (2, None, 1, 1),
        (3, 2, 2, 2),
        (4, 3, 2, 3),
        (5, 3, 3, 4),
        (6, 4, 3, 5),
        (7, 4, 4, 6),
        (9, 5, 5, 8),
    ],
)
def test_so_many_others_must_be_healthy(
    voters: int, remove: int | None, leave: int | None, restart: int
) -> None:
    for healthy in range(voters):
        assert quorum.may_remove(voters, healthy) == (remove is not None and healthy >= remove)
        assert quorum.may_leave(voters, healthy) == (leave is not None and healthy >= leave)
        assert quorum.may_restart(voters, healthy) == (healthy >= restart)
