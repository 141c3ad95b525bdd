"""What etcd says of its members, as types. IDs are decimal numbers, as the gateway writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etcd_component.etcd_api.errors import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NOSPACE = "NOSPACE"
CORRUPT = "CORRUPT"


@dataclass(frozen=True)
class Member:
    """A member as a member list has it."""

    id: int
    name: str
    """Empty while it never started."""
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    """Empty while it never started."""
    is_learner: bool = False

    @property
    def is_voter(self) -> bool:
        """Whether it counts for the quorum."""
        return not self.is_learner

    @property
    def started(self) -> bool:
        """Whether it ever announced itself to the cluster."""
        return bool(self.client_urls)

    @property
    def peer_url(self) -> str:
        """The first of them."""
        return self.peer_urls[0]

    @property
    def client_url(self) -> str:
        """The first of them; empty while it never started."""
        return self.client_urls[0] if self.client_urls else ""

    @property
    def label(self) -> str:
        """Its name, or what stands for it where it has none."""
        return self.name or f"member-{self.id}"


@dataclass(frozen=True)
class Alarm:
    """An alarm that is raised for a member."""

    member_id: int
    kind: str


@dataclass(frozen=True)
class MemberStatus:
    """What a member says of itself and of its cluster. Indexes are raft's, sizes bytes."""

    member_id: int
    cluster_id: int
    leader: int
    """0 where it knows none."""
    term: int
    index: int
    applied: int
    size: int
    is_learner: bool
    errors: tuple[str, ...]
    downgrade_target: str
    """The version that a downgrade on its way leads to; empty without one."""


@dataclass(frozen=True)
class Versions:
    """What `/version` says. Empty where it is not said."""

    server: str
    cluster: str
    storage: str


def parse_members(answer: Any) -> tuple[Member, ...]:
    """The members of a list of the gateway or of the peer port. Raises UnexpectedAnswer.

    A list that cannot be read, or that is empty, is none in which all is well.
    """
    records = answer.get("members") if isinstance(answer, dict) else answer
    if not isinstance(records, list) or not records:
        raise UnexpectedAnswer("the member list cannot be read")
    try:
        members = tuple(_member(record) for record in records)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UnexpectedAnswer("the member list cannot be read") from None
    if not all(member.peer_urls for member in members):
        raise UnexpectedAnswer("the member list cannot be read: a member has no peer URL")
    return members


def _member(record: Mapping[str, Any]) -> Member:
    return Member(
        int(record["ID"] if "ID" in record else record["id"]),
        str(record.get("name") or ""),
        tuple(str(url) for url in record.get("peerURLs") or ()),
        tuple(str(url) for url in record.get("clientURLs") or ()),
        bool(record.get("isLearner")),
    )


def parse_status(answer: Mapping[str, Any]) -> MemberStatus:
    """What `maintenance/status` says. Raises UnexpectedAnswer when what steers us is missing."""
    try:
        header = answer["header"]
        downgrade = answer.get("downgradeInfo") or {}
        return MemberStatus(
            int(header["member_id"]),
            int(header["cluster_id"]),
            int(answer.get("leader") or 0),
            int(answer.get("raftTerm") or 0),
            int(answer.get("raftIndex") or 0),
            int(answer["raftAppliedIndex"]),
            int(answer.get("dbSize") or 0),
            bool(answer.get("isLearner")),
            tuple(str(text) for text in answer.get("errors") or ()),
            str(downgrade.get("targetVersion") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UnexpectedAnswer("the status cannot be read") from None


def parse_versions(answer: Any) -> Versions:
    """What `/version` says. Raises UnexpectedAnswer when it is not etcd's answer."""
    if not isinstance(answer, dict) or not answer.get("etcdserver"):
        raise UnexpectedAnswer("it does not say which version of etcd it is")
    return Versions(
        str(answer["etcdserver"]),
        str(answer.get("etcdcluster") or ""),
        str(answer.get("storage") or ""),
    )


def parse_alarms(answer: Mapping[str, Any]) -> tuple[Alarm, ...]:
    """What `maintenance/alarm` says. Raises UnexpectedAnswer."""
    try:
        return tuple(
            Alarm(int(record.get("memberID") or 0), str(record["alarm"]))
            for record in answer.get("alarms") or ()
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UnexpectedAnswer("the alarms cannot be read") from None


def at_peer_url(members: Iterable[Member], urls: Sequence[str]) -> Member | None:
    """The member that has one of these peer URLs."""
    return next((member for member in members if set(member.peer_urls) & set(urls)), None)


def started_voters(members: Iterable[Member], besides: Sequence[str] = ()) -> list[Member]:
    """Voters that have announced themselves, without those that have one of these peer URLs."""
    return [
        member
        for member in members
        if member.is_voter and member.started and not set(member.peer_urls) & set(besides)
    ]
