"""Programs for nodes can be run with every Python that a node may have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import mounts
from lab.cache import cache_home
from tests.debian_python import NEWEST, OLDEST, command

PROGRAM = """
import hashlib, http.client, json, ssl, subprocess, sys, zipfile
subprocess.run(["true"], stdin=subprocess.DEVNULL, check=True)
print("%d.%d" % sys.version_info[:2])
"""


@pytest.mark.parametrize(("suite", "version"), [(OLDEST, "3.9"), (NEWEST, "3.13")])
def test_a_program_of_this_machine_runs_with_the_python_of_a_debian(
    lab_or_fail: None, tmp_path: Path, suite: str, version: str
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        command(suite, tmp_path, "/mnt/program.py"), capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"{version}\n", "")
    write = command(suite, tmp_path, "-c", "open('/mnt/new', 'w')")
    assert subprocess.run(write, capture_output=True, check=False).returncode != 0
    assert mounts.below(cache_home() / "lab-base") == []
