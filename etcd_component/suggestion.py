"""`did you mean …?`: the name that a misspelt one stands for, only where that is likely."""

from collections.abc import Iterable
from typing import Final

_FILLERS: Final = frozenset(
    [
        "backend",
        "bytes",
        "count",
        "days",
        "dir",
        "directory",
        "list",
        "ms",
        "name",
        "number",
        "path",
        "seconds",
        "size",
    ]
)
"""Words that a name may have more without meaning something else: `etcd_data_dir`."""
_ABBREVIATED: Final = {"sequence": "seq", "pwd": "password", "passwd": "password"}
_LETTERS_PER_TYPO: Final = 4
_MOST_TYPOS: Final = 3


def closest(name: object, known: Iterable[str], *, typos_only: bool = False) -> str | None:
    """The one of the known names that is meant by a name that is not among them, None if unclear.

    A name is close if it has at most one typing error (a letter wrong, missing, more, or swapped
    with the next) for each four letters, and begins with the same letter or with the first two
    swapped. A first word that both share is left out of that. Unless `typos_only`, it is close too
    if it is the beginning of one name only, or has words more that add nothing, such as `dir`.
    Two names that are equally close are no suggestion.
    """
    written = _words(str(name))
    distances: dict[str, int] = {}
    for candidate in known:
        distance = _typos(*_without_shared_head(written, _words(candidate)))
        if distance is not None:
            distances[candidate] = distance
    least = min(distances.values(), default=0)
    nearest = [candidate for candidate, distance in distances.items() if distance == least]
    if nearest or typos_only:
        return nearest[0] if len(nearest) == 1 else None
    return _extended(written, known)


def hint(name: object, known: Iterable[str], otherwise: str) -> str:
    """The cure for an unknown name: `did you mean …?`, or the text for when that is unclear."""
    found = closest(name, known)
    return f"did you mean {found}?" if found else otherwise


def _words(name: str) -> list[str]:
    words = name.strip().lower().replace("-", "_").split("_")
    return [_ABBREVIATED.get(word, word) for word in words]


def _without_shared_head(one: list[str], other: list[str]) -> tuple[str, str]:
    """Both without a first word that they share and that is not all of one: `etcd`."""
    shared = min(len(one), len(other)) > 1 and one[0] == other[0]
    first = 1 if shared else 0
    return "_".join(one[first:]), "_".join(other[first:])


def _typos(written: str, meant: str) -> int | None:
    """How many typing errors make one of the other; None if that is another word."""
    longest = max(len(written), len(meant))
    allowed = min(max(1, longest // _LETTERS_PER_TYPO), _MOST_TYPOS, len(meant) - 1)
    swapped = written[:2] == meant[1::-1]
    if abs(len(written) - len(meant)) > allowed or not (written[:1] == meant[:1] or swapped):
        return None
    distance = _distance(written, meant)
    return distance if distance <= allowed else None


def _distance(one: str, other: str) -> int:
    """Letters inserted, deleted, replaced or swapped with their neighbour (Damerau)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


def _extended(written: list[str], known: Iterable[str]) -> str | None:
    """A name of which this one is the beginning, or that this one goes on after with fillers."""
    candidates = {candidate: _words(candidate) for candidate in known}
    shorter = [
        candidate
        for candidate, words in candidates.items()
        if len(words) > 1 and written[: len(words)] == words
        if _FILLERS.issuperset(written[len(words) :])
    ]
    if shorter:
        return max(shorter, key=len)
    longer = sorted(
        (
            candidate
            for candidate, words in candidates.items()
            if len(written) > 1 and words[: len(written)] == written
        ),
        key=len,
    )
    # `etcd_root` means etcd_root_password, of which the others are extensions.
    if longer and all(one.startswith(longer[0]) for one in longer):
        return longer[0]
    return None
