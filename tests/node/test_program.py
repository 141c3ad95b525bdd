"""The node program as a text, and its command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from etcd_component.render import node_program
from tests.node.conftest import Cluster


def test_shellcheck_finds_nothing_in_the_whole_program(tmp_path: Path) -> None:
    """The parts are checked one by one as well, but what one sets only another uses."""
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which(
        "shellcheck"
    )
    assert shellcheck, "shellcheck is not installed: `uv sync` brings it"
    place = tmp_path / "etcd-node"
    place.write_text(node_program())
    done = subprocess.run(
        [shellcheck, "--norc", "-s", "sh", str(place)], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert done.returncode == 0


def test_every_part_of_the_program_is_in_it() -> None:
    program = node_program()
    for part in (Path(__file__).parents[2] / "etcd_component/node").glob("*.sh"):
        assert part.read_text() in program, f"{part.name} is not packed"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["dance"], "there is no subcommand `dance`"),
        (["seat", "--dance"], "`seat` has no option `--dance`"),
        (["seat", "--peers"], "the option --peers needs a value"),
        (["seat", "--reseat", "x"], "--reseat and --repair need a number, not `x`"),
        (["status", "--cluster", "../x"], "`../x` is not a cluster name"),
    ],
)
def test_a_wrong_command_line_is_told(options: list[str], message: str, tmp_path: Path) -> None:
    place = tmp_path / "etcd-node"
    place.write_text(node_program())
    done = subprocess.run(["sh", str(place), *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert message in done.stderr


def test_only_root_can_use_it(cluster: Cluster) -> None:
    one = cluster(1)
    one.send_program(1)
    refused = one.shell(1, "su admin -c 'etcd-node status' 2>&1", check=False)
    assert refused == "etcd-node: only root can do this; run it with sudo"
