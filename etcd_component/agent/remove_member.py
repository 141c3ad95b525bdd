"""`remove-member`: remove a member whose machine is lost.

It runs on any machine of the cluster, even on one that is about to join: the lost member must be
out before, since etcd takes nobody in while a voter is down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import membership
from etcd_component.agent.client import FORMED, FORMING, SHORT, Client
from etcd_component.agent.decide import leaving
from etcd_component.agent.decide.verdict import Refuse
from etcd_component.agent.instance import Instance, Peer, parse_peers
from etcd_component.agent.output import Refusal, doing, refuse, say
from etcd_component.agent.paths import Paths
from etcd_component.agent.readiness import describe_peers
from etcd_component.agent.session import Credentials, Session
from etcd_component.etcd_api.errors import ApiError
from etcd_component.etcd_api.members import at_peer_url, started_voters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etcd_component.agent.frame import Run
    from etcd_component.etcd_api.members import Member


def run(run: Run) -> None:
    """Remove the member that `--lost NAME=PEER-URL` means. Raises Refusal."""
    instance = Instance.load(Paths(run.options.cluster))
    client = Client(instance.paths.pki)
    session = Session(client, Credentials(run.stdin), run.waits)
    named = parse_peers(run.options.lost)
    if len(named) != 1:
        refuse("`remove-member` needs --lost NAME=PEER-URL")
    lost = named[0]
    session.choose(_survivors(client, instance, lost, run.options.peers))
    members = session.members()
    theirs = at_peer_url(members, [lost.url])
    if theirs is None:
        say(f"{lost.name}: the cluster does not know this member any more")
        return
    if client.probe(lost.url).kind in {FORMED, FORMING}:
        refuse(
            f"{lost.name} answers at {lost.url}, so it is not lost. Take etcd_lost off its host, or"
            " put its line back as it was, and run `pulumi up`; to have it leave, delete its line"
            " then. Nothing was removed"
        )
    doing("counting the members that are left")
    decision = leaving.remove_lost(theirs, observe(client, members, theirs))
    if isinstance(decision, Refuse):
        refuse(
            f"{lost.name} cannot be removed: {decision.reason}. Bring one of the others back; if"
            " none will come back, restore a snapshot into a new cluster. Nothing was removed"
        )
    doing("removing the lost member")
    try:
        membership.remove(session, instance, theirs.id)
    except ApiError as error:
        refuse(f"the cluster does not let go of {lost.name}: {error}")
    say(f"{lost.name}: the lost member is removed from the cluster")


def observe(client: Client, members: Iterable[Member], gone: Member) -> list[leaving.Observed]:
    """The voters besides one, and whether each of them takes part now.

    The corrupt member may be the one that goes, and its alarm is raised for all.
    """
    return [
        leaving.Observed(
            member, member.started and client.is_ready(member.client_url, ["data_corruption"])
        )
        for member in members
        if member.is_voter and member.id != gone.id
    ]


def _survivors(client: Client, instance: Instance, lost: Peer, named: str) -> list[str]:
    """The client URLs of the started voters besides the lost one."""
    known = instance.known_peers(named)
    for url in (instance.peer_url, *(peer.url for peer in known)):
        if url == lost.url:
            continue
        doing(f"asking the member at {url}")
        members = client.members_or_none(url, SHORT) or ()
        survivors = [member.client_url for member in started_voters(members, [lost.url])]
        if survivors:
            return survivors
    peers = "\n".join(describe_peers(client, known))
    raise Refusal(
        f"no member of cluster {instance.cluster} answers, so {lost.name} cannot be removed:\n"
        f"{peers}"
    )
