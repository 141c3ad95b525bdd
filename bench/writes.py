"""What a record of writes says: the longest silence, and what was lost. Pure."""

from collections.abc import Iterable, Sequence
from itertools import pairwise


def longest_gap(acknowledged: Iterable[float], start: float, end: float) -> float:
    """The longest time in seconds from `start` to `end` without an acknowledged write.

    `acknowledged` are the times of acknowledgements, in any order; those outside the window do
    not count. No acknowledgement at all is a gap as long as the window.
    """
    inside = sorted(time for time in acknowledged if start <= time <= end)
    return max(later - earlier for earlier, later in pairwise([start, *inside, end]))


def lost(acknowledged: Iterable[str], found: Iterable[str]) -> Sequence[str]:
    """The keys that were acknowledged and are not in the cluster, sorted. There must be none."""
    return sorted(set(acknowledged) - set(found))
