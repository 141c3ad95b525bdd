"""Releases of etcd: which are fit to run, and their checksums."""

import functools
import json
import re
from collections.abc import Mapping
from importlib import resources

from etcd_component.mistake import Wrong

ARCHITECTURES = ("amd64", "arm64")
"""Architectures whose releases are known here."""

MINORS = ("3.5", "3.6", "3.7")
"""Lines of releases that are supported."""

DEFAULT_MINOR = "3.6"
"""The line whose newest release is used unless the inventory names one."""

OFFICIAL_ARCHIVE = (
    "https://github.com/etcd-io/etcd/releases/download/"
    "v{version}/etcd-v{version}-linux-{arch}.tar.gz"
)
"""Where etcd publishes its releases; template as in `Settings.archive_url`."""

FLOOR = (3, 5, 26)
"""The oldest release that may run: older ones bring removed members back in an upgrade to 3.6."""

SECURE = {"3.5": (3, 5, 33), "3.6": (3, 6, 14), "3.7": (3, 7, 1)}
"""From here on a right to read one key shows no other keys (GHSA-xg4h-6gfc-h4m8)."""

Checksums = Mapping[str, Mapping[str, str]]
"""SHA-256 in lower-case hex, by version (without the `v`) and architecture."""

_RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_SUM = re.compile(r"([0-9a-fA-F]{64}) [ *](?:\S*/)?etcd-v(\d+\.\d+\.\d+)-linux-(\w+)\.tar\.gz")


def minor_of(version: str) -> str:
    """`3.6` of `3.6.14`."""
    return version.rpartition(".")[0]


def number(version: str) -> tuple[int, int, int]:
    """A release as numbers, for comparing. Raises ValueError when it is not a release."""
    found = _RELEASE.fullmatch(version)
    if not found:
        raise ValueError(version)
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


def supported(text: str) -> str:
    """The release that a person wrote, with or without `v`, as `3.6.14`.

    Raises Wrong for what is no release, or one that must not run; the reasons are those of
    etcd's own changelogs and advisories.
    """
    if re.fullmatch(r"v?\d+\.\d+", text):
        raise Wrong(f'"{text}" is a line of releases, not a release', _example(text))
    if not _RELEASE.fullmatch(text):
        raise Wrong(f'"{text}" is not a released version of etcd', _example(text))
    release = number(text)
    version = ".".join(str(part) for part in release)
    if release < FLOOR:
        raise Wrong(f"etcd {version} must not run: {_why_refused(release)}", _example(text))
    if minor_of(version) not in MINORS:
        known = ", ".join(MINORS)
        raise Wrong(f"etcd {version} is not supported, only {known}", _example(text))
    return version


def _why_refused(release: tuple[int, int, int]) -> str:
    if release < (3, 5, 0):
        return f"the line {release[0]}.{release[1]} has reached its end of life"
    if release < (3, 5, 3):
        return "3.5.0 to 3.5.2 can corrupt their data when a member dies under load"
    return "before 3.5.26 removed members can come back in an upgrade to 3.6"


def _example(text: str) -> str:
    line = ".".join(re.findall(r"\d+", text)[:2])
    best = newest(line if line in MINORS else DEFAULT_MINOR) or newest(DEFAULT_MINOR)
    return f'write a release such as "{best}", in quotes'


def advice(version: str) -> str | None:
    """What speaks against a release that may run, in one sentence; None if nothing does."""
    secure = SECURE[minor_of(version)]
    if number(version) >= secure:
        return None
    return (
        f"etcd {version} shows a user with rights on one key what happens to other keys"
        f" (GHSA-xg4h-6gfc-h4m8); {'.'.join(map(str, secure))} and later do not"
    )


@functools.cache
def published() -> Checksums:
    """Checksums of the official Linux archives, as published with each release."""
    file = resources.files(__package__).joinpath("data", "checksums.json")
    table = json.loads(file.read_text())["checksums"]
    return {version.removeprefix("v"): sums for version, sums in table.items()}


def newest(minor: str, checksums: Checksums | None = None) -> str | None:
    """The newest release of a line whose checksum is known, without the `v`."""
    known = published() if checksums is None else checksums
    return max((one for one in known if minor_of(one) == minor), key=number, default=None)


def with_sums(checksums: Checksums, text: str) -> Checksums:
    """A table together with the lines of a SHA256SUMS file, which win over the table.

    Lines about other files than Linux archives of releases are passed over. Raises Wrong if
    there is none that counts.
    """
    merged = {version: dict(sums) for version, sums in checksums.items()}
    lines = [found for line in text.splitlines() if (found := _SUM.fullmatch(line.strip()))]
    if not lines:
        raise Wrong(
            "it has no checksum of an etcd release",
            "its lines read as in SHA256SUMS of a release:"
            " `<64 hex digits>  etcd-v3.6.14-linux-amd64.tar.gz`",
        )
    for found in lines:
        digest, version, arch = found.groups()
        merged.setdefault(version, {})[arch] = digest.lower()
    return merged
