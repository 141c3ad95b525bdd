"""What is not well with a cluster as a whole, or differs from the stack."""

from collections.abc import Iterator

from etcd_component.etcd_api.members import CORRUPT, NOSPACE
from etcd_component.status import access
from etcd_component.status.rejoin_finding import rejoin
from etcd_component.status.report import Finding, Remedy, Row, Seen


def of_cluster(seen: Seen, rows: tuple[Row, ...], *, serving: bool) -> Iterator[Finding]:
    """All of that; `serving`: whether some member reads by way of a quorum."""
    first = next((one.name for one in seen.cluster.members if not one.learner), "")
    if not seen.listing.rbac:
        yield Finding(
            "rbac-off",
            "authentication is off: whoever has a certificate may do everything",
            Remedy.REPAIR,
            first,
        )
    if serving and seen.listing.members is None:
        yield Finding("no-list", f"members and alarms are not known: {seen.listing.refusal}")
    yield from _of_access(seen, first)
    corrupt = [one.member_id for one in seen.listing.alarms if one.kind == CORRUPT]
    for alarm in seen.listing.alarms:
        if alarm.kind == CORRUPT:
            yield _corrupt(alarm.member_id, rows, alone=len(corrupt) == 1)
            continue
        cure = (
            "no write is taken; compact, defragment one member after another, then"
            " `etcdctl alarm disarm`"
            if alarm.kind == NOSPACE
            else "`etcdctl alarm list` says where"
        )
        names = {one.id: one.name for one in seen.listing.members or ()}
        what = f"the alarm {alarm.kind} is raised: {cure}"
        yield Finding("alarm", what, member=names.get(alarm.member_id, ""))


_MAJORITY = (
    "`etcdctl endpoint hashkv --cluster` shows on which side the majority is; a raised etcd_reseat"
    " has one on the other side joined again"
)


def _corrupt(id_: int, rows: tuple[Row, ...], *, alone: bool) -> Finding:
    if not id_:
        what = (
            f"the alarm CORRUPT is raised, and etcd does not know whose data are wrong: {_MAJORITY}"
        )
        return Finding("alarm", what)
    row = next((one for one in rows if one.listed and one.listed.id == id_), None)
    name = row.name if row else f"{id_:x}"
    what = f"the alarm CORRUPT is raised: the data of {name} differ from those of the others"
    if row is None:
        what += ", and it is no member any more: `etcdctl alarm disarm`"
        return Finding("alarm", what, member=name)
    # Before 3.6 etcd raises it for whoever differs from the leader, which may be the wrong one. The
    # member itself may be down; and after a start the version is at first "not_decided".
    versions = [
        tuple(map(int, one.answer.cluster_version.split(".")[:2]))
        for one in rows
        if one.answer.cluster_version[:1].isdigit()
    ]
    if not alone or min(versions, default=(0, 0)) < (3, 6):
        what = (
            f"the alarm CORRUPT is raised for {name}{'' if alone else ', and not only for it'}:"
            f" {_MAJORITY}"
        )
        return Finding("alarm", what, member=name)
    return rejoin("alarm", what, row, rows)


def _of_access(seen: Seen, first: str) -> Iterator[Finding]:
    there, wanted = seen.listing.access, seen.cluster.access
    if there is None or wanted is None:
        return
    for what in access.differences(wanted, there):
        yield Finding("access", what, Remedy.REPAIR, first)
    if who := access.undeclared(wanted, there):
        what = (
            f"nobody declared {who}; declare what is wanted, and remove the rest with etcdctl or"
            " etcd_undeclared_access: remove"
        )
        yield Finding("undeclared", what, note=True)
