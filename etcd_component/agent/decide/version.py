"""Whether members may change to another minor version, and one that joins may run its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from etcd_component.agent.output import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.etcd_api.members import Versions

FLOORS = {"3.6": "3.5.32", "3.7": "3.6.11"}
"""The oldest release from which etcd's guides allow an upgrade to a minor version."""


@dataclass(frozen=True)
class Surveyed:
    """A member, as it was asked for its version and its health."""

    label: str
    peer_url: str
    is_voter: bool
    versions: Versions | None
    """None where it does not answer."""
    healthy: bool = False
    health_reason: str = ""
    """In etcd's words."""


@dataclass(frozen=True)
class Survey:
    """All members of the list; `error` is why there is none."""

    members: tuple[Surveyed, ...] = ()
    error: str = ""

    @property
    def answering(self) -> list[tuple[Surveyed, Versions]]:
        """Those that say what they run."""
        return [(one, one.versions) for one in self.members if one.versions is not None]

    @property
    def broken_learners(self) -> list[str]:
        """Those that do not: they count for no quorum, and may wait for a change of version."""
        return [
            f"{one.label} at {one.peer_url}"
            for one in self.members
            if one.versions is None and not one.is_voter
        ]

    @property
    def minors(self) -> list[str]:
        """The minor versions that run, the oldest first."""
        return sorted({minor_of(versions.server) for _, versions in self.answering}, key=_numbers)

    def has_begun(self, wanted: str) -> bool:
        """Whether some member runs that minor version already."""
        return wanted in self.minors


@dataclass(frozen=True)
class Change:
    """A change to another minor version that a member is to make, or has begun."""

    name: str
    """Of the member."""
    mine: str
    """The version that it leaves."""
    version: str
    """The one that it gets."""
    survey: Survey = Survey()
    """The members, when they were last asked."""

    @property
    def begin(self) -> str:
        """The minor version that is left."""
        return minor_of(self.mine)

    @property
    def wanted(self) -> str:
        """The minor version that is wanted."""
        return minor_of(self.version)

    @property
    def is_upgrade(self) -> bool:
        """Whether it leads to a later one."""
        return older(self.begin, self.wanted)

    @property
    def has_begun(self) -> bool:
        """Whether some member runs the wanted minor version already."""
        return self.survey.has_begun(self.wanted)

    def refuse(self, reason: str) -> NoReturn:
        """Stop before any member is touched. Raises Refusal."""
        refuse(
            f"{self.name} does not change from etcd {self.mine} to {self.version}, and no member"
            f" was touched: {reason}"
        )


def minor_of(version: str) -> str:
    """3.6 of 3.6.16; empty for what is no version."""
    found = re.match(r"(\d+\.\d+)\.", version)
    return found[1] if found else ""


def older(first: str, second: str) -> bool:
    """Whether the first of two versions, or of two minor versions, comes before the second."""
    return _numbers(first) < _numbers(second)


def follows(first: str, second: str) -> bool:
    """Whether the second minor version is the next one after the first."""
    before = _numbers(first)
    return before != [] and _numbers(second) == [*before[:-1], before[-1] + 1]


def is_change(mine: str, version: str) -> bool:
    """Whether a member that runs one version changes its minor version with the other."""
    return bool(minor_of(mine)) and minor_of(mine) != minor_of(version)


def skip_objection(begin: str, wanted: str) -> str:
    """Why etcd does not go from one minor version to the other; empty where it does."""
    if follows(begin, wanted) or follows(wanted, begin):
        return ""
    major, minor = _numbers(begin)
    step = 1 if older(begin, wanted) else -1
    return (
        "etcd goes from one minor version to the next, never over one. Set etcd_version to a"
        f" release of {major}.{minor + step} first"
    )


def survey_fault(survey: Survey) -> str:
    """What keeps the members from a change of version; empty where they are all healthy."""
    if survey.error:
        return survey.error
    for one in survey.members:
        if one.versions is None and one.is_voter:
            return f"{one.label} does not answer at {one.peer_url}"
    for one, _ in survey.answering:
        if one.healthy:
            continue
        if "ALARM" in one.health_reason:
            alarm = one.health_reason.replace("ALARM ", "")
            return f"the alarm {alarm} is raised: `etcdctl alarm list` says where"
        if one.is_voter:
            return f"{one.label} is not healthy: {one.health_reason}"
    return "" if survey.answering else "no member tells its version"


