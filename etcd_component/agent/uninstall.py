"""`etcd-node uninstall`: nothing of ours is left on a machine, and nothing of others is taken."""

from __future__ import annotations

import contextlib
import os
import pwd
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import (
    claim,
    data_directory,
    exporter,
    files,
    host,
    locking,
    own_files,
    process,
    systemd,
)
from etcd_component.agent.instance import Instance
from etcd_component.agent.output import doing, say, warn
from etcd_component.agent.paths import (
    CONFIGURATIONS,
    ETCDCTL,
    PROGRAM,
    RUN,
    SOFTWARE,
    VERSIONS,
    Paths,
    clusters,
)
from etcd_component.agent.user import COMMENT, USER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etcd_component.agent.frame import Run
    from etcd_component.agent.options import Options


@dataclass
class _Removal:
    """Of one instance, and what is said of what stays."""

    options: Options
    paths: Paths
    name: str = ""
    """Of the instance; empty where nothing here is known to be one's."""
    data: Path | None = None
    real: Path | None = None
    data_stay: bool = False
    kept: list[str] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        """Whether unit and snapshots may be taken away.

        A stack whose instance is not here has nothing here: snapshots that stayed once are no more
        its own than a unit.
        """
        return bool(self.name) or not self.options.owner

    def keep(self, sentence: str) -> None:
        self.kept.append(f" {sentence}")


def run(run: Run) -> None:
    """Each step may find its work done by a run that was cut off."""
    removal = _found(run)
    paths = removal.paths
    if removal.is_known:
        doing("stopping etcd")
        _remove_unit(removal)
        exporter.take_away(paths)
    doing("removing files")
    if removal.real and removal.real.is_dir():
        _remove_data(removal)
    if removal.name:
        _remove_uploads(removal.name)
    if removal.is_known and paths.snapshots.is_dir():
        _remove_snapshots(removal)
    # The claim goes last, so that one that is cut off here can be run again.
    own_files.remove_configuration(paths)
    files.remove(
        paths.current,
        paths.started,
        paths.leader_seen,
        paths.clock_seen,
        paths.bootstrapping,
    )
    _remove_what_is_shared(removal)
    locking.forget(run.program.directory, paths.cluster, "machine")
    kept = "".join([*removal.kept, own_files.staying(_emptied(removal))])
    say(f"{removal.name or paths.cluster} is off this machine.{kept}")


def _emptied(removal: _Removal) -> Iterator[Path]:
    """Directories in which nothing of ours is left."""
    is_last = not clusters()
    yield CONFIGURATIONS if is_last else removal.paths.etc
    if is_last and removal.options.remove_software:
        yield SOFTWARE
    if removal.options.remove_data and removal.is_known:
        yield removal.paths.snapshots


def _found(run: Run) -> _Removal:
    paths = Paths(run.options.cluster)
    claimed = claim.read(paths)
    removal = _Removal(run.options, paths)
    if claimed:
        removal.name = claim.held(paths).name
        removal.data = Path(claimed.data) if claimed.data else None
        removal.real = Path(claimed.real_data) if claimed.real_data else None
    elif files.has_content(paths.configuration):
        instance = Instance.load(paths)
        removal.name, removal.data, removal.real = instance.name, instance.data, instance.real
    return removal


def _remove_unit(removal: _Removal) -> None:
    paths = removal.paths
    if not files.is_ours(paths.unit_file):
        return
    if removal.options.remove_data:
        # A leader that stops cleanly looks for an heir for seconds, in vain when all members stop.
        systemd.systemctl("kill", "-s", "KILL", paths.unit)
    systemd.require("disable", "-q", "--now", paths.unit)
    files.remove(paths.unit_file)
    systemd.require("daemon-reload")
    systemd.systemctl("reset-failed", paths.unit)


def _remove_data(removal: _Removal) -> None:
    assert removal.data is not None
    assert removal.real is not None
    data, real = removal.data, removal.real
    leads_to, below = os.path.realpath(data), host.mounts_below(real)
    removal.data_stay = True
    if not removal.options.remove_data:
        removal.keep(f"Its data stay in {data}.")
    elif leads_to != str(real):
        removal.keep(
            f"{data} leads to {leads_to}, and not to {real}, where {removal.name or 'it'} had its"
            " data: none were removed."
        )
    elif below:
        removal.keep(
            f"Its data stay in {real}, because {below} is mounted there: unmount it and remove"
            " them."
        )
    elif systemd.show(removal.paths.unit).is_active:
        removal.keep(
            f"Its data stay in {real}, because {removal.paths.unit}, which is not etcd-node's,"
            " runs: stop it and remove them."
        )
    else:
        data_directory.remove(real, removal.paths)
        removal.data_stay = False
        removal.keep(f"Its data in {real} are deleted.")


def _remove_uploads(name: str) -> None:
    """What an upload has left that was never installed, in the home of who logs in here."""
    # Root is nobody in a home on another machine's disk, and that must not keep the rest here.
    with contextlib.suppress(OSError, KeyError, ValueError):
        home = pwd.getpwuid(int(os.environ.get("SUDO_UID") or 0)).pw_dir
        files.remove(*Path(home).glob(f"etcd-*-{name}-*.tar.gz"))


def _remove_snapshots(removal: _Removal) -> None:
    if removal.options.remove_data:
        own_files.remove_snapshots(removal.paths)
    else:
        removal.keep(f"Its snapshots stay in {removal.paths.snapshots}.")


def _remove_what_is_shared(removal: _Removal) -> None:
    """The program, the user and the versions serve every cluster on the machine."""
    paths = removal.paths
    if [one for one in clusters() if one != paths.cluster]:
        own_files.remove_claim(paths)
        return
    own_files.remove_if_empty(paths.current.parent)
    if removal.options.remove_software:
        _remove_software()
    elif VERSIONS.is_dir():
        removal.keep(f"The programs stay in {VERSIONS}.")
    if files.is_ours(ETCDCTL):
        files.remove(ETCDCTL)
    # Data that stay keep their owner.
    if not removal.data_stay and _is_our_user():
        process.run("userdel", USER)
    own_files.remove_claim(paths)
    files.remove(PROGRAM)
    # Without waiting: who holds it may itself wait for what this one holds, and finds it as it was.
    locking.forget_if_free(RUN, "programs")


def _is_our_user() -> bool:
    try:
        return pwd.getpwnam(USER).pw_gecos == COMMENT
    except KeyError:
        return False


def _remove_software() -> None:
    if (VERSIONS / "package").is_dir():
        if process.exists("apt-get"):
            done = process.run(
                *("apt-get", "-q", "-y", "--allow-change-held-packages", "purge"),
                *("etcd-server", "etcd-client"),
                env={"DEBIAN_FRONTEND": "noninteractive"},
            )
            if not done.ok:
                warn("apt-get could not remove etcd-server and etcd-client")
        elif process.exists("dnf") and not process.run("dnf", "-y", "-q", "remove", "etcd").ok:
            warn("dnf could not remove etcd")
    own_files.remove_programs()
