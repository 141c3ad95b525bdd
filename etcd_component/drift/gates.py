"""Whether the nodes would refuse an update, by what was seen of their cluster. Pure.

With the decisions of the agent, which looks for itself when the time has come.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from etcd_component.agent.decide import version as decide
from etcd_component.changes.words import listed
from etcd_component.etcd_api import quorum
from etcd_component.etcd_api.members import Versions
from etcd_component.status.report import Report, Row


@dataclass(frozen=True, slots=True)
class Step:
    """What an update is about to do to the members of a cluster, by their names."""

    version: str
    restarts: Sequence[str] = ()
    joins: Sequence[str] = ()
    leaves: Sequence[str] = ()
    raises_quota: bool = False


def refusals(report: Report, step: Step) -> Iterator[str]:
    """Why the nodes would refuse, a sentence for each reason."""
    voters = [row for row in report.rows if _votes(row)]
    ill = [row for row in voters if not row.well]
    if reason := _version(report, step):
        yield reason
        return
    if step.restarts or step.joins:
        alarms = [one for one in report.alarms if not (step.raises_quota and "NOSPACE" in one)]
        if alarms:
            yield f"while an alarm is raised ({listed(alarms)}), no member is restarted"
    held_up = [
        name
        for name in step.restarts
        if not quorum.may_restart(
            len({row.name for row in voters} | {name}),
            sum(row.well for row in voters if row.name != name),
        )
    ]
    if held_up:
        yield f"{_described(ill)}, so {listed(held_up)} would not be restarted"
    if step.joins and ill:
        yield f"{_described(ill)}, so etcd would not take in {listed(step.joins)}"
    yield from _leaving(voters, step.leaves)


def _version(report: Report, step: Step) -> str:
    """Why no member would change its minor version; empty where that may be, or none does."""
    running = [row for row in report.rows if row.declared is not None and row.answer.version]
    changing = [row for row in running if decide.is_change(row.answer.version, step.version)]
    if not changing:
        return ""
    survey = decide.Survey(tuple(_surveyed(row) for row in report.rows))
    change = decide.Change(changing[0].name, changing[0].answer.version, step.version, survey)
    reason = (
        decide.skip_objection(change.begin, change.wanted)
        or decide.survey_fault(survey)
        or decide.objection(change)
    )
    return f"no member changes to etcd {step.version}: {reason}" if reason else ""


def _surveyed(row: Row) -> decide.Surveyed:
    answer = row.answer
    known = Versions(answer.version, answer.cluster_version, "") if answer.version else None
    return decide.Surveyed(
        row.name,
        row.address,
        is_voter=_votes(row),
        versions=known,
        healthy=row.well,
        health_reason=answer.reason,
    )


def _leaving(voters: Sequence[Row], leaves: Sequence[str]) -> Iterator[str]:
    stay = list(voters)
    for name in leaves:
        others = [row for row in stay if row.name != name]
        if len(others) == len(stay):
            continue
        healthy = sum(row.well for row in others)
        if not quorum.may_leave(len(stay), healthy):
            need = quorum.quorum(len(others)) if others else 1
            yield (
                f"{name} could not leave: of the {len(others)} voters that stay, {need} must be"
                f" healthy, and {healthy} {'is' if healthy == 1 else 'are'}"
            )
            return
        stay = others


def _votes(row: Row) -> bool:
    if row.listed is not None:
        return not row.listed.is_learner
    return row.declared is not None and not row.declared.learner


def _described(rows: Sequence[Row]) -> str:
    parts = [f"{row.name} is not healthy ({row.health})" for row in rows]
    return listed(parts)
