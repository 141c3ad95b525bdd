"""The arithmetic of quorums, for whoever must decide whether a voter can be spared."""

from __future__ import annotations


def quorum(voters: int) -> int:
    """How many of so many voters must agree. Raises ValueError without voters."""
    if voters < 1:
        raise ValueError("a cluster without voters has no quorum")
    return voters // 2 + 1


def may_remove(voters: int, healthy_others: int) -> bool:
    """Whether a voter may be removed: those now must agree, and those left be able to go on.

    `voters` counts the one that goes; `healthy_others` are the healthy voters besides it.
    """
    return voters > 1 and healthy_others >= quorum(voters) and healthy_others >= quorum(voters - 1)


def may_leave(staying: int, healthy_staying: int, *, leaver_healthy: bool) -> bool:
    """Whether a voter may leave by its own doing: it still counts when its removal is decided.

    `staying` are the voters besides it.
    """
    if staying < 1:
        return False
    agreeing = healthy_staying + (1 if leaver_healthy else 0)
    return agreeing >= quorum(staying + 1) and healthy_staying >= quorum(staying)


def may_restart(voters: int, healthy_others: int) -> bool:
    """Whether a healthy voter may be away for a moment: all others are needed healthy by the gate.

    Looser would be enough for the quorum of five, but then the next failure ends it.
    """
    return healthy_others >= voters - 1
