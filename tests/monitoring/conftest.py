"""Where the tests of what watches a cluster find the programs that read its rules."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def programs() -> Path:
    """The directory with promtool, vmalert and vmalert-tool; a build machine must get them."""
    got = subprocess.run(
        [ROOT / "toolchain/get-monitoring"], capture_output=True, text=True, check=False
    )
    if got.returncode and os.environ.get("CI") == "true":
        pytest.fail(f"the programs that read rules cannot be had here: {got.stderr}")
    if got.returncode:
        pytest.skip(f"the programs that read rules cannot be had here: {got.stderr}")
    return Path(got.stdout.strip())
