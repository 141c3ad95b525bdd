"""The versions of the two plugins are the same wherever they are named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED = dict(
    one.removeprefix("pulumi-").split("==")
    for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    if "==" in one
)


@pytest.mark.parametrize("name", ["command", "tls"])
@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("toolchain/plugins/install", r"install_plugin {} (\S+)"),
        ("docs/closed-networks.md", r"install resource {} v(\S+)"),
        ("docs/closed-networks.md", r"pulumi-resource-{}-v([0-9.]+)-linux"),
    ],
)
def test_a_plugin_has_the_version_of_its_sdk(name: str, file: str, pattern: str) -> None:
    found = re.findall(pattern.format(name), (ROOT / file).read_text())
    assert found == [PINNED[name]]
