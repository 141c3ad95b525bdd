"""When a snapshot is taken, and that one which cannot be read stops the change of version."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile

import pytest

from tests.node.conftest import Cluster
from tests.node.members import HURRY, Members, credentials

SNAPSHOTS = "/var/lib/etcd-node/etcd"
HURRIED = {**HURRY, "survey": 2}


def _archive(version: str, digits: str) -> tuple[bytes, str]:
    """A release that says its version and no more, whose SHA-256 begins with one of `digits`."""
    for salt in range(1000):
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w:gz") as tar:
            for name in ("etcd", "etcdctl", "etcdutl"):
                text = f"#!/bin/sh\n# {salt}\necho 'etcd Version: {version}'\n".encode()
                entry = tarfile.TarInfo(f"etcd-v{version}/{name}")
                entry.size, entry.mode = len(text), 0o755
                tar.addfile(entry, io.BytesIO(text))
        digest = hashlib.sha256(held.getvalue()).hexdigest()
        if digest[0] in digits:
            return held.getvalue(), digest
    raise AssertionError("no such archive")


def install(members: Members, version: str, digits: str) -> str:
    """Have a release installed on the leader's node; return the names of its snapshots."""
    content, digest = _archive(version, digits)
    place = f"/var/tmp/etcd-{version}.tar.gz"
    members.shell(1, f"rm -rf /opt/etcd/versions/{version} {SNAPSHOTS}")
    members.shell(1, f"base64 -d >{place}", stdin=base64.b64encode(content).decode())
    try:
        members.run(
            1,
            "binary",
            *("--version", version, "--method", "upload", "--archive", place),
            *("--sha256-amd64", digest, "--sha256-arm64", digest),
            stdin=credentials(),
        )
        return members.shell(1, f"ls {SNAPSHOTS} 2>/dev/null", check=False)
    finally:
        members.shell(1, f"rm -rf /opt/etcd/versions/{version} {place}")


@pytest.mark.parametrize("digits", ["012", "9abcdef"])
def test_a_snapshot_is_taken_for_a_minor_upgrade_and_for_nothing_else(
    three: Members, digits: str
) -> None:
    """Whatever the checksum of the archive begins with."""
    three.make_leader(1)
    assert install(three, "3.6.99", digits) == ""
    assert install(three, "3.5.99", digits) == ""
    assert install(three, "3.7.99", digits) == "before-3.7.99-from-3.6.16.db"
    three.shell(1, f"rm -rf {SNAPSHOTS}")


UNREADABLE = {
    "fails": "echo 'cannot read it' >&2; exit 1",
    "says nothing": "exit 0",
}


@pytest.mark.parametrize("how", UNREADABLE)
def test_a_snapshot_that_cannot_be_read_stops_the_upgrade(cluster: Cluster, how: str) -> None:
    three = cluster(3, waits=HURRIED).found(access=True)
    three.make_leader(1)
    before = three.pids()
    utility = "/opt/etcd/versions/3.6.16/bin/etcdutl"
    three.shell(
        1,
        f"mv {utility} {utility}.real; cat >{utility}; chmod 755 {utility}",
        stdin=f"#!/bin/sh\n{UNREADABLE[how]}\n",
    )
    try:
        three.version = "3.7.3"
        refused = three.put_binary(1, check=False)
        assert refused.returncode == 1
        assert "etcdutl cannot read the snapshot" in refused.stderr
        assert three.shell(1, f"ls {SNAPSHOTS} 2>/dev/null", check=False) == ""
        # Neither at the first restart, where it is looked for again.
        three.put_config(1)
        refused = three.rollout(1, check=False)
        assert refused.returncode == 1
        assert "etcdutl cannot read the snapshot" in refused.stderr
        assert three.pids() == before
        assert three.shell(1, "readlink /opt/etcd/clusters/etcd") == "../versions/3.6.16"
    finally:
        three.shell(1, f"mv {utility}.real {utility}")
    three.put_binary(1)
    assert "before-3.7.3" in three.shell(1, f"ls {SNAPSHOTS}")
