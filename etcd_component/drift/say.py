"""What a preview says of drift, of nodes that are away, and of gates that are shut. Pure."""

from collections.abc import Iterator
from typing import Final

from etcd_component.drift.gates import Step, refusals
from etcd_component.status.report import Finding, Report

_SAID_ELSEWHERE: Final = frozenset({"no-answer", "certificate-ends", "certificate-expired"})
"""What a preview says in any case, see `absence` and `expiry`."""
_FINISHED_BY_UP: Final = frozenset({"not-finished", "seat"})
"""What `pulumi up` finishes by itself, and the rows of a preview show."""
_MOST = 12


def warnings(report: Report, step: Step) -> Iterator[str]:
    """One sentence for what differs, if anything does, and one for each gate that is shut.

    From where no member can be reached, as behind a bastion, their nodes alone are spoken of.
    """
    reached = any(row.answer.reached for row in report.rows)
    found = [one for one in report.findings if _is_drift(one, reached=reached)]
    if found:
        lines = [line for one in found[:_MOST] for line in _lines(one)]
        more = [f"  ... and {len(found) - _MOST} more"] if len(found) > _MOST else []
        head = (
            f"cluster {report.cluster.name} differs from what the last update left"
            " (`make status` says what to do):"
        )
        yield "\n".join([head, *lines, *more])
    if reached:
        for reason in refusals(report, step):
            yield f"cluster {report.cluster.name}: this update would be refused: {reason}"


def _is_drift(finding: Finding, *, reached: bool) -> bool:
    if finding.note or finding.key in _SAID_ELSEWHERE | _FINISHED_BY_UP:
        return False
    return reached or finding.key not in {"no-list", "not-a-member", "certificate-served"}


def _lines(finding: Finding) -> Iterator[str]:
    who = f"{finding.member}: " if finding.member else ""
    yield f"  {who}{finding.what}"
    yield from (f"      {line}" for line in finding.lines)
