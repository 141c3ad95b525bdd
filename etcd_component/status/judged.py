"""What follows from what was seen: is the cluster safe, what differs from the stack? Pure."""

import difflib
import hashlib
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from urllib.parse import urlsplit

from etcd_component.etcd_api.members import CORRUPT, NOSPACE
from etcd_component.etcd_api.members import Member as Listed
from etcd_component.model import quorum
from etcd_component.status import access
from etcd_component.status.asked import Answer, Listing
from etcd_component.status.declared import Cluster, Files, Member
from etcd_component.status.facts import NO_CONFIGURATION, Facts

LAG = 1000
"""So many entries behind the leader a rollout waits too."""
EXPIRY_DAYS = 30
QUOTA_PERCENT = 80
_LEFT_TO_A_ROLLOUT = {"restart-pending", "version-linked"}
_DAY = 24 * 60 * 60
_SHOWN_LINES = 6
_CURED_BY_HAND = re.compile(
    "read-only file system|no space left|disk quota exceeded|address already in use"
    "|cannot assign requested address"
)
"""What keeps etcd from running, and no file of the stack's would change."""


class Exit(IntEnum):
    """What `status` ends with."""

    WELL = 0
    DIFFERS = 1
    NO_QUORUM = 2
    UNREADABLE = 3


class Remedy(StrEnum):
    """What cures a finding."""

    REPAIR = "repair"
    """A raised `etcd_repair` on the host, and `pulumi up`."""
    RESEAT = "reseat"
    """A raised `etcd_reseat` on the host, and `pulumi up`."""
    UP = "up"
    """`pulumi up` as it is."""
    PERSON = "person"
    """What the finding says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not well, or differs from the stack. `key` is for programs, and stable."""

    key: str
    what: str
    remedy: Remedy = Remedy.PERSON
    member: str = ""
    lines: tuple[str, ...] = ()
    """Of a file: `-` as the stack says, `+` as it is."""
    note: bool = False
    """Worth a mention, and nothing wrong."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was seen of a cluster."""

    cluster: Cluster
    answers: Mapping[str, Answer]
    """By client URL."""
    listing: Listing
    facts: Mapping[str, Facts | str]
    """By instance; a text is why a node was not looked at. Empty when none was to be."""
    at: float
    """When, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Row:
    """A member as it is: declared, listed, or both."""

    name: str
    declared: Member | None
    listed: Listed | None
    answer: Answer
    facts: Facts | None
    lag: int | None

    @property
    def address(self) -> str:
        """Where clients reach it, `host:port`."""
        if self.declared:
            return urlsplit(self.declared.client_url).netloc
        urls = (self.listed.client_urls or self.listed.peer_urls) if self.listed else ()
        return urlsplit(urls[0]).netloc if urls else ""

    @property
    def role(self) -> str:
        """Leader, voter, learner; or why it is neither."""
        if self.answer.leads:
            return "leader"
        if self.listed is None:
            return "learner" if self.answer.learner else "?" if self.answer.error else "voter"
        if not self.listed.client_urls:
            return "unstarted"
        return "learner" if self.listed.is_learner else "voter"

    @property
    def well(self) -> bool:
        """Whether it takes part."""
        return self.answer.healthy and not self.answer.error

    @property
    def health(self) -> str:
        """`well`, or what is wrong, in few words."""
        if self.answer.error:
            return self.answer.error
        return "well" if self.answer.healthy else self.answer.reason.lower() or "not healthy"


@dataclass(frozen=True, slots=True)
class Report:
    """A cluster as it is, and what to say of it."""

    cluster: Cluster
    rows: tuple[Row, ...]
    voters: int
    well: int
    """Of the voters."""
    serving: bool
    """Whether some member reads by way of a quorum."""
    cluster_version: str
    leader: str
    alarms: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def quorum(self) -> int:
        """How many voters must agree."""
        return quorum(self.voters)

    @property
    def may_be_lost(self) -> int:
        """How many voters more may be lost before writes stop."""
        return max(self.well - self.quorum, 0) if self.serving else 0

    @property
    def exit(self) -> Exit:
        """What a script must know of it."""
        if not self.serving:
            return Exit.NO_QUORUM
        return Exit.DIFFERS if any(not one.note for one in self.findings) else Exit.WELL


def judge(seen: Seen) -> Report:
    """What all that was seen of a cluster comes to."""
    live = _live(seen)
    rows = _rows(seen, live)
    voters = [
        row for row in rows if (not row.listed.is_learner if row.listed else _votes(row, live))
    ]
    serving = any(row.well for row in voters)
    leaders = [row.name for row in rows if row.answer.leads]
    versions = [row.answer.cluster_version for row in rows if row.answer.cluster_version]
    names = {row.listed.id: row.name for row in rows if row.listed}
    return Report(
        seen.cluster,
        rows,
        len(voters),
        sum(row.well for row in voters),
        serving,
        versions[0] if versions else "",
        leaders[0] if len(leaders) == 1 else "",
        tuple(
            f"{one.kind} at {names.get(one.member_id, one.member_id)}"
            for one in seen.listing.alarms
        ),
        (*_of_cluster(seen, rows, serving=serving), *_of_members(seen, rows, live)),
    )


def _votes(row: Row, live: tuple[Listed, ...] | None) -> bool:
    """Whether a row that nobody lists counts: only while nobody gives a list at all."""
    return live is None and row.declared is not None and not row.declared.learner


def _live(seen: Seen) -> tuple[Listed, ...] | None:
    """The members as the cluster has them; without a login, as a node's peer port has them."""
    if seen.listing.members is not None:
        return seen.listing.members
    for facts in seen.facts.values():
        if isinstance(facts, Facts) and facts.members:
            return facts.members
    return None


