"""What tests declare: hosts by number, on nodes of the lab."""

from __future__ import annotations

from collections.abc import Mapping

from lab import Lab
from tests.live.stack import Stack


def names(*seqs: int) -> list[str]:
    return [f"etcd-{seq}" for seq in seqs]


def write_hosts(
    stack: Stack,
    lab: Lab,
    hosts: Mapping[int, Mapping[str, object]],
    *,
    at: Mapping[int, int] | None = None,
    **variables: object,
) -> None:
    """Declare these hosts by number, with what more is said of them.

    Each is on the node of its number, less those that `at` puts on another.
    """
    places = at or {}
    addressed = {
        lab.address(places.get(seq, seq) - 1): {"etcd_seq": seq, **more}
        for seq, more in hosts.items()
    }
    shared = {"etcd_cluster": "etcd", **variables}
    stack.write({"inventory": {"etcd": {"hosts": addressed, "vars": shared}}})
