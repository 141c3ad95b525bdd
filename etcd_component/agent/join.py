"""Bootstrap the cluster, join it, or come back."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from etcd_component.agent import (
    attempt,
    bootstrap,
    composition,
    configuration,
    data_directory,
    files,
    learner,
    mark,
    membership,
    peers,
    readiness,
    rejoin,
    software,
    systemd,
    version_change,
)
from etcd_component.agent.client import Client
from etcd_component.agent.decide import admission, joining
from etcd_component.agent.decide.verdict import Refuse
from etcd_component.agent.instance import Instance
from etcd_component.agent.output import doing, refuse, say
from etcd_component.agent.paths import Paths
from etcd_component.agent.session import Credentials, Session
from etcd_component.etcd_api.errors import AlreadyExists, ApiError
from etcd_component.etcd_api.members import CORRUPT, started_voters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.agent.decide.joining import Observed
    from etcd_component.agent.frame import Run
    from etcd_component.agent.instance import Peer
    from etcd_component.etcd_api.members import Member

_PAUSE = 0.5
"""Seconds between two looks for a peer of a formed cluster."""


def run(run: Run) -> None:
    """The command. Raises Refusal."""
    paths = Paths(run.options.cluster)
    instance = Instance.load(paths)
    client = Client(paths.pki)
    session = Session(client, Credentials(run.stdin), run.waits)
    if files.has_content(paths.left):
        # Those that it knew when it left: the command line has all that are declared.
        files.atomic_write(paths.known_peers, files.read_text(paths.left))
    seen, decision = _decide(run, instance, client, session)
    if isinstance(decision, joining.ComeBack):
        if decision.restore_membership:
            _restore_membership(run, instance)
        _come_back(run, instance, client, session)
    elif isinstance(decision, joining.Join):
        _join(run, instance, client, session, decision.peer, seen)
    else:
        bootstrap.bootstrap(run, instance, client)
    rejoin.note_done(run, instance)


def _decide(
    run: Run, instance: Instance, client: Client, session: Session
) -> tuple[Observed, joining.Decision]:
    """Look, and look again, until it is clear what is to be done. Raises Refusal."""
    seen = _observe(run, instance)
    end = time.monotonic() + run.waits.peers
    while True:
        decision = joining.decide(seen)
        if isinstance(decision, Refuse):
            refuse(decision.reason)
        if isinstance(decision, (joining.Look, joining.Wait)):
            if isinstance(decision, joining.Wait):
                time.sleep(_PAUSE)
            reports = peers.observe(client, instance.known_peers(run.options.peers))
            seen = replace(seen, reports=reports, may_wait=time.monotonic() < end)
        elif isinstance(decision, joining.Examine):
            seen = replace(seen, verdict=rejoin.examine(run, instance, client, session))
        elif isinstance(decision, joining.AskFounders):
            objection = attempt.objection(instance, client, founders=run.options.founders)
            seen = replace(seen, objection=objection)
        elif isinstance(decision, joining.BeginAnew):
            attempt.discard(instance)
            seen = _observe(run, instance)
        elif isinstance(decision, joining.SetAside):
            rejoin.set_data_aside(run, instance, client, session, decision.cause)
            seen = _observe(run, instance)
        else:
            return seen, decision


def _observe(run: Run, instance: Instance) -> Observed:
    """What is on disk and on the command line."""
    paths, options = instance.paths, run.options
    return joining.Observed(
        name=instance.name,
        cluster=instance.cluster,
        data=str(instance.data),
        peer_url=instance.peer_url,
        holds_member=instance.holds_member,
        has_membership=files.has_content(paths.membership),
        has_joined=instance.has_joined,
        has_left=paths.left.exists(),
        has_begun=paths.identity.exists(),
        was_joining=bootstrap.was_joining(instance),
        began_with_others=bootstrap.began_with_others(instance, options.founders),
        owns_data=mark.is_mine(instance, options),
        rejoin_done=rejoin.done(paths),
        has_copy=rejoin.copy_kept(paths, options.reseat) is not None,
        founders=options.founders,
        names_peers=bool(options.peers),
        rejoin=options.reseat,
        repair=options.repair,
        knows_peers=bool(instance.known_peers(options.peers)),
    )


# ---- coming back


def _restore_membership(run: Run, instance: Instance) -> None:
    """The files are gone, the data are this instance's own: who it is, they say."""
    software.link_version(instance.paths, run.options.version)
    composition.write_joined(instance)
    configuration.own_data_directory(instance)
    systemd.require("daemon-reload")
    say(f"{instance.name}: finds its own data in {instance.data}, and comes back with them")


def _come_back(run: Run, instance: Instance, client: Client, session: Session) -> None:
    """The data directory has this member already: it only has to run, and to vote if it should."""
    if not software.has_program(instance.paths):
        software.link_version(instance.paths, run.options.version)
    if bootstrap.has_begun(instance):
        if not bootstrap.resume(run, instance, client):
            return
    else:
        # It may have been on its way in when the last run was interrupted.
        newcomer = None if instance.has_joined else learner.Newcomer(instance, None)
        readiness.start_member(run, instance, client, run.waits.start, newcomer)
    _promote(run, instance, client, session)
    say(f"{instance.name}: runs, {bootstrap.role(instance, client)}")


