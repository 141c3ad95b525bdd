"""The node program as one file, and its command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from etcd_component import packing
from tests.node.conftest import Cluster


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["dance"], "there is no subcommand `dance`"),
        (["join", "--dance"], "`join` has no option `--dance`"),
        (["join", "--peers"], "the option --peers needs a value"),
        (["join", "--reseat", "x"], "--reseat needs a number, not `x`"),
        (["status", "--cluster", "../x"], "`../x` is not a cluster name"),
    ],
)
def test_a_wrong_command_line_is_told(options: list[str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "etcd-node"
    path.write_bytes(packing.agent())
    done = subprocess.run(
        [sys.executable, "-ISXutf8", path, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert message in done.stderr


def test_only_root_can_use_it(cluster: Cluster) -> None:
    one = cluster(1)
    one.send_program(1)
    refused = one.shell(1, "su admin -c 'etcd-node status' 2>&1", check=False)
    assert refused == "etcd-node: only root can do this; run it with sudo"
