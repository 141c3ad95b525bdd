"""What a person reads of an instance on its machine, sentence by sentence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from etcd_component.agent import (
    certificates,
    composition,
    data_directory,
    files,
    host,
    software,
    start,
)
from etcd_component.agent.decide.lifecycle import JOINED, JOINING, LOST, NOT_JOINED, REMOVED
from etcd_component.etcd_api.errors import ApiError

if TYPE_CHECKING:
    from etcd_component.agent.client import Client
    from etcd_component.agent.instance import Instance
    from etcd_component.agent.paths import Paths
    from etcd_component.agent.systemd import UnitState


def unit(name: str, state: UnitState) -> str:
    """Whether it runs, since when, and whether it starts at boot."""
    text = f"{name} is {state.active} ({state.sub})"
    if state.is_active:
        text += f" since {state.since}"
    if state.restarts:
        text += f", restarted {state.restarts} times by systemd"
    if not state.enabled:
        text += "; does not start at boot"
    return f"{text}; changed by {', '.join(state.drop_ins)}" if state.drop_ins else text


def version(instance: Instance, client: Client) -> str:
    """Which etcd is linked, and which one serves."""
    linked = software.linked_version(instance.paths) or "none"
    try:
        served = None if client.fault() else client.versions(instance.client_url)
    except ApiError:
        served = None
    return f"{linked}, serving {served.server}, cluster at {served.cluster}" if served else linked


def file_state(paths: Paths, state: UnitState) -> str:
    """Whether its files are as they were put here, and whether it runs with them."""
    if not composition.is_composed(paths):
        return (
            "differ from what was put here: etcd.yaml was changed by hand, or a change of version"
            " is under way"
        )
    if not state.is_active:
        return "will be used at the next start"
    if start.runs_what_the_files_say(paths):
        return "are what the running process was started with"
    return "differ from what runs; `pulumi up` rolls them out"


def certificate(paths: Paths, now: float) -> str:
    """Until when it is valid, in UTC; `now` in seconds since 1970."""
    path = paths.pki / "server.crt"
    if not files.has_content(path):
        return "none"
    end = dict(certificates.ends(path)).get(1)
    if end is None:
        return "cannot be read; `pulumi up` with a raised etcd_repair puts it back"
    day = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(end))
    return f"valid until {day}" if end > now else f"EXPIRED at {day}; `pulumi up` renews it"


def stage(instance: Instance, found: str) -> str:
    """How far it is, and what to do where that is not all the way."""
    if found == LOST:
        return _lost(instance)
    return {
        NOT_JOINED: "not taken; `pulumi up` takes it",
        JOINING: "being taken",
        JOINED: "taken",
        REMOVED: f"GONE: {instance.name} was removed from its cluster, which goes on without it; it"
        " stays down",
    }[found]


def _lost(instance: Instance) -> str:
    whole = "" if data_directory.state(instance.data) == "none" else "whole "
    mount = host.missing_mount(instance.data)
    missing = f", and {mount} is not mounted" if mount else ""
    return (
        f"LOST: {instance.data} holds no {whole}member any more{missing}; `make status` says what"
        " to do"
    )


def to_do(instance: Instance, found: str, state: UnitState, *, has_crashed: bool) -> str:
    """What a person can do that no other line says; empty where that is nothing."""
    name = instance.paths.unit
    if found == REMOVED:
        return (
            "to have it join again, raise etcd_reseat on its host and run `pulumi up`; to be rid of"
            " it, delete its line and run `pulumi up`"
        )
    if found == JOINED and not state.is_active and not has_crashed:
        return f"`journalctl -u {name}` says why it is down, `systemctl start {name}` starts it"
    return ""
