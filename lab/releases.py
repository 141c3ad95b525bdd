"""etcd releases, built from their Go modules and packed as the official archives are."""

from __future__ import annotations

import gzip
import hashlib
import platform
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lab import cache
from lab.errors import LabError
from lab.shell import run

if TYPE_CHECKING:
    from collections.abc import Callable

# The default version of the product first, as people wait for it; then its neighbours for upgrades.
VERSIONS = ("3.6.16", "3.5.35", "3.7.3")

# Change it when the recipe below changes what is in an archive.
_RECIPE = "1"
_MODULES = Path(__file__).parent / "etcd"
_PROGRAMS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
    "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x"}


def architecture() -> str:
    """Name etcd's releases have for this host's architecture, such as amd64."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        message = (
            f"etcd has no releases for {machine}: the lab runs on {', '.join(_ARCHITECTURES)}."
        )
        raise LabError(message)
    return _ARCHITECTURES[machine]


def archive_name(version: str) -> str:
    """File name of the archive of `version` (such as 3.6.16) for this host."""
    return f"etcd-v{version}-linux-{architecture()}.tar.gz"


def ensure(version: str, say: Callable[[str], None]) -> Path:
    """Return the directory with the archive of `version` and its SHA256SUMS; build them if need be.

    Raises LabError when there is no Go, or the build fails.
    """
    modules = _MODULES / version
    recipe = hashlib.sha256(_RECIPE.encode())
    for name in ("go.mod", "go.sum"):
        recipe.update((modules / name).read_bytes())

    def build(target: Path) -> None:
        say(f"etcd {version}: building from its Go modules, once; takes about half a minute")
        with tempfile.TemporaryDirectory(prefix="etcd-lab-build-") as scratch:
            _compile(version, modules, Path(scratch))
            _pack(version, Path(scratch), target)

    return cache.kept(f"etcd/v{version}-linux-{architecture()}-{recipe.hexdigest()[:12]}", build)


def _compile(version: str, modules: Path, target: Path) -> None:
    if shutil.which("go") is None:
        message = (
            "Go is not installed, so etcd cannot be built: install a current Go and put it in PATH."
        )
        raise LabError(message)
    for program, package in _PROGRAMS.items():
        # What GOFLAGS or a go.work of the person say must not change the archive.
        run(
            [
                *("go", "build", "-trimpath", "-mod=readonly", "-buildvcs=false", "-ldflags=-s -w"),
                *("-o", str(target / program), package),
            ],
            cwd=modules,
            extra_environment={"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
        )
    said = run([str(target / "etcd"), "--version"])
    if f"etcd Version: {version}\n" not in said:
        message = (
            f"the etcd built for {version} calls itself {said.splitlines()[0]!r}: see {modules}."
        )
        raise LabError(message)


def _pack(version: str, built: Path, target: Path) -> None:
    """Pack reproducibly: the same programs give the same bytes at any time and for any user."""
    name = archive_name(version)
    directory = name.removesuffix(".tar.gz")
    with (
        (target / name).open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0, compresslevel=1) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        top = tarfile.TarInfo(directory)
        top.type = tarfile.DIRTYPE
        top.mode = 0o755
        archive.addfile(top)
        for program in sorted(_PROGRAMS):
            entry = tarfile.TarInfo(f"{directory}/{program}")
            entry.mode = 0o755
            entry.size = (built / program).stat().st_size
            with (built / program).open("rb") as content:
                archive.addfile(entry, content)
    digest = hashlib.sha256((target / name).read_bytes()).hexdigest()
    (target / "SHA256SUMS").write_text(f"{digest}  {name}\n")
