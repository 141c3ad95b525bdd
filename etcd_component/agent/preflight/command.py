"""`etcd-node preflight`: all findings at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from etcd_component.agent import claim, host
from etcd_component.agent.finding import Finding, Remark, listed
from etcd_component.agent.output import refuse, say, warn
from etcd_component.agent.paths import Paths, clusters
from etcd_component.agent.preflight import (
    disk,
    eyes,
    leftovers,
    machine,
    network,
    ownership,
)
from etcd_component.agent.preflight.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from etcd_component.agent.frame import Run
    from etcd_component.agent.options import Options

_CHECKS: tuple[Callable[[Subject], Iterable[Finding | Remark]], ...] = (
    machine.programs,
    ownership.holder,
    ownership.neighbours,
    network.address,
    network.ports,
    ownership.data,
    ownership.unit_file,
    eyes.hidden,
    eyes.way,
    eyes.system,
    eyes.programs,
    leftovers.user,
    leftovers.drop_ins,
    disk.mounted,
    disk.room,
    disk.kind,
    disk.quota,
    machine.upload,
    machine.clock,
)
USUAL_DATA = "/data/etcd"


@dataclass(frozen=True)
class Look:
    """What was found."""

    subject: Subject
    findings: tuple[Finding, ...]

    def refuse_unfit(self) -> None:
        """Raises Refusal where something was found."""
        if self.findings:
            name = self.subject.options.name or "a member"
            refuse(
                f"this machine cannot be {name} yet; nothing was changed:{listed(self.findings)}"
            )

    def say_fit(self) -> None:
        """The sentence of a machine that can run what is wanted."""
        free = host.free_mib(host.existing_parent(self.subject.real))
        say(f"{_prefix(self.subject)}the machine is fit ({host.architecture()}, {free} MiB free)")


def run(run: Run) -> None:
    """For the instance that is named; else for each that has claimed this machine."""
    looks = [look(options) for options in subjects(run.options)]
    unfit = [one for one in looks if one.findings]
    for one in looks:
        if one not in unfit:
            one.say_fit()
    for one in unfit:
        one.refuse_unfit()


def look(options: Options) -> Look:
    """Look at all of it. What stops nothing is said at once. Asks no network but peers."""
    subject = Subject.of(options)
    findings = []
    for check in _CHECKS:
        for one in check(subject):
            if isinstance(one, Remark):
                warn(f"{_prefix(subject)}{one.text}")
            else:
                findings.append(one)
    return Look(subject, tuple(findings))


def subjects(options: Options) -> list[Options]:
    """What is to be looked at, where a person did not say all of it."""
    if options.data and options.name:
        return [options]
    found = []
    for cluster in [options.cluster] if options.name or options.data else clusters():
        claimed = claim.read(Paths(cluster))
        if claimed:
            found.append(
                replace(
                    options,
                    cluster=cluster,
                    owner=options.owner or claimed.owner,
                    name=options.name or claimed.name,
                    address=options.address or claimed.address,
                    client_port=options.client_port if options.data else claimed.client_port,
                    peer_port=options.peer_port if options.data else claimed.peer_port,
                    data=options.data or claimed.data,
                )
            )
    return found or [replace(options, data=options.data or USUAL_DATA)]


def _prefix(subject: Subject) -> str:
    return f"{subject.options.name}: " if subject.options.name else ""
