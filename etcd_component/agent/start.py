"""What a member is started with, who may start it, and what must not start."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import files, systemd, wal
from etcd_component.agent.composition import compose, is_composed
from etcd_component.agent.instance import Instance, has_joined
from etcd_component.agent.output import Refusal, complain, refuse, say
from etcd_component.agent.paths import Paths

if TYPE_CHECKING:
    from etcd_component.agent.frame import Run
    from etcd_component.agent.options import Options

# The unit calls `stamp` before each start of etcd, so this module imports little: no TLS, no HTTP.

_BOOTSTRAP_SECONDS = 660
"""A `join` has ended after that, whatever process has its number by then."""


def fingerprint(paths: Paths) -> str:
    """Of all that a restart would change beside the version.

    Settings, unit, CA bundle, and the keys that sign tokens, if there are some.
    """
    parts = (paths.settings, paths.unit_file, paths.pki / "ca.crt", paths.pki / "token.pub")
    content = b"".join(part.read_bytes() for part in parts if part.exists())
    return hashlib.sha256(content).hexdigest()[:12]


def files_say(paths: Paths) -> str:
    """What a start would start now, on one line."""
    return f"{fingerprint(paths)} {files.link_target(paths.current)}"


def runs_what_the_files_say(paths: Paths) -> bool:
    """Whether a restart would change nothing."""
    state = systemd.show(paths.unit)
    return (
        state.is_active
        and files.read_text(paths.started).rstrip("\n") == files_say(paths)
        and _runs_the_program(paths, state.main_pid)
    )


def _runs_the_program(paths: Paths, pid: int) -> bool:
    """A program that was put in the place of another is not what runs."""
    running, wanted = Path(f"/proc/{pid}/exe"), paths.current / "bin" / "etcd"
    try:
        if running.samefile(wanted):
            return True
    except OSError:
        return False
    return files.sha256_of(running) == files.sha256_of(wanted)


def started_version(paths: Paths) -> str:
    """The version that was started last; empty where it is not known."""
    first = files.read_text(paths.started).partition("\n")[0]
    return first.rpartition("/")[2] if "/" in first else ""


# ---- before each start


def stamp(run: Run) -> None:
    """Note what etcd is started with, and stop what must not start. Called by the unit."""
    paths = Paths(run.options.cluster)
    try:
        instance = Instance.load(paths)
        # First: the unit takes no notice of how this ends, which is soon where a disk is full.
        _withdraw_bootstrap(instance)
    finally:
        # Of the last start, which would be taken for this one's when this one's cannot be written.
        files.remove(paths.started)
    if has_joined(paths) and not instance.holds_member:
        say(
            f"{instance.data} holds no member any more. It does not start without its data, which"
            " could cost the cluster data; `pulumi up` says what to do"
        )
    elif wal.data_of_another(paths, instance.data):
        say(
            f"the data in {instance.data}/member are those of another member of this cluster, so"
            " etcd is not started with them"
        )
        systemd.systemctl("stop", "--no-block", paths.unit)
    paths.started.parent.mkdir(parents=True, exist_ok=True)
    edited = "" if is_composed(paths) else "with another etcd.yaml\n"
    files.atomic_write(paths.started, f"{files_say(paths)}\n{edited}")


def _withdraw_bootstrap(instance: Instance) -> None:
    """Only the join step may bootstrap a cluster, and only while it is at work.

    Whoever starts the unit later, a person or a boot, gets a configuration with which etcd refuses
    to begin.
    """
    paths = instance.paths
    state = files.value_in(files.read_text(paths.configuration), "initial-cluster-state")
    if state != "new" or instance.holds_member or bootstrap_is_permitted(paths):
        return
    try:
        files.remove(paths.membership)
        compose(paths)
    except (Refusal, OSError) as error:
        # On a full or read-only disk the configuration that bootstraps would stay.
        complain(str(error))
        systemd.systemctl("stop", "--no-block", paths.unit)
    say(
        f"{instance.name} has no data and was to found cluster {paths.cluster}, but the step that"
        " may do that is over. It does not start; `pulumi up` takes its seat"
    )


def permit_bootstrap(paths: Paths) -> None:
    """Let etcd bootstrap the cluster, as long as this process is at work."""
    paths.bootstrapping.parent.mkdir(parents=True, exist_ok=True)
    files.atomic_write(paths.bootstrapping, f"{os.getpid()}\n", 0o600)


def bootstrap_is_permitted(paths: Paths) -> bool:
    """Whether a process that may do it is at work now."""
    try:
        age = time.time() - paths.bootstrapping.stat().st_mtime
        pid = int(files.read_text(paths.bootstrapping))
        os.kill(pid, 0)
    except (OSError, ValueError):
        return False
    return pid > 0 and age < _BOOTSTRAP_SECONDS


# ---- starting


def require_joined(instance: Instance) -> None:
    """Raises Refusal for one that has left, or never joined: it would be somebody new."""
    # Also where its leaving was cut off between the two.
    if instance.paths.left.exists():
        refuse(
            f"{instance.name} has left its cluster, and nothing was started. To have it join again,"
            " raise etcd_reseat on its host and run `pulumi up`; to be rid of it, delete its line"
        )
    if not instance.has_joined:
        refuse(
            f"{instance.name} has not taken its seat in cluster {instance.cluster}, and nothing was"
            " started; raise etcd_repair on its host and run `pulumi up`"
        )


def repair_is_asked(paths: Paths, options: Options) -> bool:
    """Whether the number was raised by which a stack asks that changes by hand be undone."""
    done = files.read_text(paths.repaired).strip()
    return options.repair > (int(done) if done.isdigit() else 0)


def restart_if_down(instance: Instance) -> None:
    """Have a member that does not serve take its new files at once.

    It loses nothing by that, and may need them to come back; one that serves waits for its rollout.
    Were it not so, a broken member would keep the others from being restarted, and, coming after
    them, itself from being mended.
    """
    if systemd.is_active(instance.paths.unit):
        return
    systemd.restart_without_waiting(instance.paths.unit)
    say(f"{instance.name}: was down, and is started with its new files")
