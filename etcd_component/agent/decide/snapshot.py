"""When a snapshot is due before an upgrade."""

from __future__ import annotations

from dataclasses import dataclass

MOST_SECONDS = 900
"""A snapshot that is older is taken anew."""


@dataclass(frozen=True)
class LeaderSeen:
    """Who led when a member looked before an upgrade: then the leader's node took the snapshot."""

    version: str
    """To which the upgrade leads."""
    leader: int
    term: int
    at: float
    """Seconds since 1970."""

    def __str__(self) -> str:
        return f"{self.version} {self.leader} {self.term} {int(self.at)}"

    @classmethod
    def parse(cls, text: str) -> LeaderSeen | None:
        """None for what is no such note."""
        words = text.split()
        try:
            version, numbers = words[0], [int(word) for word in words[1:]]
            return cls(version, *numbers)
        except (IndexError, ValueError, TypeError):
            return None


def is_due(noted: LeaderSeen | None, now: LeaderSeen) -> bool:
    """Whether a snapshot must be taken at the first restart.

    Not while the leader is the one of when all members looked, so that its node has the snapshot.
    """
    if noted is None:
        return True
    same = (noted.version, noted.leader, noted.term) == (now.version, now.leader, now.term)
    return not same or not 0 <= now.at - noted.at < MOST_SECONDS


def outdated(snapshots: list[tuple[float, str]], keep: int = 3) -> list[str]:
    """The names of those that are not among the newest, by their times.

    The last three upgrades' are enough, and a disk that fills is a danger of its own.
    """
    return [name for _, name in sorted(snapshots, reverse=True)[keep:]]
