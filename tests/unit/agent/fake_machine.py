"""A machine's files below a directory of the test's own: what needs neither root nor systemd."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from etcd_component.agent import files, output, paths, systemd
from etcd_component.agent.paths import Paths
from etcd_component.agent.systemd import UnitState

ALONE = f"""
import sys, types
package = types.ModuleType("etcd_component")
package.__path__ = [{str(Path(paths.__file__).parents[1])!r}]
sys.modules["etcd_component"] = package
"""
"""How a Python script begins that imports the agent as a node does, without all the rest."""


@dataclass
class Machine:
    """One that has what a test puts there."""

    root: Path
    unit: UnitState = field(
        default_factory=lambda: UnitState("inactive", "dead", 0, False, 0, False, (), "", False)
    )
    called: list[tuple[str, ...]] = field(default_factory=list)
    """What systemctl was called with."""
    failing: str = ""
    """The first word of calls that fail."""

    def systemctl(self, *words: str) -> bool:
        self.called.append(words)
        return words[0] != self.failing

    @property
    def paths(self) -> Paths:
        return Paths("etcd")

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def configure(self, membership: str = "") -> None:
        """Have an instance, perhaps with a membership."""
        url = "https://10.0.0.1"
        self.write(
            self.paths.settings,
            f"name: etcd-1\ndata-dir: {self.root}/data\n"
            f"initial-advertise-peer-urls: {url}:2380\nadvertise-client-urls: {url}:2379\n",
        )
        if membership:
            self.write(self.paths.membership, membership)
        self.write(self.paths.configuration, self.paths.settings.read_text() + membership)

    def have_data(self) -> None:
        """Have the data of a member."""
        self.write(self.root / "data/member/wal/0.wal", "")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Nothing is on it, and whoever runs the tests is its root."""
    made = Machine(tmp_path)
    software = tmp_path / "opt/etcd"
    for name, place in {
        "CONFIGURATIONS": tmp_path / "etc/etcd",
        "SOFTWARE": software,
        "VERSIONS": software / "versions",
        "UNITS": tmp_path / "units",
        "RUN": tmp_path / "run",
        "SNAPSHOTS": tmp_path / "snapshots",
    }.items():
        monkeypatch.setattr(paths, name, place)
    monkeypatch.setattr(files, "_ids", lambda user, group: (-1, -1))
    monkeypatch.setattr(systemd, "show", lambda unit: made.unit)
    monkeypatch.setattr(systemd, "systemctl", made.systemctl)
    monkeypatch.setattr(output, "_State", type("_State", (), {"last": "", "doing": "", "lines": 0}))
    return made