def _promote(run: Run, instance: Instance, client: Client, session: Session) -> None:
    role = bootstrap.role(instance, client)
    decision = admission.decide_role(instance.name, role, wants_learner=run.options.learner)
    if isinstance(decision, Refuse):
        refuse(decision.reason)
    if not isinstance(decision, admission.Promote):
        return
    members = client.members_or_none(instance.peer_url, 10) or ()
    voters = started_voters(members, instance.peer_urls)
    session.choose([voter.client_url for voter in voters])
    learner.promote(instance, session, client)


# ---- joining a formed cluster


def _join(
    run: Run, instance: Instance, client: Client, session: Session, peer: Peer, seen: Observed
) -> None:
    if seen.has_left:
        copy = data_directory.set_aside(instance.data, instance.paths.unit, "left")
        if copy is not None:
            say(f"{instance.name}: its former data are kept in {copy}")
    known = rejoin.member_list(client, peer.url)
    version_change.refuse_to_join_another_minor(run, instance, client, known)
    session.choose([one.client_url for one in started_voters(known, instance.peer_urls)])
    members = session.members()
    decision = admission.decide_admission(seen, instance.own_among(members))
    if isinstance(decision, admission.RemoveFormer):
        rejoin.refuse_without_disk(instance)
        if not decision.member.is_learner:
            rejoin.check_quorum_of_others(instance, client, members)
        _remove_former(instance, session, decision.member)
        members = session.members()
        decision = admission.decide_admission(seen, None)
    if isinstance(decision, Refuse):
        refuse(decision.reason)
    _disarm_alarms_of_removed(instance, session, members, decided=seen.rejoin_is_asked)
    _set_leftovers_aside(instance)
    if isinstance(decision, admission.Add):
        _remove_abandoned_learners(run, instance, session, members)
        _add_learner(instance, session)
    listed = admission.initial_cluster(session.members(), instance.name, instance.peer_urls)
    bootstrap.prepare(run, instance, bootstrap.EXISTING, listed)
    # The others send it all their data first.
    newcomer = learner.Newcomer(instance, session)
    readiness.start_member(run, instance, client, run.waits.join, newcomer)
    _promote(run, instance, client, session)
    say(f"{instance.name}: joined the cluster; runs, {bootstrap.role(instance, client)}")


def _remove_former(instance: Instance, session: Session, former: Member) -> None:
    doing("removing the former member")
    try:
        membership.remove(session, instance, former.id)
    except ApiError as error:
        refuse(f"the cluster does not let go of member {former.id}: {error}")
    say(f"{instance.name}: the former member {former.id} is removed")


def _disarm_alarms_of_removed(
    instance: Instance, session: Session, members: Sequence[Member], *, decided: bool
) -> None:
    """What was raised for a member that is gone bars every new one from becoming ready.

    etcd raises it for no member where it does not know whose data are wrong. `decided` says that a
    person does, and has them joined again. Raises Refusal.
    """
    try:
        alarms = session.alarms()
    except ApiError as error:
        refuse(f"the alarms cannot be read: {error}")
    known = {member.id for member in members}
    for alarm in alarms:
        if alarm.kind != CORRUPT or alarm.member_id in known:
            continue
        if not alarm.member_id and not decided:
            refuse(
                "the alarm CORRUPT is raised, and etcd does not know whose data are wrong, so"
                " nobody joins. `etcdctl endpoint hashkv --cluster` shows on which side the"
                " majority is; raise etcd_reseat on the host of one on the other side. Nothing"
                " was changed"
            )
        whose = f"of the removed member {alarm.member_id:x}" if alarm.member_id else "of no member"
        body = {"action": "DEACTIVATE", "memberID": str(alarm.member_id), "alarm": CORRUPT}
        try:
            session.call("maintenance/alarm", body)
        except ApiError as error:
            refuse(f"the alarm CORRUPT {whose} is not disarmed: {error}")
        say(f"{instance.name}: the alarm CORRUPT {whose} is disarmed")


def _set_leftovers_aside(instance: Instance) -> None:
    """A database without its log is taken up again by an etcd that joins, with entries it lacks."""
    if data_directory.state(instance.data) == "none":
        return
    unit = instance.paths.unit
    if systemd.is_active(unit):
        refuse(f"{instance.name} runs; its data are not touched")
    copy = data_directory.set_aside(instance.data, unit, rejoin.LABEL)
    say(f"{instance.name}: {instance.data}/member held no whole member; it is set aside in {copy}")


def _remove_abandoned_learners(
    run: Run, instance: Instance, session: Session, members: Sequence[Member]
) -> None:
    for one in admission.abandoned_learners(members, run.options.peers):
        try:
            membership.remove(session, instance, one.id, run.waits.abandoned)
        except ApiError as error:
            refuse(
                f"the cluster does not let go of the learner {one.id} at {one.peer_url}, which"
                f" never started: {error}"
            )
        say(
            f"{instance.name}: the member {one.id} at {one.peer_url}, a learner that never started"
            " and that nobody declares, is removed from the cluster"
        )


def _add_learner(instance: Instance, session: Session) -> None:
    doing(f"being added as a learner through {session.endpoint}")
    body = {"peerURLs": [instance.peer_url], "isLearner": True}
    try:
        membership.change(session, instance, session.waits.add, "add", body)
    except AlreadyExists:
        # An addition whose answer was lost.
        pass
    except ApiError as error:
        refuse(f"the cluster does not take {instance.name} as a learner: {error}")
    say(f"{instance.name}: added as a learner")
