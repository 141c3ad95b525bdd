"""No other user of this machine can hold a lock of the lab or its caches."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lab.cache import locked


def test_only_the_owner_can_open_a_lock(tmp_path: Path) -> None:
    lock = tmp_path / "made" / "lock"
    with locked(lock):
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    lock.chmod(0o644)
    with locked(lock):
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_a_link_and_another_user_s_file_are_no_lock(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("")
    victim.chmod(0o644)
    lock = tmp_path / "lock"
    lock.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"), locked(lock):
        pass
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644
    if os.geteuid() == 0:
        os.chown(victim, 65534, 65534)
        with pytest.raises(PermissionError, match="another user's"), locked(victim):
            pass
