"""A member that cannot run with its data: they are kept as a copy, and it joins anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import (
    composition,
    crash,
    data_directory,
    files,
    host,
    peers,
    readiness,
    software,
    systemd,
    version_change,
    wal,
)
from etcd_component.agent.decide.admission import objection_to_removal, writes_only_here
from etcd_component.agent.output import doing, refuse, say, warn
from etcd_component.etcd_api.errors import ApiError
from etcd_component.etcd_api.members import CORRUPT, started_voters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.agent.client import Client
    from etcd_component.agent.frame import Run
    from etcd_component.agent.instance import Instance
    from etcd_component.agent.paths import Paths
    from etcd_component.agent.session import Session
    from etcd_component.etcd_api.members import Member, MemberStatus

LABEL = "before-reseat"
"""Of the copies: `member.before-reseat-TIME`."""
_MIB = 1 << 20
_SPARE_MIB = 192
"""What the log of a new member takes, and some more."""


# ---- what is noted of it


def done(paths: Paths) -> int:
    """The number of the last rejoin that was done; 0 without one."""
    text = files.read_text(paths.rejoined).strip()
    return int(text) if text.isdigit() else 0


def copy_kept(paths: Paths, number: int) -> Path | None:
    """The copy that was made for this number, if it is there."""
    begun, _, copy = files.read_text(paths.rejoin_begun).strip().partition(" ")
    return Path(copy) if begun == str(number) and copy and Path(copy).exists() else None


def note_done(run: Run, instance: Instance) -> None:
    """The number was met: what stays in the inventory does nothing more."""
    paths, number = instance.paths, run.options.reseat
    if number <= done(paths):
        return
    files.atomic_write(paths.rejoined, f"{number}\n")
    copy = copy_kept(paths, number)
    if copy is not None:
        say(
            f"{instance.name}: its former data are kept in {copy}; delete them when nobody needs"
            " them"
        )
    files.remove(paths.rejoin_begun)


# ---- can it run with its data?


def examine(run: Run, instance: Instance, client: Client, session: Session) -> str:
    """Why it cannot run with its data; empty when it runs. Raises Refusal."""
    if _is_corrupt(run, instance, client, session):
        return "the alarm CORRUPT is raised for its data"
    refuse_without_disk(instance)
    if not software.has_program(instance.paths):
        software.link_version(instance.paths, run.options.version)
    readiness.start(instance)
    cause = readiness.takes_part_within(instance, client, run.waits.can_run)
    if not cause:
        say(f"{instance.name}: runs and takes part; its data stay, etcd_reseat was not needed")
    return cause


def _is_corrupt(run: Run, instance: Instance, client: Client, session: Session) -> bool:
    """Whether the cluster says so. Not where nobody can be asked: it is tried then."""
    members = client.members_or_none(instance.peer_url, 10)
    if members is None:
        members = peers.members_by_any(client, instance.known_peers(run.options.peers)) or ()
    voters = started_voters(members, instance.peer_urls)
    if not _log_in_at_any(session, voters):
        return False
    own = instance.own_among(session.members())
    try:
        alarms = session.alarms()
    except ApiError as error:
        refuse(f"{instance.name}: the alarms cannot be read: {error}. Nothing was changed")
    # Where etcd does not know whose data are wrong it raises it for 0, and a person has decided.
    return own is not None and any(
        alarm.kind == CORRUPT and alarm.member_id in {own.id, 0} for alarm in alarms
    )


def _log_in_at_any(session: Session, voters: Sequence[Member]) -> bool:
    """Without patience."""
    for voter in voters:
        doing(f"logging in at {voter.client_url}")
        try:
            session.log_in(voter.client_url)
        except ApiError:
            continue
        session.choose([voter.client_url])
        return True
    return False


def refuse_without_disk(instance: Instance) -> None:
    """Raises Refusal where a disk of the data is not mounted: what is there is not the member's."""
    missing = host.missing_mount(instance.data)
    if missing:
        refuse(
            f"{instance.name}: /etc/fstab has a disk for {missing}, and it is not mounted, so what"
            f" {instance.data} shows is not the member's data. Mount it (`mount {missing}`) and run"
            " `pulumi up` again; if that disk is gone, take its line out of /etc/fstab first."
            " Nothing was changed"
        )


# ---- setting them aside


