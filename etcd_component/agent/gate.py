"""The gate before a restart: looking at all other members until they can spare this one."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from etcd_component.agent import files, start, systemd
from etcd_component.agent.decide.gate import Pass, Seen, View, decide, unseen
from etcd_component.agent.output import Refusal, complain, doing, refuse, say, warn
from etcd_component.agent.parallel import for_each
from etcd_component.agent.paths import RUN
from etcd_component.agent.waits import attempts
from etcd_component.etcd_api.errors import ApiError, TokenInvalid

if TYPE_CHECKING:
    from etcd_component.agent.client import Client
    from etcd_component.agent.frame import Run
    from etcd_component.agent.instance import Instance
    from etcd_component.agent.paths import Paths
    from etcd_component.agent.session import Session
    from etcd_component.etcd_api.members import Member

_PAUSE = 0.1
_SETTLE_PAUSE = 0.03


def pass_gate(run: Run, instance: Instance, client: Client, session: Session) -> Pass | None:
    """Wait until this member may restart. Raises Refusal with what is wrong.

    None where it has gone down meanwhile: then it has nothing to lose.
    """
    paths = instance.paths
    if not _can_note_starts(paths):
        refuse(
            f"{instance.name} is not restarted: nothing can be written in {RUN}, where is noted"
            f" what a member was started with. Free space there (`df {RUN}`) and run `pulumi up`"
            " again"
        )
    reason = ""
    for _ in attempts(run.waits.gate, _PAUSE):
        doing("looking at the other members before the restart")
        decision = decide(observe(instance, client, session))
        if isinstance(decision, Pass):
            _treat_learners(instance, session, decision)
            return decision
        if not systemd.is_active(paths.unit):
            return None
        reason = decision.reason
    raise Refusal(
        f"{instance.name} is not restarted, since the cluster could lose its quorum: {reason}."
        " Mend that and run `pulumi up` again; a member that will not come back goes first with"
        " etcd_lost on its host"
    )


def observe(instance: Instance, client: Client, session: Session) -> View:
    """Look at all members, the others side by side."""
    view = View(instance.name, instance.peer_urls, session.endpoint)
    try:
        view = replace(view, members=session.list_members())
        view = replace(view, alarms=session.alarms())
        view = replace(view, reference=session.status())
    except ApiError as error:
        return replace(view, error=str(error))
    if view.alarms:
        quota = client.metric(instance.client_url, "etcd_server_quota_backend_bytes")
        view = replace(view, quota=quota, wanted_quota=_wanted_quota(instance))
    own = instance.own_among(view.members or ())
    others = [member for member in view.members or () if member is not own]
    return replace(
        view, others=tuple(for_each(lambda member: _look(client, session, member), others))
    )


def _look(client: Client, session: Session, member: Member) -> Seen:
    if not member.started:
        return Seen(member)
    ready = client.is_ready(member.client_url, () if member.is_voter else ("non_learner",))
    try:
        return Seen(member, session.status(member.client_url), ready=ready)
    except ApiError as error:
        refused = isinstance(error, TokenInvalid)
        return Seen(member, None, str(error), token_refused=refused, ready=ready)


def _wanted_quota(instance: Instance) -> int:
    text = files.value_in(files.read_text(instance.paths.configuration), "quota-backend-bytes")
    return int(text) if text.isdigit() else 0


def _treat_learners(instance: Instance, session: Session, passed: Pass) -> None:
    for learner in passed.abandoned:
        who = f"the member {learner.id} at {learner.peer_url}, a learner that never started,"
        try:
            session.call("cluster/member/remove", {"ID": str(learner.id)})
        except ApiError as error:
            warn(f"{instance.name}: {who} cannot be removed: {error}")
        else:
            say(f"{instance.name}: {who} is removed from the cluster")
    if passed.ailing:
        warn(
            f"{instance.name}: restarted although the learner is not well, which counts for no"
            f" quorum: {'. '.join(passed.ailing)}."
        )


def _can_note_starts(paths: Paths) -> bool:
    attempt = paths.started.with_name(f"{paths.started.name}.try")
    try:
        attempt.parent.mkdir(parents=True, exist_ok=True)
        attempt.write_text(start.files_say(paths), encoding="utf-8")
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            files.remove(attempt)
    return True


def settle(run: Run, instance: Instance, client: Client) -> Member:
    """Wait until the others see the restarted member; itself, in its own list. Raises Refusal.

    The next member may only go when this one takes part again, which it does now, and the others
    see it. This is asked without a login, which the restarted member would need anew.
    """
    doing("waiting until the others see the restarted member")
    try:
        members = client.members(instance.peer_url)
    except ApiError as error:
        refuse(f"{instance.name} was restarted, but gives no member list: {error}")
    own = instance.own_among(members)
    if own is None:
        refuse(f"{instance.name} was restarted, but is not in its own member list")
    voters = [one for one in members if one is not own and one.is_voter and one.started]
    reason = ""
    for _ in attempts(run.waits.settle, _SETTLE_PAUSE):
        reason = unseen(
            for_each(lambda voter: (voter.name, _streams(client, voter, own.id)), voters)
        )
        if not reason:
            return own
    complain(systemd.journal_tail(instance.paths.unit))
    raise Refusal(f"{instance.name} was restarted, but {reason}; the others were left alone")


def _streams(client: Client, voter: Member, peer: int) -> int | None:
    """How many streams a voter holds to the peer of that ID; None where it does not answer."""
    text = client.metrics(voter.client_url)
    if not re.search("^etcd_server_has_leader ", text, re.MULTILINE):
        return None
    found = re.search(
        rf'^etcd_network_active_peers{{.*Remote="{peer:x}".*}} (\S+)$', text, re.MULTILINE
    )
    return int(float(found[1])) if found else 0
