"""What an update has done, in words: only what the nodes themselves have said."""

from __future__ import annotations

import pytest

from etcd_component import previous
from etcd_component.changes.done import Run, done
from etcd_component.previous import UNKNOWN, Previous
from tests.unit.exported import export
from tests.unit.recording import Recording, cluster, record

RESTARTED = "{}: restarted; voter, in sync [etcd-node rollout done]"
LED = "{}: restarted after etcd-1 took over as leader; voter, in sync [etcd-node rollout done]"
KEPT = "{}: runs what the files say; no restart [etcd-node rollout done]"
NAMES = ("etcd-1", "etcd-2", "etcd-3")


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record(cluster(3))


def before(recording: Recording, said: str) -> Previous:
    stdout = {f"{name}-rollout": said.format(name) for name in NAMES}
    return previous.parse(export(recording, stdout=stdout))


def runs(recording: Recording, step: str, **said: str) -> dict[str, Run]:
    """The Commands of three instances, with another command line where they say something."""
    return {
        name: Run(
            recording.command(f"{name}-{step}").inputs["create"]
            + (" again" if name.replace("-", "") in said else ""),
            said.get(name.replace("-", ""), "").format(name),
        )
        for name in NAMES
    }


def test_restarts_are_said_with_who_took_over(recording: Recording) -> None:
    found = done(
        before(recording, KEPT),
        cluster(3),
        {},
        runs(recording, "rollout", etcd1=RESTARTED, etcd2=LED, etcd3=RESTARTED),
    )
    assert found == (
        "Done in cluster etcd: etcd-1 and etcd-3 restarted; etcd-2 restarted after etcd-1 took over"
        " as leader."
    )


def test_what_the_last_update_did_is_not_said_again(recording: Recording) -> None:
    """A Command that did not run has the output of its last run."""
    here = {
        name: Run(recording.command(f"{name}-rollout").inputs["create"], RESTARTED.format(name))
        for name in NAMES
    }
    assert done(before(recording, RESTARTED), cluster(3), {}, here) == ""
    # The same words behind another command line are another run.
    here["etcd-2"] = Run("another", RESTARTED.format("etcd-2"))
    assert done(before(recording, RESTARTED), cluster(3), {}, here) == (
        "Done in cluster etcd: etcd-2 restarted."
    )


def test_a_run_that_restarts_nobody_is_no_restart(recording: Recording) -> None:
    here = runs(recording, "rollout", etcd1=KEPT, etcd2=KEPT, etcd3=KEPT)
    assert done(before(recording, RESTARTED), cluster(3), {}, here) == ""


def test_who_joined_is_said_and_who_is_yet_to_leave(recording: Recording) -> None:
    joined = Run(
        "join", "etcd-4: added\netcd-4: joined the cluster; runs, voter [etcd-node join done]"
    )
    model = cluster(4)
    without = type(model)(model.name, model.instances[1:], model.settings)
    found = done(before(recording, KEPT), without, {"etcd-4": joined}, {})
    assert found == "Done in cluster etcd: etcd-4 joined; etcd-1 leaves next."


def test_a_new_cluster_is_said() -> None:
    members = {name: Run("join", f"{name}: runs, voter [etcd-node join done]") for name in NAMES}
    assert done(Previous(), cluster(3), members, {}) == (
        "Done in cluster etcd: etcd-1, etcd-2 and etcd-3 run as a new cluster."
    )


def test_a_version_is_said_when_all_members_run_it(recording: Recording) -> None:
    confirmed = "{0}: restarted; voter, in sync\n{0}: all members run 3.6.16, the cluster is at 3.6"
    found = done(
        before(recording, KEPT),
        cluster(3, version="3.6.16"),
        {},
        runs(recording, "rollout", etcd1=RESTARTED, etcd2=RESTARTED, etcd3=confirmed),
    )
    assert found == (
        "Done in cluster etcd: etcd-1, etcd-2 and etcd-3 restarted; all members run etcd 3.6.16."
    )


def test_nothing_is_claimed_where_the_last_update_is_not_known(recording: Recording) -> None:
    here = runs(recording, "rollout", etcd1=RESTARTED)
    assert done(UNKNOWN, cluster(3), {}, here) == ""
