"""What is cured by removing a member and having it join again, as long as that is safe."""

from etcd_component.model import quorum
from etcd_component.status.report import Finding, Remedy, Row


def rejoin(key: str, what: str, row: Row, rows: tuple[Row, ...]) -> Finding:
    """A finding that a raised `etcd_reseat` cures, as long as the others have their quorum."""
    voters = [one for one in rows if _counts(one)]
    healthy = sum(
        one.answer.has_leader and not one.answer.error for one in voters if one is not row
    )
    if healthy >= quorum(len(voters)):
        cure = "a raised etcd_reseat has it removed and joined again, and keeps a copy of its data"
        return Finding(key, f"{what}; {cure}", Remedy.RESEAT, row.name)
    if len(voters) == 1:
        return Finding(key, f"{what}; nobody else has them: restore a snapshot", member=row.name)
    cure = (
        f"bring the others back first: of {len(voters)} voters {quorum(len(voters))} must be"
        f" healthy without it, and {healthy} are; if they will not come back, restore a snapshot"
    )
    return Finding(key, f"{what}; {cure}", member=row.name)


def _counts(row: Row) -> bool:
    if row.listed:
        return not row.listed.is_learner
    # Nobody gives a list: then those that are declared count.
    return row.declared is not None and not row.declared.learner and not row.answer.learner
