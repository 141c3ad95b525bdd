"""Texts as they are to be, each in a file of this directory."""

from __future__ import annotations

from pathlib import Path

import pytest

_PLACE = Path(__file__).parent


def check(name: str, text: str) -> None:
    """Compare with the golden file; delete the file and run again to make it anew."""
    file = _PLACE / name
    if not file.exists():
        file.write_text(text)
        pytest.fail(f"{file} was missing and is now made from what the program says: read it")
    assert text == file.read_text()
