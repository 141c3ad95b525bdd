"""Whether an attempt to become a member came to nothing: decided from what its peers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.etcd_api.quorum import quorum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.agent.instance import Peer


def may_be_a_member(
    formed: Sequence[Peer], away: Sequence[Peer], voters: int, *, runs: bool
) -> str:
    """Why a cluster may count on one that has begun; empty when none does.

    Of all `voters` that it began with, itself among them, `formed` are in a cluster that they
    formed, and `away` are others that cannot be asked. A quorum of these may have formed it, too,
    together with itself unless it `runs` and says that it waits.
    """
    if not voters:
        return "it is not known with whom it began"
    if formed:
        return f"{formed[0].name} at {formed[0].url} is in a formed cluster"
    if away and len(away) + (not runs) >= quorum(voters):
        places = ", ".join(f"{one.name} at {one.url}" for one in away)
        return f"those that it began with cannot be asked: {places}"
    return ""
