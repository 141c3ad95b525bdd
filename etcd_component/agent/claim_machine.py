"""`etcd-node claim`: finding a machine fit and claiming it is one step, under one lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import (
    attempt,
    data_directory,
    exporter,
    files,
    install_program,
    locking,
    systemd,
)
from etcd_component.agent.claim import Claim
from etcd_component.agent.decide.claiming import Free
from etcd_component.agent.instance import Instance
from etcd_component.agent.output import doing, refuse, say
from etcd_component.agent.paths import PROGRAM, clusters
from etcd_component.agent.preflight.command import look

if TYPE_CHECKING:
    from etcd_component.agent.frame import Run
    from etcd_component.agent.preflight.subject import Subject


def run(run: Run) -> None:
    """Raises Refusal where the machine is not fit, or another's."""
    options = run.options
    if not (options.owner and options.name and options.address and options.data):
        refuse("`claim` needs --owner, --name, --address and --data")
    doing("looking at the machine")
    found = look(options)
    if found.findings and not clusters():
        # Of a machine that is refused, nothing is kept.
        locking.forget(run.program.directory, "machine", options.cluster)
    found.refuse_unfit()
    found.say_fit()
    subject = found.subject
    # The instance of another cluster may be running it just now, so it is replaced in one step.
    install_program.install(PROGRAM)
    subject.paths.etc.mkdir(parents=True, exist_ok=True)
    if isinstance(subject.holding, Free) and subject.holding.former:
        _clear_former(subject, subject.holding.former)
    elif subject.is_corrected:
        _clear_attempt(subject)
    claimed = Claim(
        options.owner,
        options.name,
        options.address,
        options.client_port,
        options.peer_port,
        options.data,
        str(subject.real),
    )
    files.atomic_write(subject.paths.claim, str(claimed))
    say(f"{options.name}: this machine is claimed")


def _clear_attempt(subject: Subject) -> None:
    """Make room for the same instance: at another port, or with another data directory."""
    doing("clearing what an attempt left")
    tried = Instance.load(subject.paths)
    attempt.discard(tried)
    if tried.data != subject.data and data_directory.is_unused(tried.real):
        data_directory.remove(tried.real, subject.paths)


def _clear_former(subject: Subject, former: str) -> None:
    """Make room for another number: nothing of the one before is read again."""
    paths, name, held = subject.paths, subject.options.name, subject.held.name
    doing(f"clearing what is left of {held}")
    if former == "removed":
        copy = data_directory.set_aside(Instance.load(paths).data, paths.unit, "removed")
        if copy:
            say(f"{held}: its former data are kept in {copy}")
        systemd.require("disable", "-q", "--now", paths.unit)
        systemd.systemctl("reset-failed", paths.unit)
        say(f"{held}: its cluster has removed it, so this machine is free for {name}")
    else:
        say(f"{held} was claimed here and never joined; this machine is free for {name}")
    exporter.take_away(paths)
    files.remove(*paths.of_the_member, *paths.etc.glob("as-put.*"))
