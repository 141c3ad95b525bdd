"""What is here, for the person on the machine: all clusters of it, without a password."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.agent import claim, crash, describe, files, lifecycle, readiness, systemd
from etcd_component.agent.client import FORMED, Client, PeerState
from etcd_component.agent.decide.lifecycle import JOINED
from etcd_component.agent.instance import Instance
from etcd_component.agent.output import say
from etcd_component.agent.paths import Paths, clusters
from etcd_component.etcd_api.errors import ApiError
from etcd_component.etcd_api.quorum import quorum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.agent.frame import Run
    from etcd_component.etcd_api.members import Member


@dataclass(frozen=True)
class Seen:
    """A member, and what it said."""

    member: Member
    state: PeerState
    leads: bool

    @property
    def is_up(self) -> bool:
        """Whether it runs in its cluster."""
        return self.state.kind == FORMED


def run(run: Run) -> None:
    """Describe the instances here, or that of the cluster that is named.

    The exit status is 1 where something must be looked after.
    """
    names = [run.options.cluster] if run.options.names_cluster else clusters()
    here = [paths for paths in map(Paths, names) if _is_here(paths)]
    if not here:
        Instance.load(Paths(run.options.cluster))
    is_healthy = True
    for number, paths in enumerate(here):
        if number:
            say("")
        is_healthy = _describe(paths) and is_healthy
    if not is_healthy:
        raise SystemExit(1)


def _is_here(paths: Paths) -> bool:
    return files.has_content(paths.configuration) or claim.read(paths) is not None


def _describe(paths: Paths) -> bool:
    """Whether there is nothing to look after."""
    claimed = claim.read(paths)
    if claimed and not files.has_content(paths.configuration):
        say(f"instance    {claimed.name} of cluster {paths.cluster}, data in {claimed.data}")
        say("files       are missing; `pulumi up` puts them here")
        return False
    instance, client = Instance.load(paths), Client(paths.pki)
    unit = systemd.show(paths.unit)
    say(f"instance    {instance.name} of cluster {paths.cluster}, data in {instance.data}")
    say(f"unit        {describe.unit(paths.unit, unit)}")
    say(f"version     {describe.version(instance, client)}")
    say(f"files       {describe.file_state(paths, unit)}")
    say(f"certificate {describe.certificate(paths, time.time())}")
    stage = lifecycle.stage_in_cluster(instance, client, unit)
    say(f"seat        {describe.stage(instance, stage)}")
    last = crash.look(paths.unit, unit)
    if last:
        say(f"crash       {last}")
    if cure := describe.to_do(instance, stage, unit, has_crashed=bool(last)):
        say(f"to do       {cure}")
    serves = _describe_members(instance, client)
    return serves and unit.is_active and stage == JOINED


def _describe_members(instance: Instance, client: Client) -> bool:
    """Whether they have a quorum and a leader."""
    if fault := client.fault():
        say(f"members     cannot be asked: {fault}")
        return False
    try:
        members = sorted(client.members(instance.peer_url), key=lambda one: one.label)
    except ApiError as error:
        say(f"members     this one does not answer: {error}")
        for line in readiness.describe_peers(client, instance.known_peers()):
            say(line)
        return False
    with ThreadPoolExecutor(len(members)) as pool:
        seen = list(pool.map(lambda member: _look(client, member), members))
    say("members   ID               role    state")
    for one in seen:
        say(row(one, is_own=bool(set(one.member.peer_urls) & set(instance.peer_urls))))
    follows = client.has_leader(instance.client_url)
    say(f"quorum      {summary(seen, follows=follows)}")
    voters = [one for one in seen if one.member.is_voter]
    return follows and sum(one.is_up for one in voters) >= quorum(len(voters))


def _look(client: Client, member: Member) -> Seen:
    leads = member.started and client.is_leader(member.client_url)
    return Seen(member, client.probe(member.peer_url), leads)


def row(seen: Seen, *, is_own: bool) -> str:
    """A line of the table."""
    member = seen.member
    role = "leader" if seen.leads else "voter" if member.is_voter else "learner"
    # A person wants to know whether it runs, and not whether its cluster is formed.
    state = "runs" if seen.is_up else str(seen.state)
    own = ", this one" if is_own else ""
    return f"  {member.name or '-':7} {member.id:016x} {role:7} {state}{own} at {member.peer_url}"


def summary(seen: Sequence[Seen], *, follows: bool) -> str:
    """Who is up, who leads and who is away; `follows`: whether this one has a leader."""
    voters = [one for one in seen if one.member.is_voter]
    up = sum(one.is_up for one in voters)
    leaders = [one.member.label for one in seen if one.leads]
    if leaders:
        lead = f"{' and '.join(leaders)} leads"
    else:
        lead = "one leads that does not answer here" if follows else "nobody leads"
    away = ", ".join(one.member.label for one in seen if not one.is_up)
    needed = quorum(len(voters)) if voters else 1
    text = f"{up} of {len(voters)} voters up, {needed} needed; {lead}"
    return f"{text}; away: {away}" if away else text
