"""Command `binary`: install a version of etcd. The running one stays, unless it is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import (
    archive,
    files,
    locking,
    package,
    snapshot,
    software,
    version_change,
)
from etcd_component.agent.client import Client
from etcd_component.agent.composition import compose
from etcd_component.agent.instance import Instance
from etcd_component.agent.output import refuse, say
from etcd_component.agent.paths import VERSIONS, Paths
from etcd_component.agent.start import restart_if_down
from etcd_component.agent.systemd import is_active

if TYPE_CHECKING:
    from etcd_component.agent.frame import Run


def run(run: Run) -> None:
    """Have that version in its place, by the method that is wanted. Raises Refusal."""
    paths, options = Paths(run.options.cluster), run.options
    instance = Instance.find(paths)
    change = version_change.check(run, instance)
    if options.method in {"archive", "upload"}:
        archive.install(run)
    elif options.method == "package":
        package.install(options.version)
        _adopt("package", options.version)
    elif options.method == "preinstalled":
        _adopt("preinstalled", options.version)
    else:
        refuse(f"there is no way `{options.method}` to install etcd; see etcd_install")
    if instance and change:
        snapshot.before_upgrade(run, instance, Client(paths.pki), change)
    _link_if_down(run, paths)


def _adopt(name: str, version: str) -> None:
    """Link the programs that the machine has into our place for versions. Raises Refusal."""
    programs = VERSIONS / name / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for program in software.PROGRAMS:
        own = software.program_of_machine(program)
        if own:
            files.replace_link(programs / program, own)
    found = software.reported_version(programs / "etcd")
    if found != version:
        refuse(
            f"this machine has {f'etcd {found}' if found else 'no etcd'}, but etcd_version is"
            f" {version}; set etcd_version to {found or 'what it will have'}, or etcd_install to"
            " archive"
        )
    release = VERSIONS / version
    # A link is replaced in one step.
    others = [] if release.is_symlink() else archive.clear(release)
    if others:
        refuse(
            f"{release} has files that etcd-node did not put there ({' '.join(others)}); move them"
            " away and run this again"
        )
    files.replace_link(release, name)
    say(f"etcd {version} is the machine's own ({name})")


def _link_if_down(run: Run, paths: Paths) -> None:
    """A member that does not serve, and has another version linked, takes this one at once."""
    # The programs are in their place. The rest is the instance's, whose lock another run may hold.
    locking.release("programs")
    locking.hold(run.program.directory, paths.cluster, run.program.name, run.waits.lock)
    version = run.options.version
    if not files.has_content(paths.membership) or not paths.current.is_symlink():
        return
    if software.is_linked(paths, version):
        return
    # One that leads nowhere was put there by hand: a member that goes down could not come back.
    if not software.has_program(paths):
        software.link_version(paths, version)
    instance = Instance.load(paths)
    if instance.holds_member and not is_active(paths.unit):
        software.link_version(paths, version)
        compose(paths)
        restart_if_down(instance)