def _rows(seen: Seen, live: tuple[Listed, ...] | None) -> tuple[Row, ...]:
    leader = max((one.index for one in seen.answers.values() if one.leads), default=None)

    def row(name: str, member: Member | None, listed: Listed | None, url: str) -> Row:
        answer = seen.answers.get(url, Answer("not asked"))
        facts = seen.facts.get(name)
        known = leader is not None and not answer.error
        return Row(
            name,
            member,
            listed,
            answer,
            facts if isinstance(facts, Facts) else None,
            max(leader - answer.applied, 0) if known and leader is not None else None,
        )

    left = list(live or ())
    rows = []
    for member in seen.cluster.members:
        own = _own(member, seen.answers.get(member.client_url), left)
        if own:
            left.remove(own)
        rows.append(row(member.name, member, own, member.client_url))
    rows += [row(one.name or f"{one.id:x}", None, one, one.client_url) for one in left]
    return tuple(rows)


def _own(member: Member, answer: Answer | None, live: list[Listed]) -> Listed | None:
    """The member of the list that an instance is: the ID is surest, then its peer URL."""
    ways = (
        lambda one: answer is not None and one.id == answer.id,
        lambda one: member.peer_url in one.peer_urls,
        lambda one: one.name == member.name,
    )
    for is_own in ways:
        for one in live:
            if is_own(one):
                return one
    return None


# ---- findings about the cluster


def _of_cluster(seen: Seen, rows: tuple[Row, ...], *, serving: bool) -> Iterator[Finding]:
    first = next((one.name for one in seen.cluster.members if not one.learner), "")
    if not seen.listing.rbac:
        yield Finding(
            "rbac-off",
            "authentication is off: whoever has a certificate may do everything",
            Remedy.REPAIR,
            first,
        )
    if serving and seen.listing.members is None:
        yield Finding("no-list", f"members and alarms are not known: {seen.listing.refusal}")
    yield from _of_access(seen, first)
    corrupt = [one.member_id for one in seen.listing.alarms if one.kind == CORRUPT]
    for alarm in seen.listing.alarms:
        if alarm.kind == CORRUPT:
            yield _corrupt(alarm.member_id, rows, alone=len(corrupt) == 1)
            continue
        cure = (
            "no write is taken; compact, defragment one member after another, then"
            " `etcdctl alarm disarm`"
            if alarm.kind == NOSPACE
            else "`etcdctl alarm list` says where"
        )
        names = {one.id: one.name for one in seen.listing.members or ()}
        what = f"the alarm {alarm.kind} is raised: {cure}"
        yield Finding("alarm", what, member=names.get(alarm.member_id, ""))


