"""The site file: what a Pulumi program must know about this place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab import archive, keys, monitor, releases
from lab.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path

    from lab.naming import Naming


def site_file(naming: Naming) -> Path:
    """Return the path of the site file, for the environment variable ETCD_SITE."""
    return naming.home / "site.yaml"


def archive_url(naming: Naming) -> str:
    """Return the URL of an archive, with {version} and {arch} to be filled in by the reader.

    Raises LabError when the archive server does not run.
    """
    port = archive.port(naming)
    if port is None:
        message = f"the archive server of lab {naming.name} does not run: run `python3 -m lab up`."
        raise LabError(message)
    return f"http://{naming.gateway}:{port}/v{{version}}/etcd-v{{version}}-linux-{{arch}}.tar.gz"


def write(naming: Naming) -> Path:
    """Write the site file and the checksums it points to; return its path."""
    sums = naming.home / "SHA256SUMS"
    sums.write_text(archive.checksums(naming))
    settings = {
        "sshUser": "root",
        "sshPrivateKeyFile": str(keys.private_key(naming)),
        "sshKnownHostsFile": str(keys.known_hosts(naming)),
        "archiveUrl": archive_url(naming),
        "checksumsFile": str(sums),
        **({"etcd_monitor": monitor.setting(naming)} if monitor.chosen(naming) else {}),
    }
    # JSON is YAML, whatever a path may hold.
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items())
    head = f"# Written by the lab {naming.name}; releases: {', '.join(releases.VERSIONS)}\n"
    target = site_file(naming)
    unfinished = target.with_suffix(".new")
    unfinished.write_text(head + text)
    unfinished.rename(target)
    return target
