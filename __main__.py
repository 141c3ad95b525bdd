"""The Pulumi program: stack configuration -> model -> clusters and monitor -> outputs."""
# ruff: noqa: E402 - the handler comes first, and what takes time by itself

import os
import signal

# An engine that gives a run up interrupts the program. Python would end with its tracebacks, below
# the error that a person should read.
signal.signal(signal.SIGINT, lambda *_: os._exit(130))

from etcd_component import previous

# The state is read while the rest is imported, which takes as long.
previous.begin()

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pulumi

from etcd_component import EtcdCluster, InvalidInventory, Monitor, by_cluster, drift, load
from etcd_component.banner import Banners
from etcd_component.changes import planned
from etcd_component.changes.refused import foreseen
from etcd_component.command_line import pulumi_words
from etcd_component.debug_lines import leave_out_unless_asked
from etcd_component.departures import departures
from etcd_component.ending import wait_for
from etcd_component.inventory import Plan
from etcd_component.inventory.site import parsed
from etcd_component.inventory.stackfile import as_written
from etcd_component.plaintext import plain_secrets
from etcd_component.replacements import demanded, refusals
from etcd_component.stack_traces import left_out_of_the_state


def stack_value(key: str) -> Any:
    """The stack's value of a key of this project; secrets are in the clear, the caller keeps them.

    None when it is unset or empty.
    """
    return parsed(key, pulumi.runtime.get_config(f"etcd:{key}"))


def refuse_replacements() -> None:
    """Refuse what `--replace` would break, before anything is registered."""
    wanted = demanded(pulumi_words(), os.environ)
    if found := refusals(previous.found(), wanted):
        raise InvalidInventory(found)


def announce(plan: Plan) -> None:
    """Say what changes and who leaves, and refuse what would take away more than was meant."""
    before = previous.found()
    found = departures(before, plan.clusters)
    if found.refusals:
        raise InvalidInventory(found.refusals)
    if found.unknown:
        pulumi.warn(found.unknown)
    if not pulumi.runtime.is_dry_run():
        for sentence in found.leaving:
            pulumi.warn(sentence)
        return
    if impossible := foreseen(before, plan.clusters):
        raise InvalidInventory(impossible)
    if text := planned(before, plan.clusters, plan.monitor, found.leaving, datetime.now(UTC)):
        # Data that go are worth a warning.
        (pulumi.warn if found.leaving else pulumi.info)(text)
    for sentence in found.safeguards:
        pulumi.info(sentence)


def main() -> None:
    """Make every cluster of the stack; touch nothing while the inventory has a mistake."""
    leave_out_unless_asked(pulumi_words(), os.environ)
    try:
        plan = load(as_written(stack_value, pulumi.get_stack(), Path.cwd()), os.environ)
        refuse_replacements()
        look = begin_to_look(plan)
        announce(plan)
    except InvalidInventory as mistakes:
        raise pulumi.RunError(str(mistakes)) from None
    banners = Banners(plan)
    plain = plain_secrets(stack_value, lambda key: pulumi.runtime.is_config_secret(f"etcd:{key}"))
    for warning in (*plan.warnings, *plain):
        pulumi.warn(warning)
    with left_out_of_the_state():
        clusters = [(one, EtcdCluster(one)) for one in plan.clusters]
        monitor = Monitor(plan.monitor, clusters) if plan.monitor else None
    outputs = by_cluster({one.name: made.outputs for one, made in clusters})
    for key, value in (outputs | (monitor.outputs if monitor else {})).items():
        pulumi.export(key, value)
    last = [one.finished for _, one in clusters]
    if look:
        drift.tell(look, previous.found(), plan.clusters, last)
    report(banners.complaints())
    wait_for(last)


def begin_to_look(plan: Plan) -> drift.Look | None:
    """Look at nodes and members in a preview, if that is not switched off."""
    if not (plan.drift and pulumi.runtime.is_dry_run()):
        return None
    look = drift.Look(plan.clusters, previous.exported)

    def give_up(*_: object) -> None:
        look.clean_up()
        os._exit(130)

    signal.signal(signal.SIGINT, give_up)
    return look


def report(mute: list[str]) -> None:
    """Warn of machines that hang in a preview, and refuse an update, which would hang with them."""
    if not mute:
        return
    if not pulumi.runtime.is_dry_run():
        pulumi.log.error("\n".join([*mute, "No changes were made"]))
        # Nothing has reached the engine while the program's main has not ended; an exception would
        # first have all of it carried out.
        os._exit(_ERROR_WAS_SHOWN)
    for complaint in mute:
        pulumi.warn(f"{complaint}. An update is refused until then")


def exit_as_shown(status: object = None) -> NoReturn:
    """Exit; with 32 instead of 1, which tells the language host that the error was shown.

    Pulumi's executor exits with 1 after it has shown a RunError, whether raised here or in an
    `apply`. The engine then adds "an unhandled error occurred: program exited with non-zero exit
    code: 1". Source: `sdk/python/cmd/pulumi-language-python-exec` of Pulumi.
    """
    raise SystemExit(_ERROR_WAS_SHOWN if status == 1 else status)


_ERROR_WAS_SHOWN = 32
sys.exit = exit_as_shown
main()
