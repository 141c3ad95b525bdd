"""What is wrong with a machine, each with its cure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, without a full stop, and what to do about it."""

    problem: str
    cure: str


@dataclass(frozen=True)
class Remark:
    """What a person should know, and what stops nothing."""

    text: str


def listed(findings: Iterable[Finding]) -> str:
    """All findings, each on a line of its own that begins with a line break."""
    return "".join(f"\n  - {one.problem}. Cure: {one.cure}." for one in findings)
