"""What is said to a person whose input cannot stand."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """Something a person wrote that cannot stand: where, what is wrong, what to do.

    Its parts never hold a secret: they are printed.
    """

    place: str
    problem: str
    cure: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.place}: {self.problem}; {self.cure}"


class Wrong(Exception):  # noqa: N818 - the domain's word
    """A value cannot stand; its place is known to the caller only."""

    def __init__(self, problem: str, cure: str) -> None:
        """Say what is wrong and what to do about it."""
        super().__init__(problem, cure)
        self.problem = problem
        self.cure = cure

    def at(self, place: str) -> Mistake:
        """The mistake, with the place where it was made."""
        return Mistake(place, self.problem, self.cure)


@dataclass(slots=True)
class Findings:
    """What has been found so far. Reading goes on after a mistake, so that all are told at once."""

    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def wrong(self, place: str, problem: str, cure: str) -> None:
        """Note a mistake."""
        self.mistakes.append(Mistake(place, problem, cure))

    def warn(self, sentence: str) -> None:
        """Note what may stand, but should be known. Said once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Note what is raised as Wrong inside, as a mistake made at that place."""
        try:
            yield
        except Wrong as wrong:
            self.mistakes.append(wrong.at(place))


class InvalidInventory(Exception):  # noqa: N818 - the domain's word
    """All that is wrong with what was given, found before anything was touched."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        """Keep every mistake once, in the order of places."""
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        """All mistakes, numbered, one a line."""
        count = len(self.mistakes)
        heading = f"{count} mistake{'s' if count > 1 else ''} to correct; nothing was touched:"
        lines = [f"  {number}. {one}" for number, one in enumerate(self.mistakes, 1)]
        return "\n".join([heading, *lines])