def _corrupt(id_: int, rows: tuple[Row, ...], *, alone: bool) -> Finding:
    row = next((one for one in rows if one.listed and one.listed.id == id_), None)
    name = row.name if row else f"{id_:x}"
    what = f"the alarm CORRUPT is raised: the data of {name} differ from those of the others"
    if row is None:
        what += ", and it is no member any more: `etcdctl alarm disarm`"
        return Finding("alarm", what, member=name)
    # Before 3.6 etcd raises it for whoever differs from the leader, which may be the wrong one. The
    # member itself may be down; and after a start the version is at first "not_decided".
    versions = [
        tuple(map(int, one.answer.cluster_version.split(".")[:2]))
        for one in rows
        if one.answer.cluster_version[:1].isdigit()
    ]
    if not alone or min(versions, default=(0, 0)) < (3, 6):
        what = (
            f"the alarm CORRUPT is raised for {name}{'' if alone else ', and not only for it'}:"
            " `etcdctl endpoint hashkv --cluster` shows on which side the majority is; a raised"
            " etcd_reseat has one on the other side joined again"
        )
        return Finding("alarm", what, member=name)
    return _reseat("alarm", what, row, rows)


# ---- members that go on only without their data


def _reseat(key: str, what: str, row: Row, rows: tuple[Row, ...]) -> Finding:
    """A finding that a raised `etcd_reseat` cures, as long as the others have their quorum."""
    voters = [one for one in rows if _counts(one)]
    healthy = sum(
        one.answer.has_leader and not one.answer.error for one in voters if one is not row
    )
    if healthy >= quorum(len(voters)):
        cure = "a raised etcd_reseat has it removed and joined again, and keeps a copy of its data"
        return Finding(key, f"{what}; {cure}", Remedy.RESEAT, row.name)
    if len(voters) == 1:
        return Finding(key, f"{what}; nobody else has them: restore a snapshot", member=row.name)
    cure = (
        f"bring the others back first: of {len(voters)} voters {quorum(len(voters))} must be"
        f" healthy without it, and {healthy} are; if they will not come back, restore a snapshot"
    )
    return Finding(key, f"{what}; {cure}", member=row.name)


def _counts(row: Row) -> bool:
    if row.listed:
        return not row.listed.is_learner
    # Nobody gives a list: then those that are declared count.
    return row.declared is not None and not row.declared.learner and not row.answer.learner


def _of_access(seen: Seen, first: str) -> Iterator[Finding]:
    there, wanted = seen.listing.access, seen.cluster.access
    if there is None or wanted is None:
        return
    for what in access.differences(wanted, there):
        yield Finding("access", what, Remedy.REPAIR, first)
    if who := access.undeclared(wanted, there):
        what = (
            f"nobody declared {who}; declare what is wanted, and remove the rest with etcdctl or"
            " etcd_undeclared_access: remove"
        )
        yield Finding("undeclared", what, note=True)


# ---- findings about members


