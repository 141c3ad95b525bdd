"""How far an instance is on its way into its cluster, and whether it is still there."""

from __future__ import annotations

NOT_JOINED = "not-joined"
JOINING = "joining"
JOINED = "joined"
LOST = "lost"
"""It was part of its cluster, and its data are gone."""
REMOVED = "removed"
"""Its cluster goes on without it."""


def stage(*, has_membership: bool, holds_member: bool, has_joined: bool) -> str:
    """By what is on the machine: whether it says how the member joins, has its log, has joined."""
    if not has_membership:
        return NOT_JOINED
    if holds_member:
        return JOINED
    return LOST if has_joined else JOINING


def in_cluster(stage: str, *, is_active: bool, is_unknown: bool) -> str:
    """The same with what its peers say: one that was removed stops by itself, or fails."""
    return REMOVED if stage == JOINED and not is_active and is_unknown else stage
