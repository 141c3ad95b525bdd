"""What a run may do, where that is all there is to decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True)
class Proceed:
    """This machine holds what is meant."""


@dataclass(frozen=True)
class LeaveAlone:
    """What is to be removed is not here: nothing is touched, and that is no error."""

    reason: str


@dataclass(frozen=True)
class Refuse:
    """The run stops, and nothing is done; the reason is for the person who must act."""

    reason: str


Verdict = Union[Proceed, LeaveAlone, Refuse]
