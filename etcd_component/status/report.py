"""What was seen of a cluster, and what is said of it: the shapes alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from urllib.parse import urlsplit

from etcd_component.etcd_api.members import Member as Listed
from etcd_component.model import quorum
from etcd_component.status.asked import Answer, Listing
from etcd_component.status.declared import Cluster, Member
from etcd_component.status.facts import Facts


class Exit(IntEnum):
    """What `status` ends with."""

    WELL = 0
    DIFFERS = 1
    NO_QUORUM = 2
    UNREADABLE = 3


class Remedy(StrEnum):
    """What cures a finding."""

    REPAIR = "repair"
    """A raised `etcd_repair` on the host, and `pulumi up`."""
    RESEAT = "reseat"
    """A raised `etcd_reseat` on the host, and `pulumi up`."""
    UP = "up"
    """`pulumi up` as it is."""
    PERSON = "person"
    """What the finding says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not well, or differs from the stack. `key` is for programs, and stable."""

    key: str
    what: str
    remedy: Remedy = Remedy.PERSON
    member: str = ""
    lines: tuple[str, ...] = ()
    """Of a file: `-` as the stack says, `+` as it is."""
    note: bool = False
    """Worth a mention, and nothing wrong."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was seen of a cluster."""

    cluster: Cluster
    answers: Mapping[str, Answer]
    """By client URL."""
    listing: Listing
    facts: Mapping[str, Facts | str]
    """By instance; a text is why a node was not looked at. Empty when none was to be."""
    at: float
    """When, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Row:
    """A member as it is: declared, listed, or both."""

    name: str
    declared: Member | None
    listed: Listed | None
    answer: Answer
    facts: Facts | None
    lag: int | None

    @property
    def address(self) -> str:
        """Where clients reach it, `host:port`."""
        if self.declared:
            return urlsplit(self.declared.client_url).netloc
        urls = (self.listed.client_urls or self.listed.peer_urls) if self.listed else ()
        return urlsplit(urls[0]).netloc if urls else ""

    @property
    def role(self) -> str:
        """Leader, voter, learner; or why it is neither."""
        if self.answer.leads:
            return "leader"
        if self.listed is None:
            return "learner" if self.answer.learner else "?" if self.answer.error else "voter"
        if not self.listed.client_urls:
            return "unstarted"
        return "learner" if self.listed.is_learner else "voter"

    @property
    def well(self) -> bool:
        """Whether it takes part."""
        return self.answer.healthy and not self.answer.error

    @property
    def health(self) -> str:
        """`well`, or what is wrong, in few words."""
        if self.answer.error:
            return self.answer.error
        return "well" if self.answer.healthy else self.answer.reason.lower() or "not healthy"


@dataclass(frozen=True, slots=True)
class Report:
    """A cluster as it is, and what to say of it."""

    cluster: Cluster
    rows: tuple[Row, ...]
    voters: int
    well: int
    """Of the voters."""
    serving: bool
    """Whether some member reads by way of a quorum."""
    cluster_version: str
    leader: str
    alarms: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def quorum(self) -> int:
        """How many voters must agree."""
        return quorum(self.voters)

    @property
    def may_be_lost(self) -> int:
        """How many voters more may be lost before writes stop."""
        return max(self.well - self.quorum, 0) if self.serving else 0

    @property
    def exit(self) -> Exit:
        """What a script must know of it."""
        if not self.serving:
            return Exit.NO_QUORUM
        return Exit.DIFFERS if any(not one.note for one in self.findings) else Exit.WELL
