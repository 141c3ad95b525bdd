"""Handing the leadership over, so that no election interrupts the writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.etcd_api.errors import ApiError

if TYPE_CHECKING:
    from etcd_component.agent.session import Session


def hand_over(session: Session, leader_url: str, heir: int) -> None:
    """Have the leader, at its client URL, hand over to the member of that ID. Raises ApiError.

    When this returns, the heir leads.
    """
    try:
        session.call("maintenance/transfer-leadership", {"targetID": str(heir)}, leader_url)
    except ApiError:
        # It is refused where the answer to the one before was lost.
        if not _leads(session, leader_url, heir):
            raise


def _leads(session: Session, url: str, member_id: int) -> bool:
    try:
        return session.status(url).leader == member_id
    except ApiError:
        return False
