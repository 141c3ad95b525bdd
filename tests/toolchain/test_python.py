"""The Python side: which uv is used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("said", "is_used"),
    [
        ("uv 0.6.15 (0b9f3a9ac 2025-04-22)", True),
        ("uv 0.13.9", True),
        ("uv 0.6.14 (a4cec56dc 2025-04-09)", False),
        ("uv 0.4.0", False),
        ("", False),
    ],
)
def test_a_uv_that_official_language_hosts_refuse_is_passed_over(
    said: str, is_used: bool, tmp_path: Path
) -> None:
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\necho '{said}'\n")
    uv.chmod(0o755)
    done = subprocess.run(
        [ROOT / "toolchain/python", "--uv-dir"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout == "") == is_used
