"""Repeated measurements as a person reads them: medians with the smallest and largest. Pure."""

from collections.abc import Mapping, Sequence
from statistics import median


def spread(values: Sequence[float], unit: str) -> str:
    """Median, and in brackets the smallest and the largest when there are several.

    Units: `s` with two digits after the point; everything else in whole numbers.
    """
    if not values:
        return "-"
    digits = 2 if unit == "s" else 0
    middle = f"{median(values):.{digits}f}"
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    span = "" if low == high else f" ({low}-{high})"
    return " ".join(filter(None, [f"{middle}{span}", unit]))


def table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Rows of text under heads, in columns. The first head stands over the rows' names."""
    lines = [list(heads), *([name, *cells] for name, cells in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def bars(values: Mapping[int, float], width: int = 60) -> str:
    """A bar for each value, as long as the value is large; the largest is `width` wide."""
    largest = max(values.values()) or 1
    place = max(len(str(key)) for key in values)
    return "\n".join(
        f"{key:{place}}  {'#' * max(1, round(width * value / largest))} {value:.4g}"
        for key, value in values.items()
    )
