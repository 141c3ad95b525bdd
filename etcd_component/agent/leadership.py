"""Handing the leadership over, so that no election interrupts the writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etcd_component.agent.session import Session


def hand_over(session: Session, leader_url: str, heir: int) -> None:
    """Have the leader, at its client URL, hand over to the member of that ID. Raises ApiError.

    When this returns, the heir leads.
    """
    session.call("maintenance/transfer-leadership", {"targetID": str(heir)}, leader_url)
