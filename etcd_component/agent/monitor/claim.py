"""Whose monitor this machine is: finding it fit and claiming it is one step, under one lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import files, install_program, locking
from etcd_component.agent.decide.monitor_claim import Holding, decide
from etcd_component.agent.finding import listed
from etcd_component.agent.monitor import preflight
from etcd_component.agent.monitor.places import CONFIGURATION, DATA, OWNER, PROGRAM, RUN, recorded
from etcd_component.agent.output import refuse

if TYPE_CHECKING:
    from etcd_component.agent.decide.verdict import Verdict
    from etcd_component.agent.frame import Run


def authorize(run: Run) -> Verdict:
    """Whether this machine is the monitor that a run means."""
    options = run.options
    return decide(
        Holding(CONFIGURATION.is_dir(), recorded(OWNER), recorded(DATA)),
        owner=options.owner,
        removes=run.command.removes,
        remove_data=options.remove_data,
        confirmed=options.yes,
    )


def run(run: Run) -> None:
    """Nothing else is put on the machine before. Raises Refusal where it is not fit."""
    options = run.options
    if not options.owner or not options.data:
        refuse("`claim` needs --owner and --data")
    found = preflight.look(options)
    if found.findings:
        if not CONFIGURATION.is_dir():
            # Of a machine that is refused, nothing is kept.
            locking.forget(RUN, "monitor")
        refuse(preflight.UNFIT + listed(found.findings))
    found.say_fit()
    install_program.install(PROGRAM)
    CONFIGURATION.mkdir(exist_ok=True)
    files.atomic_write(OWNER, f"{options.owner}\n")
