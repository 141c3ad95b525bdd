"""Releases of etcd: which are fit to run, their checksums, the configuration keys they know."""

import json
import re
from collections.abc import Mapping
from importlib import resources

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

_RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


def newest(minor: str, checksums: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """The newest release of a line whose checksum is known, without the `v`."""
    known = published() if checksums is None else checksums
    return max((one for one in known if minor_of(one) == minor), key=number)


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


def published() -> dict[str, dict[str, str]]:
    """SHA-256 of the official Linux archives, by version (no `v`) and architecture."""
    text = resources.files("etcd_component").joinpath("data/checksums.json").read_text()
    return {
        version.removeprefix("v"): sums for version, sums in json.loads(text)["checksums"].items()
    }
