"""etcd from a release's archive: fetched or uploaded, checked, unpacked, and put in its place."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from etcd_component.agent import download, files, host, process
from etcd_component.agent.mirror import Address, DownloadFailed
from etcd_component.agent.output import doing, refuse, say, warn
from etcd_component.agent.paths import SOFTWARE, VERSIONS
from etcd_component.agent.software import PROGRAMS, reported_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etcd_component.agent.frame import Run
    from etcd_component.agent.options import Options

_PIECE = 1 << 20


def install(run: Run) -> None:
    """Have that version in its place, unless it is there. Raises Refusal."""
    options = run.options
    release = VERSIONS / options.version
    # A link there leads to programs that are not ours.
    if not release.is_symlink() and reported_version(release / "bin/etcd") == options.version:
        say(f"etcd {options.version} is here already")
        _forget_upload(options)
        return
    architecture = host.architecture()
    expected = options.sha256_amd64 if architecture == "amd64" else options.sha256_arm64
    if not expected:
        refuse(
            f"no checksum of etcd {options.version} for {architecture} is known; give it as"
            " etcd_archive_sha256"
        )
    with working_directory() as work:
        actual = _take(run, work / "etcd.tar.gz", architecture)
        if actual != expected:
            refuse(
                f"the archive's SHA-256 is {actual}, but {expected} is expected; nothing was"
                " installed. The mirror is stale, the transfer broke off, or somebody changed the"
                " file"
            )
        doing(f"unpacking etcd {options.version}")
        unpack(work / "etcd.tar.gz", work / "release")
        found = reported_version(work / "release/bin/etcd")
        if found != options.version:
            refuse(
                f"the archive holds etcd {found or 'that does not run here'}, not"
                f" {options.version}; nothing was installed"
            )
        put_in_place(work / "release", release)
    if process.exists("restorecon"):
        process.run("restorecon", "-R", str(SOFTWARE))
    say(f"etcd {options.version} is installed in {release}")
    _forget_upload(options)


@contextlib.contextmanager
def working_directory() -> Iterator[Path]:
    """Beside the versions, since other file systems may forbid programs; gone at the end."""
    VERSIONS.mkdir(parents=True, exist_ok=True)
    # A killed run leaves it behind.
    for old in VERSIONS.glob(".new-*"):
        shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=VERSIONS) as made:
        yield Path(made)


def put_in_place(new: Path, release: Path) -> None:
    """Have the programs of a release at its path; what others put there, stays. Raises Refusal."""
    others = clear(release)
    if not others:
        new.rename(release)
        return
    (release / "bin").mkdir(exist_ok=True)
    for name in PROGRAMS:
        (new / "bin" / name).replace(release / "bin" / name)
    warn(f"other files in {release} stay as they are: {' '.join(others)}")


def clear(release: Path) -> list[str]:
    """Remove what a release of ours is made of; the names of what others have put there.

    Raises Refusal where something else has the path.
    """
    if release.is_symlink():
        release.unlink()
        return []
    if not release.exists():
        return []
    programs = release / "bin"
    if (
        not release.is_dir()
        or programs.is_symlink()
        or (programs.exists() and not programs.is_dir())
    ):
        refuse(f"{release} is not what etcd-node puts there; move it away and run this again")
    others = [
        str(path.relative_to(release))
        for path in release.rglob("*")
        if (path.is_symlink() or not path.is_dir())
        and (path.parent != programs or path.name not in PROGRAMS)
    ]
    if not others:
        shutil.rmtree(release)
    return sorted(others)


# ---- the archive


def _take(run: Run, into: Path, architecture: str) -> str:
    """Fetch the archive, or read the one that was uploaded; its SHA-256. Raises Refusal."""
    options = run.options
    if options.method == "upload":
        return _take_upload(options.archive, into)
    url = options.url.replace("{version}", options.version).replace("{arch}", architecture)
    shown = "etcd_archive_url"
    try:
        address = Address.parse(url)
        shown = address.shown
        doing(f"fetching {shown}")
        return download.fetch(address, into, run.waits)
    except DownloadFailed as error:
        refuse(
            f"could not fetch {shown}; nothing was installed: {error}. If this machine cannot reach"
            " it, set etcd_archive_url to a mirror, or etcd_install to upload"
        )


def _take_upload(archive: str, into: Path) -> str:
    """Copy an upload to where root alone can write; its SHA-256. Raises Refusal.

    Others may be able to write where it is. So root reads no link, no pipe, and nothing that
    another user has put there.
    """
    shown = Path.cwd() / archive
    doing(f"reading {shown}")
    again = "`pulumi up --replace` with the URN of this instance's archive"
    try:
        descriptor = os.open(shown, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        descriptor, found = -1, None
    except OSError:
        descriptor, found = -1, os.lstat(shown)
    else:
        found = os.fstat(descriptor)
    if found is None or (stat.S_ISREG(found.st_mode) and not found.st_size):
        refuse(
            f"the uploaded archive {shown} is not on this machine any more; {again} uploads it"
            " again"
        )
    if descriptor < 0 or not stat.S_ISREG(found.st_mode) or found.st_uid not in _owners():
        refuse(
            f"{shown} is no plain file of root or of the login, so it is not the archive that was"
            f" uploaded; nothing was installed. See who put it there, remove it, and run {again}"
        )
    with os.fdopen(descriptor, "rb") as source, into.open("wb") as target:
        return _copy(source, target)


def _owners() -> set[int]:
    return {0, int(os.environ.get("SUDO_UID") or 0)}


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    digest = hashlib.sha256()
    for piece in iter(lambda: source.read(_PIECE), b""):
        digest.update(piece)
        target.write(piece)
    return digest.hexdigest()


def _forget_upload(options: Options) -> None:
    """What Pulumi has uploaded has a name without a directory. Another file is somebody's own."""
    if options.method == "upload" and options.archive and "/" not in options.archive:
        files.remove(Path.cwd() / options.archive)


def unpack(archive: Path, release: Path) -> None:
    """Unpack the programs of an archive into `release/bin`, and nothing else. Raises Refusal.

    Plain files alone are taken, by their names alone: no link and no path of the archive leads
    anywhere.
    """
    (release / "bin").mkdir(parents=True)
    missing = list(PROGRAMS)
    try:
        with tarfile.open(archive, "r:gz") as packed:
            for entry in packed:
                name = PurePosixPath(entry.name).name
                content = packed.extractfile(entry) if entry.isreg() and name in missing else None
                if content is None:
                    continue
                _check_space(entry.size, release)
                with (release / "bin" / name).open("wb") as target:
                    shutil.copyfileobj(content, target, _PIECE)
                (release / "bin" / name).chmod(0o755)
                missing.remove(name)
                if not missing:
                    return
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        refuse(
            f"the archive cannot be unpacked; nothing was installed ({error}). Its checksum is"
            f" right, so the file was published broken, or the disk under {VERSIONS} is full"
        )
    refuse(f"the archive has no `{missing[0]}`; it is not an etcd release")


def _check_space(size: int, release: Path) -> None:
    free = shutil.disk_usage(release).free
    if size > free:
        refuse(
            f"etcd needs {size >> 20} MiB more under {VERSIONS}, and {free >> 20} MiB are free"
            " there; nothing was installed. Free space and run this again"
        )
