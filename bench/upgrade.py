"""A minor upgrade of a running cluster, under clients that write."""

import time
from typing import Any

from bench.client import Access
from bench.process import Failed
from bench.site import Site
from bench.writer import Writer

TO = "3.7.3"


def upgrade(site: Site, size: int, access: Access, settings: dict[str, Any]) -> dict[str, float]:
    """Change the etcd_version of the cluster that stands there with these settings."""
    site.configure(size, **settings, etcd_version=TO)
    before = site.started()
    with Writer(access) as writer:
        begun = time.monotonic()
        run = site.up()
        end = time.monotonic()
    if set(site.started()) & set(before):
        raise Failed("the upgrade did not restart every member")
    if missing := writer.lost():
        raise Failed(f"the upgrade lost {len(missing)} acknowledged writes")
    return {
        "upgrade": run.seconds,
        "upgrade_gap_ms": 1000 * writer.longest_gap(begun, end),
        "upgrade_failed": writer.failed,
    }
