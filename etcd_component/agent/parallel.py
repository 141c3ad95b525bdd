"""Asking several members at once: each thread has the connections of one member for itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_MOST = 8


def for_each(function: Callable[[_In], _Out], items: Iterable[_In]) -> list[_Out]:
    """What the function returns for each, in their order. Raises what it raises for the first."""
    listed = list(items)
    with ThreadPoolExecutor(min(len(listed), _MOST) or 1) as pool:
        return list(pool.map(function, listed))
