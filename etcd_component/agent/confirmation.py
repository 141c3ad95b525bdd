"""What a person who types `leave` or `uninstall` sees before anything is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import files, systemd
from etcd_component.agent.output import complain, refuse

if TYPE_CHECKING:
    from etcd_component.agent.claim import Claim
    from etcd_component.agent.decide.claiming import Held
    from etcd_component.agent.frame import Run
    from etcd_component.agent.paths import Paths

COMMANDS = frozenset({"leave", "uninstall"})


def confirm_removal(run: Run, paths: Paths, held: Held, claimed: Claim | None) -> None:
    """Return where a person has named the instance and said yes. Else raises Refusal."""
    options = run.options
    more = " --remove-data" if options.remove_data else ""
    more += " --remove-software" if options.remove_software else ""
    if not held.name:
        _confirm_leftovers(run, paths, more)
        return
    if options.yes and options.meant:
        return
    complain("\n".join(_described(run, paths, held, claimed)))
    refuse(
        f"nothing was removed. To confirm: etcd-node {run.word} --cluster {held.cluster} --name"
        f" {held.name}{more} --yes"
    )


def _confirm_leftovers(run: Run, paths: Paths, more: str) -> None:
    here = ""
    if files.is_ours(paths.unit_file):
        here += f", but the unit {paths.unit}"
    if run.word == "uninstall" and run.options.remove_data and paths.snapshots.is_dir():
        here += f", but snapshots in {paths.snapshots}, which would be DELETED"
    if here and not run.options.yes:
        refuse(
            f"this machine holds no claim of cluster {paths.cluster}{here}. Nothing was removed. To"
            f" have it removed: etcd-node {run.word} --cluster {paths.cluster}{more} --yes"
        )


def _described(run: Run, paths: Paths, held: Held, claimed: Claim | None) -> list[str]:
    data = (claimed.data if claimed else "") or "a directory that is not known"
    if run.word == "leave":
        fate = "; they stay"
    elif run.options.remove_data:
        fate = ", and would be DELETED"
    else:
        fate = "; they stay without --remove-data"
    lines = [
        f"`{run.word}` means this instance:",
        f"  instance  {held.name} of cluster {held.cluster}",
        f"  owner     {held.owner or 'no stack'}",
        f"  etcd      {paths.unit} is {systemd.show(paths.unit).active}",
        f"  data      in {data}{fate}",
    ]
    if run.word == "uninstall" and files.has_content(paths.membership):
        lines.append("  member    joined; the others go on counting it, unless it leaves before")
    return lines
