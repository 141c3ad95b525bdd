"""Command `config`: write etcd's configuration and its unit."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from typing import TYPE_CHECKING

from etcd_component.agent import claim, etcdctl, files, host, mark, systemd, version_change
from etcd_component.agent.composition import compose
from etcd_component.agent.drift import note_as_put
from etcd_component.agent.instance import Instance
from etcd_component.agent.output import refuse, say
from etcd_component.agent.paths import Paths
from etcd_component.agent.start import restart_if_down
from etcd_component.agent.user import USER, make_user

if TYPE_CHECKING:
    from pathlib import Path

    from etcd_component.agent.decide.version import Change
    from etcd_component.agent.frame import Run

_IDENTIFYING = ("name", "data-dir", "initial-advertise-peer-urls")
"""A member is its peer URL and its data: with another of either, it would be somebody new."""


def run(run: Run) -> None:
    """Write both as they are on standard input. A member that does not serve is started anew."""
    paths = Paths(run.options.cluster)
    make_user()
    wanted = files.sections(run.stdin)
    for name in ("etcd.yaml", paths.unit):
        if not wanted.get(name):
            refuse(f"standard input has no section `--- {name}`")
    paths.etc.mkdir(parents=True, exist_ok=True)
    change = version_change.check(run, Instance.find(paths))
    _refuse_another_member(paths, wanted["etcd.yaml"], change)
    files.atomic_write(paths.settings, wanted["etcd.yaml"])
    # A member goes on reading what is made for its version, until it changes that.
    if change is None:
        compose(paths)
    instance = Instance.load(paths)
    own_data_directory(instance)
    _write_unit(paths, wanted[paths.unit])
    note_as_put(paths, "config", (paths.settings, paths.unit_file))
    etcdctl.install()
    say(f"{instance.name}: configuration and unit are in place")
    if files.has_content(paths.membership) and instance.holds_member:
        restart_if_down(instance)


def _refuse_another_member(paths: Paths, wanted: str, change: Change | None) -> None:
    """Raises Refusal where a member would be somebody new.

    Only the port of its peer URL may change, which the rollout then announces to the cluster.
    """
    if not files.has_content(paths.membership) or not files.has_content(paths.settings):
        return
    present = files.read_text(paths.configuration)
    for key in _IDENTIFYING:
        configured, declared = files.value_in(present, key), files.value_in(wanted, key)
        if configured == declared:
            continue
        if key != _IDENTIFYING[-1] or _host(configured) != _host(declared):
            refuse(
                f"a member that has its seat cannot change its {key} from {configured} to"
                f" {declared}; nothing was changed. Put it back, or give the instance a new"
                " etcd_seq: that one joins, and this one leaves"
            )
        if change is not None:
            change.refuse("another peer port is wanted, too. Change one after the other")
        if not files.has_content(paths.former_peer_url):
            files.atomic_write(paths.former_peer_url, f"{configured}\n")


def _host(url: str) -> str:
    return url.rpartition(":")[0]


def _write_unit(paths: Paths, text: str) -> None:
    """Have systemd know the unit. That it reads all units again takes a while."""
    if files.read_text(paths.unit_file) != text:
        files.atomic_write(paths.unit_file, text)
    elif not systemd.show(paths.unit).needs_reload:
        return
    systemd.require("daemon-reload")


def own_data_directory(instance: Instance) -> None:
    """Have the data directory, for etcd's user alone. Raises Refusal where it is another now."""
    paths, real = instance.paths, instance.real
    # What was there before is not removed later.
    if not real.is_dir():
        files.atomic_write(paths.made_parent, f"{host.existing_parent(real)}\n")
    claimed = claim.read(paths)
    if claimed and claimed.real_data and str(claimed.real_data) != str(real):
        refuse(
            f"{instance.data} leads to {real}, but led to {claimed.real_data} when this machine was"
            f" claimed for {instance.name}. Put the link or the mount back and run `pulumi up`"
            " again"
        )
    real.mkdir(parents=True, exist_ok=True)
    # The unit's group, which somebody's user of that name need not have as its first.
    user, group = pwd.getpwnam(USER).pw_uid, grp.getgrnam(USER).gr_gid
    # Who can write above it could put a link in its place just now.
    directory = os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(directory, 0o700)
        os.fchown(directory, user, group)
    finally:
        os.close(directory)
    _own_all(real / "member", user, group)
    # Data that have no membership yet are known by the mark that was found with them, and by
    # nothing else.
    if not paths.left.exists() and files.has_content(paths.membership):
        mark.write(instance)


def _own_all(directory: Path, user: int, group: int) -> None:
    """Data that outlived the system's disk belong to the user that etcd was there.

    Nobody's links are followed, whatever is done to them meanwhile.
    """
    if not directory.is_dir():
        return
    os.chown(directory, user, group, follow_symlinks=False)
    for _, folders, names, descriptor in os.fwalk(directory):
        for name in (*folders, *names):
            # A member at work removes files meanwhile.
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if (found.st_uid, found.st_gid) != (user, group):
                    os.chown(name, user, group, dir_fd=descriptor, follow_symlinks=False)
