"""The archive server of a lab: which releases it has, where it runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab import processes
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.naming import Naming

_SERVER = Path(__file__).with_name("archive_server.py")
_START_SECONDS = 10.0


def publish(naming: Naming, version: str, release: Path) -> None:
    """Make the files of `release` appear below /vVERSION/ of the server."""
    place = naming.home / "archive" / f"v{version}"
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink() and place.readlink() == release:
        return
    fresh = place.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(release)
    fresh.rename(place)


def checksums(naming: Naming) -> str:
    """Return the SHA256SUMS of all published releases, as one text."""
    listings = sorted((naming.home / "archive").glob("v*/SHA256SUMS"))
    return "".join(listing.read_text() for listing in listings)


def ensure_serving(naming: Naming) -> bool:
    """Start the server unless it runs; return whether it was started.

    Raises LabError when it does not come up, as when every port it may take is in use.
    """
    pidfile, portfile, log = _files(naming)
    if processes.read_pidfile(pidfile) and portfile.exists():
        return False
    stop(naming)
    directory = naming.home / "archive"
    processes.launch(
        [sys.executable, "-I", str(_SERVER), str(directory), naming.gateway, str(portfile)],
        pidfile=pidfile,
        log=log,
    )
    deadline = time.monotonic() + _START_SECONDS
    while not portfile.exists():
        if time.monotonic() > deadline or (
            pidfile.exists() and not processes.read_pidfile(pidfile)
        ):
            message = f"the archive server did not start: see {log}."
            raise LabError(message)
        time.sleep(0.02)
    return True


def port(naming: Naming) -> int | None:
    """TCP port of the running server on the lab's gateway address."""
    pidfile, portfile, _ = _files(naming)
    if processes.read_pidfile(pidfile) and portfile.exists():
        return int(portfile.read_text())
    return None


def stop(naming: Naming) -> None:
    """Stop the server, if it runs."""
    pidfile, portfile, _ = _files(naming)
    process = processes.read_pidfile(pidfile)
    if process:
        processes.kill_all([process], what="the archive server")
    pidfile.unlink(missing_ok=True)
    portfile.unlink(missing_ok=True)


def _files(naming: Naming) -> tuple[Path, Path, Path]:
    home = naming.home
    return home / "archive.pid", home / "archive.port", home / "archive.log"
