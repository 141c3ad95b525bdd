"""What is not well with members, as they and their cluster say."""

import ssl
from collections.abc import Iterator

from etcd_component.etcd_api.members import Member as Listed
from etcd_component.status.declared import Member
from etcd_component.status.node_findings import of_node
from etcd_component.status.report import Finding, Remedy, Row, Seen

LAG = 1000
"""So many entries behind the leader a rollout waits too."""
EXPIRY_DAYS = 30
QUOTA_PERCENT = 80
_DAY = 24 * 60 * 60


def of_members(
    seen: Seen, rows: tuple[Row, ...], live: tuple[Listed, ...] | None
) -> Iterator[Finding]:
    """All of that, and of their nodes; `live` are the members as the cluster has them."""
    for row in rows:
        if row.declared is None:
            yield _foreign(row)
            continue
        yield from _of_membership(row, row.declared, live)
        yield from _of_answer(row, row.declared, seen.at)
        looked = seen.facts.get(row.name)
        if isinstance(looked, str):
            yield Finding("not-looked-at", f"its node was not looked at: {looked}", member=row.name)
        elif looked is not None and row.declared.files is not None:
            yield from of_node(row, row.declared, row.declared.files, rows, live)
        elif row.declared.files is None:
            what = "the last `pulumi up` did not get so far as to finish it"
            yield Finding("not-finished", what, Remedy.UP, row.name)


def _foreign(row: Row) -> Finding:
    assert row.listed is not None
    peer = ",".join(row.listed.peer_urls)
    id_ = f"{row.listed.id:x}"
    kind = "learner" if row.listed.is_learner else "voter"
    unstarted = "" if row.listed.client_urls else ", which was never started"
    return Finding(
        "unknown-member",
        f"the cluster has a {kind} that the stack does not know, ID {id_} at {peer}{unstarted};"
        f" give it a line in the inventory, or remove it: `etcdctl member remove {id_}`",
        member=row.name,
    )


def _of_membership(row: Row, member: Member, live: tuple[Listed, ...] | None) -> Iterator[Finding]:
    listed = row.listed
    if live is None:
        return
    if listed is None:
        yield Finding(
            "not-a-member",
            "the cluster does not know it: it was removed, or never joined. It joins when"
            " etcd_reseat is raised; a copy of its data is kept",
            Remedy.RESEAT,
            row.name,
        )
        return
    if not listed.client_urls:
        yield Finding("unstarted", "it was added, but never started", Remedy.REPAIR, row.name)
    elif listed.is_learner and not member.learner:
        yield Finding("is-learner", "it is a learner, and should vote", Remedy.REPAIR, row.name)
    elif member.learner and not listed.is_learner:
        what = "it votes, and should be a learner; etcd takes no vote away: let it leave and join"
        yield Finding("is-voter", what, member=row.name)
    if member.peer_url not in listed.peer_urls:
        found = ",".join(listed.peer_urls)
        what = f"the cluster knows it at {found}, not at {member.peer_url}"
        yield Finding("peer-url", what, member=row.name)


def _of_answer(row: Row, member: Member, now: float) -> Iterator[Finding]:
    answer = row.answer
    if answer.expired:
        what = "its certificate has expired; `pulumi up` renews it"
        yield Finding("certificate-expired", what, Remedy.UP, row.name)
    elif answer.error:
        runs = row.facts is not None and row.facts.unit == "active"
        but = "etcd runs there, but does not answer here" if runs else "it does not answer"
        yield Finding("no-answer", f"{but} at {row.address}: {answer.error}", member=row.name)
    elif not answer.healthy:
        yield Finding("not-healthy", f"it says of itself: {row.health}", member=row.name)
    if answer.error:
        return
    if answer.detour:
        what = f"{row.address} does not answer here; it was asked by way of its node"
        yield Finding("detour", what, member=row.name, note=True)
    if answer.version != member.version and (member.files is None or member.files.rolled_out):
        what = f"it runs etcd {answer.version}, and should run {member.version}"
        yield Finding("version-running", what, Remedy.REPAIR, row.name)
    if row.lag is not None and row.lag >= LAG:
        yield Finding("lag", f"it is {row.lag} entries behind the leader", member=row.name)
    if answer.quota and answer.size * 100 >= answer.quota * QUOTA_PERCENT:
        percent = answer.size * 100 // answer.quota
        what = f"its database has {percent} % of the quota; at 100 % the cluster takes no writes"
        yield Finding("quota", what, member=row.name)
    yield from _of_certificate(row, member, now)


def _of_certificate(row: Row, member: Member, now: float) -> Iterator[Finding]:
    days = int((row.answer.expires - now) // _DAY)
    if days < EXPIRY_DAYS:
        what = f"its certificate ends in {days} days; `pulumi up` renews it"
        yield Finding("certificate-ends", what, Remedy.UP, row.name)
    if member.files is None:
        return
    if ssl.PEM_cert_to_DER_cert(member.files.certificate) != row.answer.certificate:
        what = "it serves another certificate than the stack's"
        yield Finding("certificate-served", what, Remedy.REPAIR, row.name)