def set_data_aside(
    run: Run, instance: Instance, client: Client, session: Session, cause: str
) -> None:
    """Keep a copy of the data. All that could refuse is asked before anything is changed."""
    paths = instance.paths
    found = crash.look(paths.unit, systemd.show(paths.unit))
    cause = f"{cause} ({found.text})" if found else cause
    if found.kind == crash.MACHINE:
        refuse(
            f"{instance.name} does not run, but other data would not mend that: {found.text}. Mend"
            " it and run `pulumi up` again; its data were not touched"
        )
    reference = _ask_the_others(run, instance, client, session, cause)
    _check_room_for_copy(instance, reference)
    _warn_of_writes_only_here(instance, reference, found.text)
    copy = data_directory.kept_copy(instance.data, LABEL)
    files.atomic_write(paths.rejoin_begun, f"{run.options.reseat} {copy}\n")
    # It has been a member, also where the run that founded was cut off before it was noted.
    if not instance.has_joined:
        composition.write_joined(instance)
    doing("setting the data aside")
    data_directory.set_aside(instance.data, paths.unit, LABEL, copy)
    say(
        f"{instance.name}: {cause}; its data are set aside in {copy}, and it joins again with those"
        " of the others"
    )


def _ask_the_others(
    run: Run, instance: Instance, client: Client, session: Session, cause: str
) -> MemberStatus:
    """The status of another voter, when the others can spare this member. Raises Refusal."""
    reports = peers.observe(client, instance.known_peers(run.options.peers))
    if not reports.formed:
        lines = "".join(f"\n{one}" for one in [*reports.hindrances, *reports.idle])
        refuse(
            f"{instance.name} cannot run with its data ({cause}), and no other member answers, so"
            f" it keeps them:{lines}\n  Bring the others back and run `pulumi up` again; a cluster"
            " of one is brought back by restoring a snapshot. Nothing was changed"
        )
    members = member_list(client, reports.formed[0].url)
    version_change.refuse_to_join_another_minor(run, instance, client, members)
    # Without a quorum nobody serves a login.
    check_quorum_of_others(instance, client, members)
    voters = started_voters(members, instance.peer_urls)
    session.choose([voter.client_url for voter in voters])
    try:
        return session.status()
    except ApiError as error:
        refuse(f"{session.endpoint} gives no status: {error}. Nothing was changed")


def member_list(client: Client, peer_url: str) -> tuple[Member, ...]:
    """As a peer has it. Raises Refusal."""
    try:
        return client.members(peer_url)
    except ApiError as error:
        refuse(f"the peer at {peer_url} does not give its member list: {error}")


def check_quorum_of_others(instance: Instance, client: Client, members: Sequence[Member]) -> None:
    """Raises Refusal where the others cannot spare this member."""
    doing("counting the members that do not lack anything")
    own = instance.own_among(tuple(members))
    others = [one for one in members if one.is_voter and one != own]
    # An alarm CORRUPT stops the reads by which etcd shows that it is ready, so the leader counts.
    absent = [one for one in others if not one.started or not client.has_leader(one.client_url)]
    reason = objection_to_removal(
        instance.name,
        sum(one.is_voter for one in members),
        len(others) - len(absent),
        [one.name or "-" for one in absent],
    )
    if reason:
        refuse(reason)


def _check_room_for_copy(instance: Instance, reference: MemberStatus) -> None:
    """The copy stays where it is, so the disk must hold the others' data beside it."""
    needed = reference.size // _MIB + _SPARE_MIB
    free = host.free_mib(instance.data)
    if free < needed:
        refuse(
            f"{instance.name}: a copy of its data is kept, and beside it {free} MiB are free under"
            f" {instance.data}; {needed} MiB are needed for the data of the others. Make room and"
            " run `pulumi up` again. Nothing was changed"
        )


def _warn_of_writes_only_here(instance: Instance, reference: MemberStatus, words: str) -> None:
    journal = systemd.journal(instance.paths.unit, 3000)
    clusters = re.findall(r'"cluster-id":"([0-9a-f]*)"', journal)
    reason = writes_only_here(
        clusters[-1] if clusters else "",
        f"{reference.cluster_id:x}",
        wal.highest_entry(instance.data),
        reference.index,
        words,
    )
    if reason:
        warn(
            f"{instance.name}: its data may hold writes that the others lack: {reason}. Look at the"
            " kept copy before you delete it"
        )
