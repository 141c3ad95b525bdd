"""A lock that is let go is free."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

import pytest

from etcd_component.agent import locking


def test_what_a_child_left_behind_does_not_hold_what_was_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "_lock_directory", lambda directory: directory)
    locking.hold(tmp_path, "programs", "etcd-node", 1)
    with subprocess.Popen(["sleep", "20"], pass_fds=locking.descriptors()) as child:
        locking.release("programs")
        with (tmp_path / "programs.lock").open("w") as again:
            try:
                fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                child.kill()
    assert locking.descriptors() == ()