def objection(change: Change) -> str:
    """Why healthy members must not make this change; empty where they may.

    They run the minor version that is left and at most the wanted one, so that a change which was
    not finished may be finished or turned back, and nothing else begun.
    """
    survey, wanted = change.survey, change.wanted
    if not survey.minors:
        return "the versions of the members cannot be read"
    if not set(survey.minors) <= {change.begin, wanted}:
        return (
            f"the members run etcd {' and '.join(survey.minors)}, a change that was not finished."
            " Set etcd_version to a release of one of these first"
        )
    # What was begun must be finished or turned back, whatever a learner lacks.
    begun = survey.has_begun(wanted)
    if survey.broken_learners and not begun:
        broken = " ".join(survey.broken_learners)
        return f"a learner does not run: {broken}. Take its line away first"
    floor = FLOORS.get(wanted, "") if change.is_upgrade else ""
    for one, versions in survey.answering:
        if not one.is_voter and not begun:
            return f"{one.label} is a learner. Take its etcd_learner or its line away first"
        if floor and minor_of(versions.server) != wanted and older(versions.server, floor):
            return (
                f"{one.label} runs etcd {versions.server}, and {wanted} may only follow {floor} or"
                f" later. Set etcd_version to such a release of {change.begin} first"
            )
    return ""


def data_fault(survey: Survey, wanted: str) -> str:
    """What keeps members from running an older minor version; empty where all data are ready."""
    fault = survey_fault(survey)
    if fault:
        return fault
    for one, versions in survey.answering:
        if minor_of(versions.cluster) != wanted:
            return f"the cluster is at {versions.cluster} for {one.label}"
        # 3.5 says nothing of its storage, and 3.6 does not name that of 3.5.
        if versions.storage and not versions.storage.startswith(f"{wanted}."):
            return f"the data of {one.label} are those of etcd {versions.storage}"
    return ""


@dataclass(frozen=True)
class VoterVersion:
    """What a voter runs, as one that wants to join has asked it."""

    label: str
    peer_url: str
    version: str
    """Empty where it does not say."""


def join_objection(name: str, version: str, voters: Sequence[VoterVersion]) -> str:
    """Why a member of that name and version cannot be added to these voters; empty where it can.

    It is sent what the others wrote, and etcd allows it only what they run. So all are asked: in a
    change of version that was not finished some run what this one would run, and the leader does
    not, and then it never starts.
    """
    known = [voter for voter in voters if voter.version]
    if not known:
        return (
            f"{name} was not added: no voter tells which version it runs:"
            f" {' '.join(silent(voters)) or 'there is none'}. Bring them back and run `pulumi up`"
            " again"
        )
    apart = [voter for voter in known if minor_of(voter.version) != minor_of(version)]
    if not apart:
        return ""
    if len({minor_of(voter.version) for voter in known}) > 1:
        listed = ", ".join(
            f"{voter.label} {voter.version}" for voter in sorted(known, key=apart.__contains__)
        )
        return (
            f"{name} would join with etcd {version}, but the members run different minor versions:"
            f" {listed}; it was not added. A change of version was not finished: take this"
            " instance's line out, run `pulumi up` until all members run one version, and then add"
            " it again"
        )
    there = apart[-1].version
    return (
        f"{name} would join with etcd {version}, but the cluster runs {there}; it was not added."
        " Let the members change their version and others join in two steps: set etcd_version to"
        f" {there}, or take this instance's line out until the others run {version}"
    )


def silent(voters: Sequence[VoterVersion]) -> list[str]:
    """Those that do not say what they run."""
    return [f"{voter.label} at {voter.peer_url}" for voter in voters if not voter.version]


def _numbers(version: str) -> list[int]:
    """The first three numbers of a version, by which etcd's releases are ordered."""
    return [int(number) for number in re.findall(r"\d+", version)[:3]]
