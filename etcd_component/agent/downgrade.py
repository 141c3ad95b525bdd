"""Having etcd write its data as the minor version below does, by its own procedure.

Etcd is told where to go, writes its data as the older minor version would, and only then the
members are restarted with that. A cluster that never finished its upgrade needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import systemd
from etcd_component.agent.decide.version import data_fault, minor_of
from etcd_component.agent.output import complain, doing, refuse, say
from etcd_component.agent.survey import survey_members
from etcd_component.agent.waits import attempts
from etcd_component.etcd_api.errors import ApiError, NoDowngrade

if TYPE_CHECKING:
    from etcd_component.agent.client import Client
    from etcd_component.agent.decide.version import Change
    from etcd_component.agent.frame import Run
    from etcd_component.agent.instance import Instance
    from etcd_component.agent.session import Session

_PAUSE = 0.1


def is_enabled(instance: Instance, client: Client) -> bool | None:
    """Whether a downgrade is on its way; None where nobody says. Asks without a login."""
    try:
        return client.text(instance.peer_url, "/downgrade/enabled").strip() == "true"
    except ApiError:
        return None


def cluster_minor(instance: Instance, client: Client) -> str:
    """The minor version that the cluster as a whole has reached; empty where it is not said."""
    versions = client.versions_or_none(instance.peer_url)
    return minor_of(versions.cluster) if versions else ""


def await_cluster_minor(instance: Instance, client: Client, wanted: str, seconds: float) -> bool:
    """Whether the cluster gets there in time.

    Etcd looks at its members' versions every four seconds, and ends a downgrade when it looks, too.
    """
    return any(
        cluster_minor(instance, client) == wanted and is_enabled(instance, client) is False
        for _ in attempts(seconds, _PAUSE)
    )


def begin(run: Run, instance: Instance, client: Client, session: Session, change: Change) -> bool:
    """Have the data of all members ready for the wanted version; whether that took a while.

    Raises Refusal.
    """
    wanted = change.wanted
    doing(f"preparing the data for etcd {wanted}")
    if not change.has_begun and not is_enabled(instance, client):
        _await_end_of_upgrade(run, instance, client, change)
    if cluster_minor(instance, client) != wanted and not _heads_for(
        instance, client, session, wanted
    ):
        call_off(instance, client, session)
        try:
            for action in ("VALIDATE", "ENABLE"):
                session.call("maintenance/downgrade", {"action": action, "version": wanted})
        except ApiError as error:
            change.refuse(f"etcd does not go back to {wanted}: {error}")
        say(f"{instance.name}: the cluster prepares its data for etcd {wanted}")
    survey = survey_members(instance, client, run.options.peers)
    if not data_fault(survey, wanted):
        return False
    _await_data(run, instance, client, session, change)
    return True


def call_off(instance: Instance, client: Client, session: Session) -> None:
    """End a downgrade that is on its way. Raises Refusal where etcd does not."""
    enabled = is_enabled(instance, client)
    if enabled is None:
        refuse(
            f"{instance.name} does not say whether a downgrade is on its way; run `pulumi up` again"
        )
    if not enabled:
        return
    try:
        session.call("maintenance/downgrade", {"action": "CANCEL"})
    except NoDowngrade:
        return
    except ApiError as error:
        refuse(f"the downgrade that was begun cannot be called off: {error}")
    say(f"{instance.name}: the downgrade that was begun is called off")


def _await_end_of_upgrade(run: Run, instance: Instance, client: Client, change: Change) -> None:
    if not await_cluster_minor(instance, client, change.begin, run.waits.cluster_version):
        refuse(
            f"{instance.name} is not restarted: the members run etcd {change.begin}, but the"
            f" cluster is still at {cluster_minor(instance, client)}. It is safe to run this again"
        )


def _heads_for(instance: Instance, client: Client, session: Session, wanted: str) -> bool:
    if not is_enabled(instance, client):
        return False
    try:
        return session.status().downgrade_target.startswith(f"{wanted}.")
    except ApiError:
        return False


def _await_data(
    run: Run, instance: Instance, client: Client, session: Session, change: Change
) -> None:
    fault = ""
    for _ in attempts(run.waits.downgrade, _PAUSE):
        fault = data_fault(survey_members(instance, client, run.options.peers), change.wanted)
        if not fault:
            return
    call_off(instance, client, session)
    complain(systemd.journal_tail(instance.paths.unit))
    change.refuse(
        f"{fault} after a minute, so something is in use that {change.wanted} does not know; the"
        " lines above may name it"
    )
