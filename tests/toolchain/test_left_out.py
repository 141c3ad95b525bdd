"""On a build machine a test that could not run is a failure, however many others ran."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = {
    "runs": "def test_this_runs(): pass\n",
    "skips": "import pytest\ndef test_that_does_not(): pytest.skip('no such tool here')\n",
}


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize(
    ("parts", "ci", "fails"),
    [
        (["runs", "skips"], "true", True),
        (["runs"], "true", False),
        (["runs", "skips"], "", False),
    ],
)
def test_a_test_left_out_fails_a_build_machine(
    parts: list[str], ci: str, fails: bool, processes: str, tmp_path: Path
) -> None:
    part = tmp_path / "tests/unit"
    part.mkdir(parents=True)
    shutil.copy(ROOT / "tests/conftest.py", tmp_path / "tests")
    for name in parts:
        (part / f"test_{name}.py").write_text(TESTS[name])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-n", processes, "-c", os.devnull),
            *("--rootdir", str(tmp_path), "--import-mode=importlib", "tests"),
        ],
        cwd=tmp_path,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout
    assert ("FAILED, because on a build machine every test must run: unit" in done.stdout) == fails
    assert "1 passed" in done.stdout
