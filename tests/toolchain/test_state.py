"""A state that a killed run left behind is recognised, said in a sentence, and continued from."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.toolchain.conftest import Backend, Project


def ended_process() -> int:
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_lock_of_a_killed_run_is_removed_and_said(backend: Backend) -> None:
    lock = backend.put_lock("three", ended_process())
    done = backend.look_after("recover", "three")
    assert done.returncode == 0
    assert "was killed" in done.stderr
    assert "ada" in done.stderr
    assert not lock.exists()


def test_the_lock_of_a_running_process_stays_and_its_owner_is_named(backend: Backend) -> None:
    lock = backend.put_lock("three", os.getpid())
    done = backend.look_after("recover", "three")
    assert done.returncode == 1
    assert f"process {os.getpid()}" in done.stderr
    assert "ada" in done.stderr
    assert lock.exists()


def test_a_later_process_of_the_same_number_does_not_hold_the_lock(backend: Backend) -> None:
    lock = backend.put_lock("three", os.getpid(), taken=datetime.now(UTC) - timedelta(days=300))
    assert backend.look_after("recover", "three").returncode == 0
    assert not lock.exists()


def test_a_lock_of_another_machine_is_not_judged_from_here(backend: Backend) -> None:
    lock = backend.put_lock("three", ended_process(), hostname="elsewhere")
    done = backend.look_after("recover", "three")
    assert done.returncode == 1
    assert "on elsewhere" in done.stderr
    assert "pulumi cancel --stack three" in done.stderr
    assert lock.exists()


def test_a_half_written_lock_is_removed(backend: Backend) -> None:
    lock = backend.put_lock("three", os.getpid())
    lock.write_text('{"pid": 12')
    assert backend.look_after("recover", "three").returncode == 0
    assert not lock.exists()


def test_the_lock_of_another_stack_is_left_alone(backend: Backend) -> None:
    lock = backend.put_lock("one", ended_process())
    assert backend.look_after("recover", "three").returncode == 0
    assert lock.exists()


def test_a_state_kept_elsewhere_is_left_to_pulumi(backend: Backend) -> None:
    environment = {**os.environ, "PULUMI_BACKEND_URL": "s3://somewhere"}
    script = [sys.executable, "toolchain/state.py", "recover", "three"]
    assert subprocess.run(script, env=environment, check=False).returncode == 0


def test_the_state_of_a_login_is_looked_after_too(backend: Backend, tmp_path: Path) -> None:
    lock = backend.put_lock("three", ended_process())
    (tmp_path / "credentials.json").write_text(
        json.dumps({"current": f"file://{backend.directory}"})
    )
    environment = {**os.environ, "PULUMI_HOME": str(tmp_path)}
    environment.pop("PULUMI_BACKEND_URL", None)
    script = [sys.executable, "toolchain/state.py", "recover", "three"]
    assert subprocess.run(script, env=environment, check=False).returncode == 0
    assert not lock.exists()


def test_a_second_cluster_on_the_same_nodes_is_refused(backend: Backend) -> None:
    backend.put_checkpoint("one", "pulumi:pulumi:Stack", "command:remote:Command")
    done = backend.look_after("alone", "three")
    assert done.returncode == 1
    assert "make destroy STACK=one" in done.stderr
    assert backend.look_after("alone", "one").returncode == 0


def test_a_stack_that_was_destroyed_is_in_nobodys_way(backend: Backend) -> None:
    backend.put_checkpoint("one")
    assert backend.look_after("alone", "three").returncode == 0


def test_a_run_that_was_killed_is_continued(project: Project) -> None:
    program = project.directory / "__main__.py"
    waiting = project.directory / "waiting"
    written = program.read_text()
    program.write_text(
        f"import pathlib, time\npathlib.Path({str(waiting)!r}).touch()\ntime.sleep(60)\n"
    )
    run = project.start_up()
    try:
        deadline = time.monotonic() + 60
        while not waiting.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert waiting.exists(), "the program never started"
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    program.write_text(written)

    done = project.backend.look_after("recover", "three")
    assert f"process {run.pid}" in done.stderr
    assert done.returncode == 0
    project.pulumi("up", "--stack", "three", "--yes", "--skip-preview")
    assert project.pulumi("stack", "output", "--stack", "three", "answer").stdout == "42\n"


def test_a_run_that_was_killed_while_it_saved_is_continued(project: Project) -> None:
    project.pulumi("up", "--stack", "three", "--yes", "--skip-preview")
    stacks = project.backend.directory / ".pulumi" / "stacks" / "etcd"
    attributes = stacks / "three.json.attrs"
    attributes.write_bytes(b"")
    (stacks / "three.json123.tmp").write_bytes(b"{")
    done = project.backend.look_after("recover", "three")
    assert done.returncode == 0, done.stderr
    assert "killed while it saved" in done.stderr
    assert not list(stacks.glob("*.tmp"))
    assert project.pulumi("stack", "output", "--stack", "three", "answer").stdout == "42\n"


def test_operations_that_were_cut_off_are_forgotten_and_named(project: Project) -> None:
    project.pulumi("up", "--stack", "three", "--yes", "--skip-preview")
    project.cut_off("urn:pulumi:three::etcd::etcd:index:Cluster::etcd-1-member")
    assert project.state()["deployment"]["pending_operations"]

    done = project.backend.look_after("recover", "three")
    assert done.returncode == 0, done.stderr
    assert "etcd-1-member" in done.stderr
    assert not project.state()["deployment"].get("pending_operations")
    assert project.pulumi("stack", "output", "--stack", "three", "answer").stdout == "42\n"


def test_a_guarded_stack_is_known_by_its_safeguard() -> None:
    def asked(protect: bool) -> int:
        exported = {
            "deployment": {"resources": [{"type": "etcd:index:Safeguard", "protect": protect}]}
        }
        script = [sys.executable, "toolchain/state.py", "guarded"]
        done = subprocess.run(script, input=json.dumps(exported), text=True, check=False)
        return done.returncode

    assert asked(protect=True) == 0
    assert asked(protect=False) == 1
