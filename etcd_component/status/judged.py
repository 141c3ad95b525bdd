"""What follows from what was seen: is the cluster safe, what differs from the stack? Pure."""

from etcd_component.etcd_api.members import Member as Listed
from etcd_component.status.asked import Answer
from etcd_component.status.cluster_findings import of_cluster
from etcd_component.status.declared import Member
from etcd_component.status.facts import Facts
from etcd_component.status.member_findings import of_members
from etcd_component.status.report import Report, Row, Seen


def judge(seen: Seen) -> Report:
    """What all that was seen of a cluster comes to."""
    live = _live(seen)
    rows = _rows(seen, live)
    voters = [
        row for row in rows if (not row.listed.is_learner if row.listed else _votes(row, live))
    ]
    serving = any(row.well for row in voters)
    leaders = [row.name for row in rows if row.answer.leads]
    versions = [row.answer.cluster_version for row in rows if row.answer.cluster_version]
    names = {row.listed.id: row.name for row in rows if row.listed}
    return Report(
        seen.cluster,
        rows,
        len(voters),
        sum(row.well for row in voters),
        serving,
        versions[0] if versions else "",
        leaders[0] if len(leaders) == 1 else "",
        tuple(
            f"{one.kind} at {names.get(one.member_id, one.member_id)}"
            for one in seen.listing.alarms
        ),
        (*of_cluster(seen, rows, serving=serving), *of_members(seen, rows, live)),
    )


def _votes(row: Row, live: tuple[Listed, ...] | None) -> bool:
    """Whether a row that nobody lists counts: only while nobody gives a list at all."""
    return live is None and row.declared is not None and not row.declared.learner


def _live(seen: Seen) -> tuple[Listed, ...] | None:
    """The members as the cluster has them; without a login, as a node's peer port has them."""
    if seen.listing.members is not None:
        return seen.listing.members
    for facts in seen.facts.values():
        if isinstance(facts, Facts) and facts.members:
            return facts.members
    return None


def _rows(seen: Seen, live: tuple[Listed, ...] | None) -> tuple[Row, ...]:
    leader = max((one.index for one in seen.answers.values() if one.leads), default=None)

    def row(name: str, member: Member | None, listed: Listed | None, url: str) -> Row:
        answer = seen.answers.get(url, Answer("not asked"))
        facts = seen.facts.get(name)
        known = leader is not None and not answer.error
        return Row(
            name,
            member,
            listed,
            answer,
            facts if isinstance(facts, Facts) else None,
            max(leader - answer.applied, 0) if known and leader is not None else None,
        )

    left = list(live or ())
    rows = []
    for member in seen.cluster.members:
        own = _own(member, seen.answers.get(member.client_url), left)
        if own:
            left.remove(own)
        rows.append(row(member.name, member, own, member.client_url))
    rows += [row(one.name or f"{one.id:x}", None, one, one.client_url) for one in left]
    return tuple(rows)


def _own(member: Member, answer: Answer | None, live: list[Listed]) -> Listed | None:
    """The member of the list that an instance is: the ID is surest, then its peer URL."""
    ways = (
        lambda one: answer is not None and one.id == answer.id,
        lambda one: member.peer_url in one.peer_urls,
        lambda one: one.name == member.name,
    )
    for is_own in ways:
        for one in live:
            if is_own(one):
                return one
    return None
