"""What differs on a node from what the stack has put there."""

import difflib
import hashlib
import re
from collections.abc import Iterator

from etcd_component.etcd_api.members import Member as Listed
from etcd_component.status.declared import Files, Member
from etcd_component.status.facts import NO_CONFIGURATION, Facts
from etcd_component.status.rejoin_finding import rejoin
from etcd_component.status.report import Finding, Remedy, Row

_LEFT_TO_A_ROLLOUT = {"restart-pending", "version-linked"}
_SHOWN_LINES = 6
_CURED_BY_HAND = re.compile(
    "read-only file system|no space left|disk quota exceeded|address already in use"
    "|cannot assign requested address"
)
"""What keeps etcd from running, and no file of the stack's would change."""


def of_node(
    row: Row,
    member: Member,
    files: Files,
    rows: tuple[Row, ...],
    live: tuple[Listed, ...] | None,
) -> Iterator[Finding]:
    """All of that, of a node that was looked at."""
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
        return rejoin("wiped", what, row, rows)
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
        yield rejoin("data-lost", what, row, rows)
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
        yield rejoin("data-broken", f"it cannot run with its data: {crash}", row, rows)
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
