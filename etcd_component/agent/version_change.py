"""A change of the minor version: what is checked first, and what is awaited after the last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from etcd_component.agent import downgrade, files, software, start, systemd
from etcd_component.agent.client import Client
from etcd_component.agent.decide.version import (
    Change,
    follows,
    is_change,
    join_objection,
    minor_of,
    objection,
    older,
    silent,
    skip_objection,
)
from etcd_component.agent.output import doing, refuse, say, warn
from etcd_component.agent.survey import ask_voters, await_survey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from etcd_component.agent.frame import Run
    from etcd_component.agent.instance import Instance
    from etcd_component.agent.paths import Paths
    from etcd_component.agent.session import Session
    from etcd_component.etcd_api.members import Member

_HEADING = "# Of etcd "
"""How the configuration begins that is kept while a change of version is under way."""


def check(run: Run, instance: Instance | None) -> Change | None:
    """The change of the minor version that `--version` means for this member; None without one.

    Called before anything is written. The members are asked without a login. Raises Refusal for
    what etcd would refuse. A machine without an instance has None here.
    """
    version = run.options.version
    if instance is None or not version or not instance.has_joined:
        return None
    paths = instance.paths
    # One that has switched and does not run must be free to be mended.
    if software.is_linked(paths, version) and not (
        kept_version(paths) and systemd.is_active(paths.unit)
    ):
        return None
    client = Client(paths.pki)
    mine = own_version(instance, client)
    if not is_change(mine, version):
        return None
    change = Change(instance.name, mine, version)
    doing(f"asking the members whether they can change to etcd {version}")
    skipped = skip_objection(change.begin, change.wanted)
    if skipped:
        change.refuse(skipped)
    survey, fault = await_survey(instance, client, run.waits.survey, run.options.peers)
    if fault:
        change.refuse(f"{fault}. Mend that and run `pulumi up` again")
    change = replace(change, survey=survey)
    reason = objection(change)
    if reason:
        change.refuse(reason)
    if survey.broken_learners:
        warn(
            f"{instance.name}: the change of version goes on without a learner that does not run:"
            f" {' '.join(survey.broken_learners)}"
        )
    return change


def own_version(instance: Instance, client: Client) -> str:
    """The version of this member: what runs, else what an unfinished change of version began with.

    Else what was started, since somebody may have led the link astray, else what is linked.
    """
    running = client.versions_or_none(instance.peer_url)
    if running is not None:
        return running.server
    paths = instance.paths
    found = kept_version(paths)
    if not found and systemd.is_active(paths.unit):
        found = start.started_version(paths)
    return found or software.linked_version(paths) or "none"


def kept_version(paths: Paths) -> str:
    """With which a change of version under way began; empty without one."""
    first = files.read_text(paths.former_configuration).partition("\n")[0]
    return first[len(_HEADING) :].strip() if first.startswith(_HEADING) else ""


def keep_configuration(paths: Paths, mine: str) -> None:
    """What etcd reads before the switch, headed by the version that reads it."""
    if kept_version(paths) != mine:
        text = paths.configuration.read_text(encoding="utf-8")
        files.atomic_write(paths.former_configuration, f"{_HEADING}{mine}\n{text}")


def kept_configuration(paths: Paths) -> str:
    """What etcd read before the switch."""
    return paths.former_configuration.read_text(encoding="utf-8").partition("\n")[2]


def refuse_to_join_another_minor(
    run: Run, instance: Instance, client: Client, members: Sequence[Member]
) -> None:
    """Raises Refusal unless this member would join voters of its own minor version."""
    version = run.options.version
    if not version:
        return
    voters = ask_voters(client, members, instance.peer_urls)
    reason = join_objection(instance.name, version, voters)
    if reason:
        refuse(reason)
    if silent(voters):
        warn(f"{instance.name}: these voters do not tell their version: {' '.join(silent(voters))}")


def confirm(
    run: Run, instance: Instance, client: Client, version: str, open_session: Callable[[], Session]
) -> None:
    """After the last member: the cluster follows, which etcd decides within some seconds.

    Quick where nothing is to be said: no change of version, or none of the minor.
    """
    wanted = minor_of(version)
    reached = downgrade.cluster_minor(instance, client)
    if reached == wanted:
        was = minor_of(kept_version(instance.paths))
        if not was or was == wanted:
            return
    elif not reached or not follows(reached, wanted):
        return
    survey, fault = await_survey(instance, client, run.waits.survey, run.options.peers)
    if fault:
        warn(f"whether the cluster is at etcd {wanted} is not known yet: {fault}")
        return
    if survey.minors != [wanted]:
        return
    doing(f"waiting until the cluster is at etcd {wanted}")
    if older(reached, wanted) and downgrade.is_enabled(instance, client):
        downgrade.call_off(instance, client, open_session())
    if not downgrade.await_cluster_minor(instance, client, wanted, run.waits.cluster_version):
        refuse(
            f"all members run etcd {wanted}, but the cluster is still at"
            f" {downgrade.cluster_minor(instance, client)}. It is safe to run this again"
        )
    say(f"{instance.name}: all members run {version}, the cluster is at {wanted}")
