"""What the tests of the toolchain share: a backend in a directory, and a way to run its scripts."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass
class Backend:
    """A file backend in a directory of its own, written to as Pulumi does."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{self.directory}",
            "PULUMI_CONFIG_PASSPHRASE": "for a test",
        }

    def put_lock(
        self, stack: str, pid: int, *, hostname: str | None = None, taken: datetime | None = None
    ) -> Path:
        path = self.directory / ".pulumi/locks/organization/etcd" / stack / "lock.json"
        path.parent.mkdir(parents=True)
        content = {
            "pid": pid,
            "username": "ada",
            "hostname": hostname or socket.gethostname(),
            "timestamp": (taken or datetime.now(UTC)).isoformat(),
        }
        path.write_text(json.dumps(content))
        return path

    def put_checkpoint(self, stack: str, *resource_types: str) -> None:
        path = self.directory / ".pulumi/stacks/etcd" / f"{stack}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        resources = [{"type": resource_type} for resource_type in resource_types]
        path.write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))

    def look_after(self, verb: str, stack: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ROOT / "toolchain/state.py", verb, stack],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    directory = tmp_path / "state"
    directory.mkdir()
    return Backend(directory)


def put_program(directory: Path, program: str, settings: str = "") -> None:
    """Make a project of a program, as an official engine runs this one's."""
    text = (ROOT / "Pulumi.yaml").read_text()
    runtime = text[text.index("runtime:") : text.index("stackConfigDir:")]
    (directory / "Pulumi.yaml").write_text(f"name: etcd\n{runtime}{settings}")
    (directory / "__main__.py").write_text(program)
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, directory)
    (directory / ".venv").symlink_to(ROOT / ".venv")


@dataclass
class Project:
    """A Pulumi project called `etcd` with a program of a few lines, for the real engine."""

    directory: Path
    backend: Backend

    def pulumi(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", "--non-interactive", *arguments],
            cwd=self.directory,
            env=self.backend.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
        )

    def start_up(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["pulumi", "up", "--stack", "three", "--yes", "--skip-preview"],
            cwd=self.directory,
            env=self.backend.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def cut_off(self, urn: str) -> None:
        """Leave a creation pending, as a run does that is killed in the middle of it."""
        path = self.backend.directory / ".pulumi/stacks/etcd/three.json"
        checkpoint = json.loads(path.read_text())
        resource = {"urn": urn, "custom": False, "type": urn.split("::")[2]}
        pending = [{"resource": resource, "type": "creating"}]
        checkpoint["checkpoint"]["latest"]["pending_operations"] = pending
        path.write_text(json.dumps(checkpoint))

    def state(self) -> dict[str, Any]:
        exported: dict[str, Any] = json.loads(
            self.pulumi("stack", "export", "--stack", "three").stdout
        )
        return exported


@pytest.fixture
def project(tmp_path: Path, backend: Backend) -> Project:
    if shutil.which("pulumi") is None:
        pytest.skip(
            'needs the engine: run by `make test-toolchain`, or after eval "$(make -s env)"'
        )
    directory = tmp_path / "project"
    directory.mkdir()
    put_program(directory, "import pulumi\npulumi.export('answer', 42)\n")
    project = Project(directory, backend)
    project.pulumi("stack", "init", "three")
    return project