def _of_members(
    seen: Seen, rows: tuple[Row, ...], live: tuple[Listed, ...] | None
) -> Iterator[Finding]:
    for row in rows:
        if row.declared is None:
            yield _foreign(row)
            continue
        yield from _of_membership(row, row.declared, live)
        yield from _of_answer(row, row.declared, seen.at)
        looked = seen.facts.get(row.name)
        if isinstance(looked, str):
            yield Finding("not-looked-at", f"its node was not looked at: {looked}", member=row.name)
        elif looked is not None and row.declared.files is not None:
            yield from _of_node(row, row.declared, row.declared.files, rows, live)
        elif row.declared.files is None:
            what = "the last `pulumi up` did not get so far as to finish it"
            yield Finding("not-finished", what, Remedy.UP, row.name)


def _foreign(row: Row) -> Finding:
    assert row.listed is not None
    peer = ",".join(row.listed.peer_urls)
    id_ = f"{row.listed.id:x}"
    kind = "learner" if row.listed.is_learner else "voter"
    unstarted = "" if row.listed.client_urls else ", which was never started"
    return Finding(
        "unknown-member",
        f"the cluster has a {kind} that the stack does not know, ID {id_} at {peer}{unstarted};"
        f" give it a line in the inventory, or remove it: `etcdctl member remove {id_}`",
        member=row.name,
    )


def _of_membership(row: Row, member: Member, live: tuple[Listed, ...] | None) -> Iterator[Finding]:
    listed = row.listed
    if live is None:
        return
    if listed is None:
        yield Finding(
            "not-a-member",
            "the cluster does not know it: it was removed, or never joined. It joins when"
            " etcd_reseat is raised; a copy of its data is kept",
            Remedy.RESEAT,
            row.name,
        )
        return
    if not listed.client_urls:
        yield Finding("unstarted", "it was added, but never started", Remedy.REPAIR, row.name)
    elif listed.is_learner and not member.learner:
        yield Finding("is-learner", "it is a learner, and should vote", Remedy.REPAIR, row.name)
    elif member.learner and not listed.is_learner:
        what = "it votes, and should be a learner; etcd takes no vote away: let it leave and join"
        yield Finding("is-voter", what, member=row.name)
    if member.peer_url not in listed.peer_urls:
        found = ",".join(listed.peer_urls)
        what = f"the cluster knows it at {found}, not at {member.peer_url}"
        yield Finding("peer-url", what, member=row.name)


def _of_answer(row: Row, member: Member, now: float) -> Iterator[Finding]:
    answer = row.answer
    if answer.expired:
        what = "its certificate has expired; `pulumi up` renews it"
        yield Finding("certificate-expired", what, Remedy.UP, row.name)
    elif answer.error:
        runs = row.facts is not None and row.facts.unit == "active"
        but = "etcd runs there, but does not answer here" if runs else "it does not answer"
        yield Finding("no-answer", f"{but} at {row.address}: {answer.error}", member=row.name)
    elif not answer.healthy:
        yield Finding("not-healthy", f"it says of itself: {row.health}", member=row.name)
    if answer.error:
        return
    if answer.detour:
        what = f"{row.address} does not answer here; it was asked by way of its node"
        yield Finding("detour", what, member=row.name, note=True)
    if answer.version != member.version and (member.files is None or member.files.rolled_out):
        what = f"it runs etcd {answer.version}, and should run {member.version}"
        yield Finding("version-running", what, Remedy.REPAIR, row.name)
    if row.lag is not None and row.lag >= LAG:
        yield Finding("lag", f"it is {row.lag} entries behind the leader", member=row.name)
    if answer.quota and answer.size * 100 >= answer.quota * QUOTA_PERCENT:
        percent = answer.size * 100 // answer.quota
        what = f"its database has {percent} % of the quota; at 100 % the cluster takes no writes"
        yield Finding("quota", what, member=row.name)
    yield from _of_certificate(row, member, now)


