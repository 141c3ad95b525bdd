"""The arithmetic of quorums: which voter can be spared, and for how long.

`voters` always counts the one in question. `healthy_others` are the voters besides it that have
just shown that they take part: each knows a leader, or has read with the agreement of a quorum.
"""

from __future__ import annotations


def quorum(voters: int) -> int:
    """How many of so many voters must agree. Raises ValueError without voters."""
    if voters < 1:
        raise ValueError("a cluster without voters has no quorum")
    return voters // 2 + 1


def may_remove(voters: int, healthy_others: int) -> bool:
    """Whether a voter that no longer takes part may be removed.

    The others decide on it without it, and it still counts then; that is at least as many as those
    that are left need afterwards. So a cluster of one or two can spare nobody.
    """
    return healthy_others >= quorum(voters)


def may_leave(voters: int, healthy_others: int) -> bool:
    """Whether a voter that takes part may be removed: those that stay must have their quorum.

    That there is one today, of which it may be a part itself, is what a healthy one has shown.
    """
    return voters > 1 and healthy_others >= quorum(voters - 1)


def may_restart(voters: int, healthy_others: int) -> bool:
    """Whether a voter may be away for a moment: all others must be healthy.

    The quorum of five would survive two that are away; but then the next failure ends it.
    """
    return healthy_others >= voters - 1
