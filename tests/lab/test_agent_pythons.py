"""The agent is read and started by the oldest Python that a node may have, and by the newest."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from etcd_component import packing
from tests.debian_python import NEWEST, OLDEST, command

LOAD_ALL = """
import importlib, sys, zipfile
sys.path.insert(0, sys.argv[1])
names = [one[:-3].replace("/", ".") for one in zipfile.ZipFile(sys.argv[1]).namelist()]
for name in names:
    if not name.endswith("__main__") and name != "etcd_component":
        importlib.import_module(name.replace(".__init__", ""))
from etcd_component.agent.commands import NODE
from etcd_component.agent.monitor.commands import MONITOR
for program in (NODE, MONITOR):
    for one in program.commands.values():
        one.load()
print(len(names))
"""


@pytest.fixture(params=[OLDEST, NEWEST])
def suite(request: pytest.FixtureRequest, lab_or_fail: None, tmp_path: Path) -> str:
    for name in ("etcd-node", "etcd-monitor"):
        (tmp_path / name).write_bytes(packing.agent())
    return str(request.param)


def run(suite: str, directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = command(suite, directory, *words)
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_every_module_can_be_loaded_without_a_warning(suite: str, tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text(LOAD_ALL)
    done = run(suite, tmp_path, "-W", "error", "/mnt/load.py", "/mnt/etcd-node")
    assert done.stderr == ""
    assert int(done.stdout) == len(zipfile.ZipFile(tmp_path / "etcd-node").namelist())


@pytest.mark.parametrize("name", ["etcd-node", "etcd-monitor"])
def test_both_programs_start(suite: str, tmp_path: Path, name: str) -> None:
    helped = run(suite, tmp_path, "-IXutf8", f"/mnt/{name}", "--help")
    assert helped.stderr == ""
    assert helped.stdout.startswith(f"usage: {name} COMMAND")
    wrong = run(suite, tmp_path, "-IXutf8", f"/mnt/{name}", "claim", "--nonsense")
    assert wrong.returncode == 1
    assert wrong.stderr == f"{name}: `claim` has no option `--nonsense`\n"
    # With nothing that it needs on this machine, it says so, and does not break.
    refused = run(suite, tmp_path, "-IXutf8", f"/mnt/{name}", "preflight")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"{name}: ")
    assert "Traceback" not in refused.stderr
