"""`etcdctl`: files and shell lines with which etcdctl on this machine reaches one cluster."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etcd_component import backend, written
from etcd_component.given.files import CannotGive
from etcd_component.given.texts import CA, CERTIFICATE, KEY

PASSWORD = "ETCDCTL_PASSWORD"  # noqa: S105 - the variable's name
"""etcdctl has no other way to take a password without a question and off its command line."""


def etcdctl(stack: str, cluster: str | None = None) -> dict[str, str]:
    """Write the certificate files of one cluster; return the variables that etcdctl reads.

    The files lie in a directory that only the caller can enter, so no key is ever printed.
    `cluster` chooses among several of one stack. `pulumi` must be on PATH, and the current
    directory the project's. Raises CannotGive.
    """
    try:
        outputs = backend.outputs(stack)
    except backend.NoAnswer as reason:
        raise CannotGive(str(reason)) from None
    return variables_of(outputs, stack, cluster)


def variables_of(outputs: Mapping[str, Any], stack: str, cluster: str | None) -> dict[str, str]:
    """The same of a stack whose outputs are known. Raises CannotGive."""
    login = login_of(outputs, stack, cluster)
    directory = _base() / _name(stack, login["cluster"], login["ca_cert"])
    try:
        _make_private(directory)
        written.put(
            directory,
            {KEY: login["client_key"], CERTIFICATE: login["client_cert"], CA: login["ca_cert"]},
        )
    except OSError as reason:
        raise CannotGive(f"{directory} cannot be written: {reason.strerror}") from None
    return {
        "ETCDCTL_ENDPOINTS": login["client_urls"],
        "ETCDCTL_CACERT": str(directory / CA),
        "ETCDCTL_CERT": str(directory / CERTIFICATE),
        "ETCDCTL_KEY": str(directory / KEY),
        "ETCDCTL_USER": "root",
        PASSWORD: login["root_password"],
    }


def login_of(outputs: Mapping[str, Any], stack: str, cluster: str | None) -> dict[str, str]:
    """What root of one cluster needs, by the outputs' names, and `cluster`. Raises CannotGive."""
    names = ("client_urls", "ca_cert", "client_cert", "client_key", "root_password")
    if not all(outputs.get(one) for one in names):
        raise CannotGive(
            f"the stack {stack} has no output `client_urls`, as before its first `pulumi up` and"
            " after one that failed: run `pulumi up`"
        )
    clusters = sorted(outputs["client_urls"])
    if cluster is None and len(clusters) > 1:
        raise CannotGive(
            f"the stack {stack} has the clusters {', '.join(clusters)}: name one, such as"
            f" CLUSTER={clusters[0]}"
        )
    chosen = clusters[0] if cluster is None else cluster
    if chosen not in clusters:
        raise CannotGive(
            f"the stack {stack} has no cluster {chosen}; its clusters are: {', '.join(clusters)}"
        )
    return {"cluster": chosen, **{one: outputs[one][chosen] for one in names}}


def _base() -> Path:
    """The directory of the login session; else the cache of this user.

    After `su` or `sudo` XDG_RUNTIME_DIR may name the directory of somebody else.
    """
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    if session.startswith("/"):
        try:
            found = Path(session).stat()
        except OSError:
            pass
        else:
            if found.st_uid == os.geteuid() and not found.st_mode & 0o022:
                return Path(session)
    return Path.home() / ".cache"


def _name(stack: str, cluster: str, ca: str) -> str:
    # One directory for one cluster: written again at the next call, and not left behind.
    of_cluster = hashlib.sha256(f"{stack}:{cluster}:{ca}".encode()).hexdigest()[:12]
    return f"etcdctl-{of_cluster}"


def _make_private(directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise CannotGive(f"{directory} is not a directory of this user: remove it")
    directory.chmod(0o700)
