"""How a run begins and ends, whatever happens to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from etcd_component.agent import process
from etcd_component.agent.commands import NODE
from tests.unit.agent.fake_machine import ALONE


def run(script: str, **more: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", f"{ALONE}{script}"]
    return subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=more,
        stdin=subprocess.DEVNULL,
    )


def program(does: str) -> str:
    """A script that runs a command which locks nothing and does that."""
    return f"""
import os, signal, time
from pathlib import Path
from etcd_component.agent import frame, output
frame.Command.load = lambda self: function
frame._GRACE = 1
def function(run):
{does}
command = frame.Command("", "", locks=(), needs_root=False, claimed=False)
node = frame.Program(
    "etcd-node", Path("/nonexistent"), "", {{"do": command}}, "", "", lambda run: "the last words"
)
sys.exit(frame.main(node, ["do"]))
"""


@pytest.mark.parametrize(
    "word", [word for word, one in NODE.commands.items() if one.limit and one.locks]
)
def test_all_is_read_before_another_run_is_waited_for(word: str) -> None:
    """That one may replace the file that this one was read from."""
    done = run(
        f"""
import os
from etcd_component.agent import commands, frame
os.geteuid = lambda: 0
load, read = frame.Command.load, set()
frame.Command.load = lambda self: load(self) and (lambda run: None)
frame.locking.hold = lambda *_: read.update(sys.modules)
frame.main(commands.NODE, [{word!r}, "--cluster", "no-such", "--owner", "x"])
print([one for one in set(sys.modules) - read if one.startswith("etcd_component.")])
"""
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_run_that_takes_too_long_says_what_it_was_at() -> None:
    done = run(
        program("    output.doing('sleeping')\n    time.sleep(20)"),
        ETCD_NODE_WAITS='{"limit": 1}',
    )
    assert done.returncode == 124
    assert "the last words" in done.stderr
    assert "gave up after 1 s while sleeping" in done.stderr


def test_a_run_that_does_not_even_give_up_is_ended() -> None:
    does = "    try:\n        time.sleep(60)\n    finally:\n        time.sleep(60)"
    done = run(program(does), ETCD_NODE_WAITS='{"limit": 1}')
    assert done.returncode == 124
    assert "gave up after 1 s" in done.stderr


@pytest.mark.parametrize("child", ["sleep 60 & ", "trap '' TERM; sleep 60 & "])
def test_all_that_it_started_has_ended_before_it_cleans_up(tmp_path: Path, child: str) -> None:
    """Below a program for packages others run, which must not go on without what holds units."""
    noted = tmp_path / "pid"
    line = f"{child} echo $! >{noted}; wait"
    does = f"""
    from etcd_component.agent import process
    process._GRACE, process._LAST_GRACE = 0.3, 0.2
    try:
        process.run("sh", "-c", {line!r})
    finally:
        state = Path("/proc", Path({str(noted)!r}).read_text().strip(), "stat")
        output.complain(state.read_text().split()[2] if state.exists() else "gone")
"""
    done = run(program(does), ETCD_NODE_WAITS='{"limit": 1}')
    assert done.returncode == 124
    assert done.stderr.splitlines()[0] in {"gone", "Z"}


def test_a_program_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    done = process.run("sh", "-c", f"echo x; sleep 60 & echo $! >{noted}; wait", seconds=0.5)
    assert (done.status, done.out) == (-9, "x\n")
    state = Path("/proc", noted.read_text().strip(), "stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_who_is_stopped_says_so(signal: str) -> None:
    done = run(program(f"    os.kill(os.getpid(), signal.{signal})\n    time.sleep(5)"))
    assert done.returncode == 1
    assert done.stderr == ("etcd-node: stopped while starting; it is safe to run this again\n")


def test_the_reason_is_said_after_whatever_was_said_before() -> None:
    done = run(program("    output.say('line\\n' * 1000)\n    output.refuse('the reason')"))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "(more lines are left out)"
    assert done.stderr == "etcd-node: the reason\n"


def test_who_has_no_standard_streams_is_none_the_worse(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(
        f"""{ALONE}
from pathlib import Path
from etcd_component.agent import __main__
sys.argv = ["etcd-node", "nonsense"]
status = __main__.main()
Path({str(tmp_path / "status")!r}).write_text(f"{{status}} {{sys.stdin.buffer.read()}}")
"""
    )
    line = f"exec {sys.executable} {script} <&- >&- 2>&-"
    subprocess.run(["sh", "-c", line], check=False, timeout=30)
    assert (tmp_path / "status").read_text() == "1 b''"
