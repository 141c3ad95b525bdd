"""Members that come, go and are replaced, under clients that write."""

import time
from typing import Any

from bench.client import Access
from bench.process import Failed
from bench.site import Site
from bench.writer import Writer

SIZE = 3
"""Of the cluster in which it is measured."""

_SETTLED_SECONDS = 6
"""etcd wants members to have known each other for five seconds before it changes them."""


def members(site: Site, access: Access, settings: dict[str, Any]) -> dict[str, float]:
    """Grow the cluster of three that stands there, shrink it, and replace a dead machine."""
    site.lab.up(5)
    # The clients log in at the first and read what they wrote at the last.
    replaced = {2: {"etcd_lost": True}, 4: {}}
    figures: dict[str, float] = {}
    for name, size, hosts in (("grow", 5, None), ("shrink", 3, None), ("replace", 3, replaced)):
        time.sleep(_SETTLED_SECONDS)
        if name == "replace":
            site.lab.kill(site.lab.nodes()[1].number)
        site.configure(size, hosts, **settings)
        with Writer(access) as writer:
            begun = time.monotonic()
            figures[name] = site.up().seconds
            figures[f"{name}_gap_ms"] = 1000 * writer.longest_gap(begun, time.monotonic())
        figures[f"{name}_failed"] = writer.failed
        if missing := writer.lost():
            raise Failed(f"the step {name} lost {len(missing)} acknowledged writes")
    return figures
