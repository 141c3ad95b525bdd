"""Changes of membership, which etcd refuses for seconds after another change or a restart."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from etcd_component.agent.client import FORMED
from etcd_component.agent.output import being_done, doing, refuse, say
from etcd_component.etcd_api.errors import (
    ApiError,
    LearnerBusy,
    NotFound,
    UnhealthyCluster,
    may_pass,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etcd_component.agent.instance import Instance
    from etcd_component.agent.session import Session

_PAUSE = 0.2


def change(
    session: Session,
    instance: Instance,
    seconds: float,
    method: str,
    body: Mapping[str, Any],
) -> None:
    """Have the members decide on a change: `method` is add, promote, remove or update.

    Waits for at most so many seconds while etcd takes no change, and says what it waits for. Raises
    ApiError with etcd's last answer; Refusal with the names of the voters that are away, when it is
    they that etcd waits for.
    """
    task, announced, begun = being_done(), "", time.monotonic()
    while True:
        try:
            session.call(f"cluster/member/{method}", body)
        except ApiError as error:
            waited = time.monotonic() - begun
            if waited >= seconds or not _may_be_done_later(error):
                raise
            if isinstance(error, UnhealthyCluster) and waited >= session.waits.distrust:
                # Seconds of distrust follow every new connection; more have another reason.
                refuse_without_absent(session, instance, error)
            if may_pass(error):
                # The member that is asked may itself be leaving.
                session.choose_again()
                doing(task)
            elif str(error) != announced:
                announced = str(error)
                say(f"{instance.name}: waiting, etcd says: {announced}")
        else:
            return
        time.sleep(_PAUSE)


def remove(session: Session, instance: Instance, member_id: int, seconds: float = 0) -> None:
    """Have a member removed; one that is gone already is a removal whose answer was lost.

    Waits `waits.remove` unless told otherwise. Raises as `change` does.
    """
    with contextlib.suppress(NotFound):
        change(session, instance, seconds or session.waits.remove, "remove", {"ID": str(member_id)})


def refuse_without_absent(session: Session, instance: Instance, error: ApiError) -> None:
    """Stop with the names of the voters whose peer ports do not answer, if there are any."""
    absent = [
        f"{member.name or '-'} at {member.peer_url}"
        for member in session.members()
        if member.is_voter and session.client.probe(member.peer_url).kind != FORMED
    ]
    if absent:
        refuse(
            f"{instance.name}: etcd changes no members now and says: {error}. These voters do not"
            f" answer: {', '.join(absent)}. Bring them back, or declare them lost with etcd_lost,"
            " and run `pulumi up` again. Nothing was changed"
        )


def _may_be_done_later(error: ApiError) -> bool:
    return may_pass(error) or isinstance(error, (UnhealthyCluster, LearnerBusy))