def _of_certificate(row: Row, member: Member, now: float) -> Iterator[Finding]:
    days = int((row.answer.expires - now) // _DAY)
    if days < EXPIRY_DAYS:
        what = f"its certificate ends in {days} days; `pulumi up` renews it"
        yield Finding("certificate-ends", what, Remedy.UP, row.name)
    if member.files is None:
        return
    if ssl.PEM_cert_to_DER_cert(member.files.certificate) != row.answer.certificate:
        what = "it serves another certificate than the stack's"
        yield Finding("certificate-served", what, Remedy.REPAIR, row.name)


# ---- findings on the node


def _of_node(
    row: Row,
    member: Member,
    files: Files,
    rows: tuple[Row, ...],
    live: tuple[Listed, ...] | None,
) -> Iterator[Finding]:
    facts = row.facts
    assert facts is not None

    def repairable(key: str, what: str, lines: tuple[str, ...] = ()) -> Finding:
        return Finding(key, what, Remedy.REPAIR, member.name, lines)

    # Of one that the cluster does not know, nothing is lost: it has not begun, or was removed.
    known = live is None or (row.listed is not None and bool(row.listed.client_urls))
    if facts.stage == NO_CONFIGURATION and not facts.owner and known:
        wiped = _wiped(row, files, rows)
        if wiped:
            yield wiped
            return
    if facts.owner not in {files.owner, ""}:
        what = "its machine is marked as another stack's; only that one can change it"
        yield Finding("owner", what, member=member.name)
    elif not facts.owner:
        yield repairable("owner", "the mark of this stack is missing on its machine")
    if not facts.program or (files.rolled_out and facts.program != files.program):
        what = "/usr/local/sbin/etcd-node is missing" if not facts.program else ""
        yield repairable("program", what or "/usr/local/sbin/etcd-node was changed")
    if facts.stage == NO_CONFIGURATION:
        yield repairable("settings", "its etcd.yaml is missing")
        return
    yield from _of_seat(row, facts, rows)
    found = [
        *_of_files(member, files, facts),
        *_of_version(member, facts),
        *_of_unit(row, facts, rows),
        *_of_exporter(member, files, facts),
    ]
    if not files.rolled_out:
        what = "the last `pulumi up` ended before this member was restarted with its new files"
        yield Finding("not-finished", what, Remedy.UP, member.name)
        found = [one for one in found if one.key not in _LEFT_TO_A_ROLLOUT]
    yield from found


def _wiped(row: Row, files: Files, rows: tuple[Row, ...]) -> Finding | None:
    """What a machine lacks on which nothing is left of a member that the cluster knows."""
    facts = row.facts
    assert facts is not None
    if facts.missing_mount:
        return _unmounted(row.name, facts, "its files are missing")
    if facts.data == "whole":
        what = (
            f"its files are missing (the system was installed anew?), but its data are there in"
            f" {files.data_dir}"
        )
        return Finding("reinstalled", what, Remedy.REPAIR, row.name)
    if facts.data:
        what = (
            "its machine was wiped, or is another one: neither its files nor its data are there,"
            " and the cluster counts on it"
        )
        return _reseat("wiped", what, row, rows)
    return None


def _unmounted(name: str, facts: Facts, lost: str) -> Finding:
    mount = facts.missing_mount
    what = (
        f"{lost}: {mount}, which is in /etc/fstab, is not mounted on its machine. Mount it"
        f" (`mount {mount}`) and look again; nothing is to be raised for that"
    )
    return Finding("not-mounted", what, member=name)


def _of_seat(row: Row, facts: Facts, rows: tuple[Row, ...]) -> Iterator[Finding]:
    if facts.stage == "lost":
        if facts.missing_mount:
            yield _unmounted(row.name, facts, "its data are not to be seen")
            return
        what = "its data are LOST: the data directory holds no member any more"
        if facts.data == "part":
            what = "its data are LOST: the data directory holds only a part of the member"
        if facts.file_system == "tmpfs":
            what += ", and lies in memory (tmpfs), which each boot empties: put a disk there"
        else:
            what += ". If the disk is only not mounted, mount it"
        yield _reseat("data-lost", what, row, rows)
    elif facts.stage != "joined":
        yield Finding("seat", "it has not taken its seat yet", Remedy.UP, row.name)


def _of_files(member: Member, files: Files, facts: Facts) -> Iterator[Finding]:
    def changed(key: str, what: str, lines: tuple[str, ...] = ()) -> Finding:
        return Finding(key, what, Remedy.REPAIR, member.name, lines)

    in_use = _difference(files.settings, facts.configuration)
    kept = _difference(files.settings, facts.settings)
    if in_use:
        yield changed("settings", "etcd.yaml differs from the stack", in_use)
    elif kept:
        yield changed("settings", "settings.yaml differs from the stack", kept)
    elif not facts.is_composed:
        yield changed("settings", "what etcd.yaml says of the seat was changed")
    if lines := _difference(files.unit, facts.unit_file):
        yield changed("unit", "the unit differs from the stack", lines)
    revoked = "the list of what is revoked (revoked.crl)"
    for there, expected, key, what in (
        (facts.ca, _sum(files.ca), "ca", "the CA bundle (ca.crt)"),
        (facts.certificate, _sum(files.certificate), "certificate", "the certificate (server.crt)"),
        (facts.revoked, files.revoked, "revoked", revoked),
    ):
        if there != expected:
            state = "differs from the stack" if there else "is missing"
            yield changed(key, f"{what} {state}")


def _of_version(member: Member, facts: Facts) -> Iterator[Finding]:
    def found(key: str, what: str) -> Finding:
        return Finding(key, what, Remedy.REPAIR, member.name)

    linked, reported = facts.version, facts.reported
    if linked != member.version:
        yield found("version-linked", f"etcd {linked} is linked, and should be {member.version}")
    if not reported:
        yield found("version-linked", f"the program of etcd {linked} is missing or does not run")
    elif reported != linked:
        yield found("version-linked", f"the program in the place of etcd {linked} is {reported}")


def _of_unit(row: Row, facts: Facts, rows: tuple[Row, ...]) -> Iterator[Finding]:
    def found(key: str, what: str) -> Finding:
        return Finding(key, what, Remedy.REPAIR, row.name)

    crash = facts.crash
    if facts.unit != "active" and facts.crash_kind == "data" and facts.stage == "joined":
        yield _reseat("data-broken", f"it cannot run with its data: {crash}", row, rows)
    elif facts.unit != "active" and _CURED_BY_HAND.search(crash):
        what = f"its unit is {facts.unit}: {crash}; mend that on the machine"
        yield Finding("unit-down", what, member=row.name)
    elif facts.unit != "active":
        yield found("unit-down", f"its unit is {facts.unit}{': ' if crash else ''}{crash}")
    elif not facts.runs_the_files:
        yield found("restart-pending", "what runs was started with other files than are there now")
    if not facts.is_enabled:
        yield found("unit-disabled", "its unit does not start at boot")
    if not facts.is_loaded:
        yield found("unit-not-loaded", "systemd has not read its unit since it was changed")
    for file in facts.drop_ins:
        yield Finding("drop-in", f"{file} adds to the unit", member=row.name, note=True)


def _of_exporter(member: Member, files: Files, facts: Facts) -> Iterator[Finding]:
    wanted, found = "".join(files.exporter), facts.exporter
    if wanted and found != _sum(wanted):
        state = {"": "missing", "stopped": "stopped"}.get(found, "changed")
        what = f"what tells of its node (etcd_exporter_port, etcd_textfile_dir) is {state}"
        yield Finding("exporter", what, Remedy.REPAIR, member.name)


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _difference(expected: str, found: str) -> tuple[str, ...]:
    """Lines that differ, each with its sign; empty when the texts are the same."""
    both = difflib.ndiff(expected.splitlines(), found.splitlines())
    lines = [line for line in both if line[0] in "+-"]
    if len(lines) > _SHOWN_LINES:
        lines[_SHOWN_LINES:] = [f"... and {len(lines) - _SHOWN_LINES} lines more"]
    return tuple(lines)
