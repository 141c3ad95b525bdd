"""`leave`: hand the leadership over, be removed from the cluster, stop."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from etcd_component.agent import composition, files, leadership, mark, membership, systemd
from etcd_component.agent.client import SHORT, Client
from etcd_component.agent.decide import leaving
from etcd_component.agent.decide.verdict import Refuse
from etcd_component.agent.instance import Instance
from etcd_component.agent.output import doing, refuse, say
from etcd_component.agent.paths import Paths
from etcd_component.agent.readiness import describe_peers, remember_peers
from etcd_component.agent.remove_member import observe
from etcd_component.agent.session import Credentials, Session
from etcd_component.agent.waits import attempts
from etcd_component.etcd_api.errors import ApiError, UnexpectedAnswer, Unreachable
from etcd_component.etcd_api.members import started_voters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.agent.frame import Run
    from etcd_component.agent.instance import Peer
    from etcd_component.etcd_api.members import Member


def run(run: Run) -> None:
    """Give up the membership of the instance on this machine. Raises Refusal."""
    paths = Paths(run.options.cluster)
    if not (files.has_content(paths.configuration) and files.has_content(paths.membership)):
        say(f"{paths.cluster} has no seat on this machine")
        return
    instance = Instance.load(paths)
    client = Client(paths.pki)
    session = Session(client, Credentials(run.stdin), run.waits)
    doing("looking for the other members")
    decision = leaving.how_to_leave(_look_around(client, instance))
    if isinstance(decision, Refuse):
        refuse(decision.reason)
    if isinstance(decision, leaving.Ask):
        session.choose(decision.urls)
        _be_removed(session, instance)
    else:
        say(f"{instance.name}: has not joined, so there is nothing to leave")
    _stop(instance)


def _look_around(client: Client, instance: Instance) -> leaving.Surroundings:
    """Its own peer port knows the others, else they tell who knew it when it last took part."""
    paths = instance.paths
    members: Sequence[Member] = ()
    answers = False
    try:
        members = client.members(instance.peer_url)
        answers = True
    except Unreachable:
        pass
    except UnexpectedAnswer as error:
        refuse(f"{instance.name} cannot leave: {error}. Nothing was removed")
    voters = [one.client_url for one in started_voters(members, instance.peer_urls)]
    if answers:
        # So that nobody else in that note means that there is nobody else.
        remember_peers(instance, client)
    known = instance.known_peers(_on_its_way_to(instance))
    if not answers or not (voters or instance.has_joined):
        voters = _voters_by_others(client, instance, known)
    others = [one for one in members if not set(one.peer_urls) & set(instance.peer_urls)]
    return leaving.Surroundings(
        name=instance.name,
        voters=tuple(voters),
        learners_only=bool(others) and all(one.is_learner for one in others),
        peers=() if voters else tuple(describe_peers(client, known)),
        has_joined=instance.has_joined,
        answers=answers,
        peers_noted=paths.known_peers.exists(),
        peers_file=str(paths.known_peers),
        unit=paths.unit,
    )


def _on_its_way_to(instance: Instance) -> str:
    """The members that one was to form the cluster with, or to join; empty where it has joined."""
    text = "" if instance.has_joined else files.read_text(instance.paths.membership)
    return files.value_in(text, "initial-cluster")


def _voters_by_others(client: Client, instance: Instance, known: Sequence[Peer]) -> list[str]:
    found: dict[str, None] = {}
    for peer in known:
        members = client.members_or_none(peer.url, SHORT) or ()
        for member in started_voters(members, instance.peer_urls):
            found[member.client_url] = None
    return sorted(found)


def _be_removed(session: Session, instance: Instance) -> None:
    own = instance.own_among(session.members())
    if own is not None:
        own = _await_permission(session, instance, own)
    if own is None:
        say(f"{instance.name}: the cluster does not know this member any more")
        return
    if own.is_voter:
        _hand_over(session, instance, own)
    doing("being removed from the cluster")
    try:
        membership.remove(session, instance, own.id)
    except ApiError as error:
        refuse(f"the cluster does not let {instance.name} go: {error}. Nothing was removed here")
    say(f"{instance.name}: removed from the cluster")


def _await_permission(session: Session, instance: Instance, own: Member) -> Member | None:
    """Itself in the member list; None when it is not in it any more. Raises Refusal.

    Another that leaves at the same time may just have handed the leadership over, and for a moment
    nobody is healthy.
    """
    current: Member | None = own
    for more in attempts(session.waits.leave):
        members = session.members()
        current = instance.own_among(members)
        if current is None:
            break
        doing("counting the members that stay")
        decision = leaving.leave(current, observe(session.client, members, current))
        if isinstance(decision, leaving.Remove):
            break
        if not more:
            refuse(
                f"{instance.name} cannot leave: {decision.reason}. Nothing was removed. Bring them"
                " back and run it again"
            )
        session.choose_again()
    return current


def _hand_over(session: Session, instance: Instance, own: Member) -> None:
    if not systemd.is_active(instance.paths.unit):
        return
    doing("handing the leadership over")
    error: ApiError | None = None
    for _ in attempts(session.waits.leave):
        if error is not None:
            session.choose_again()
        error = _handover_error(session, instance, own)
        if error is None:
            return
    refuse(f"{instance.name} is the leader and could not hand over: {error}. Nothing was removed")


def _handover_error(session: Session, instance: Instance, own: Member) -> ApiError | None:
    try:
        status = session.status()
        if status.leader != own.id:
            return None
        # The endpoint is another voter's, which has just shown that it is healthy.
        leadership.hand_over(session, own.client_url, status.member_id)
    except ApiError as error:
        return error
    say(f"{instance.name}: handed the leadership over")
    return None


def _stop(instance: Instance) -> None:
    paths = instance.paths
    doing("stopping etcd")
    if not systemd.systemctl("disable", "-q", "--now", paths.unit):
        refuse(
            f"{instance.name}: {paths.unit} could not be stopped and disabled; look at `systemctl"
            f" status {paths.unit}` and run this again"
        )
    # It is known to have left until it is uninstalled, or joins again by way of those that it knew.
    files.atomic_write(paths.left, files.read_text(paths.known_peers))
    files.remove(paths.membership, paths.known_peers, paths.rejoined, paths.bootstrapping)
    composition.compose(paths)
    if instance.real.is_dir():
        today = datetime.now(timezone.utc).astimezone().date()
        mark.write(instance, left=today.isoformat())
