"""`client`: what a client is given, written into a directory that only its owner can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etcd_component import backend, written
from etcd_component.given.texts import CA, CERTIFICATE, KEY, Given, texts_of
from etcd_component.suggestion import hint


class CannotGive(Exception):  # noqa: N818 - the domain's word
    """There is nothing to write, or it cannot be written; a sentence with the cure."""


def give(
    stack: str, name: str, directory: Path, *, place: str | None = None, cluster: str | None = None
) -> list[str]:
    """Write what a client is given into a directory; return the names of files that changed.

    `place` is where the files will lie on the client's machine; by default they stay where they
    are. `cluster` chooses among several of one stack. `pulumi` must be on PATH, and the current
    directory the project's. Raises CannotGive.
    """
    given = chosen(_outputs(stack), stack, name, cluster)
    texts = texts_of(given, place or str(directory.absolute()))
    files = {KEY: given.key, CERTIFICATE: given.cert, CA: given.ca, **dict(texts)}
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        written.keep_out_of_git(directory)
        return written.put(directory, files)
    except written.NotIgnored as reason:
        raise CannotGive(str(reason)) from None
    except OSError as reason:
        raise CannotGive(f"{directory} cannot be written: {reason.strerror}") from None


def chosen(outputs: Mapping[str, Any], stack: str, name: str, cluster: str | None) -> Given:
    """What a client of a stack is given. Raises CannotGive."""
    if "clients" not in outputs:
        raise CannotGive(
            f"the stack {stack} has no output `clients`, as before its first `pulumi up` and after"
            " one that failed: run `pulumi up`"
        )
    known = [Given.read(one) for clients in outputs["clients"].values() for one in clients.values()]
    if not known:
        raise CannotGive(f"the stack {stack} declares no client: write one into etcd_clients")
    own = [one for one in known if cluster in (None, one.cluster)]
    if not own:
        clusters = sorted({one.cluster for one in known})
        raise CannotGive(f"there is no cluster {cluster} with clients, but {', '.join(clusters)}")
    found = [one for one in own if one.user == name]
    if not found:
        raise CannotGive(_unknown(name, sorted({one.user for one in own})))
    if len(found) > 1:
        clusters = sorted(one.cluster for one in found)
        raise CannotGive(
            f"the clusters {' and '.join(clusters)} have a client {name} each:"
            f" say which one is meant, such as CLUSTER={clusters[0]}"
        )
    return found[0]


def _unknown(name: str, names: Sequence[str]) -> str:
    meant = hint(name, names, "")
    return f"there is no client {name}; {meant + ' ' if meant else ''}There are: {', '.join(names)}"


def _outputs(stack: str) -> Mapping[str, Any]:
    try:
        return backend.outputs(stack)
    except backend.NoAnswer as reason:
        raise CannotGive(str(reason)) from None
