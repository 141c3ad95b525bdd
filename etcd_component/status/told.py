"""A report for eyes and for programs. Pure: neither form ever holds a secret."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from etcd_component.status.report import Exit, Finding, Remedy, Report, Row

_HEADS = (
    "member",
    "address",
    "role",
    "version",
    "health",
    "index",
    "lag",
    "data",
    "in use",
    "quota",
    "certificate",
)
_NUMBERS = {"index", "lag", "data", "in use", "quota"}
_HEALTH = 16
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_COLOURS = {Exit.WELL: "1;32", Exit.DIFFERS: "1;33", Exit.NO_QUORUM: "1;31"}


def as_text(reports: Iterable[Report], *, width: int, colour: bool) -> str:
    """One paragraph, table and list of findings for each cluster."""
    paragraphs = []
    for report in reports:
        # Names and reasons come from elsewhere, and must not move a terminal's cursor.
        first, *rest = (_NO_TEXT.sub("?", line) for line in _cluster(report, width))
        if colour:
            first = f"\x1b[{_COLOURS[report.exit]}m{first}\x1b[0m"
        paragraphs.append("".join(f"{line}\n" for line in (first, *rest)))
    return "\n".join(paragraphs)


def _cluster(report: Report, width: int) -> Iterator[str]:
    yield f"{report.cluster.name}: {verdict(report)}"
    yield from textwrap.wrap(_summary(report), width)
    yield ""
    yield from _table([_HEADS, *(_cells(row) for row in report.rows)])
    yield ""
    if not report.findings:
        yield "Everything is as the stack says."
    for finding in report.findings:
        yield from _finding(finding, width)
    yield from _edits(report)


def verdict(report: Report) -> str:
    """The sentence that a person reads first."""
    plural = "" if report.voters == 1 else "s"
    verb = "is" if report.well == 1 else "are"
    count = (
        f"{report.well} of {report.voters} voter{plural} {verb} well, and {report.quorum} must be"
    )
    if all(row.answer.error for row in report.rows):
        return "NO ANSWER from any member here, so nobody knows whether there is a quorum."
    if not report.serving:
        return f"NO QUORUM. {count}: nothing can be written."
    if report.well < report.quorum:
        return f"serves. Only {count}, but that is as seen from here: ask the others elsewhere."
    if report.may_be_lost:
        lost = f"{report.may_be_lost} more may be lost"
    else:
        lost = "none may be lost" if report.well == report.voters else "no other may be lost"
    if report.well < report.voters:
        word = "serves with less margin" if report.may_be_lost else "SERVES WITHOUT MARGIN"
    else:
        word = "well" if report.exit == Exit.WELL else "serves, but see below"
    return f"{word}. {count}: {lost}."


def _summary(report: Report) -> str:
    version = report.cluster_version or "unknown"
    leader = f"leader {report.leader}" if report.leader else "no leader"
    alarms = f"alarms: {', '.join(report.alarms)}" if report.alarms else "no alarm"
    if not report.serving and not report.alarms:
        alarms = "alarms unknown"
    return f"cluster version {version}, {leader}, {alarms}"


def _cells(row: Row) -> tuple[str, ...]:
    answer = row.answer
    if answer.error:
        return (row.name, row.address, row.role, answer.error)
    return (
        row.name,
        row.address,
        row.role,
        answer.version,
        _shortened(row.health, _HEALTH),
        str(answer.index),
        "" if row.lag is None else str(row.lag),
        size(answer.size),
        size(answer.in_use),
        size(answer.quota),
        f"to {day(answer.expires)}",
    )


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def size(count: int) -> str:
    """Bytes as a person reads them."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004 - of one unit in the next
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def day(seconds: float) -> str:
    """A date."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Aligned columns. The last cell of a row with fewer cells may take the room of the rest."""
    widths = [
        max(len(row[at]) for row in rows if at < len(row) - 1 or len(row) == len(_HEADS))
        for at in range(len(_HEADS))
    ]
    for row in rows:
        cells = [
            cell.rjust(width) if head in _NUMBERS else cell.ljust(width)
            for head, cell, width in zip(_HEADS, row, widths, strict=False)
        ]
        if len(row) < len(_HEADS):
            room = sum(widths[len(row) - 1 :]) + 2 * (len(_HEADS) - len(row))
            cells[-1] = _shortened(row[-1], room)
        yield f"  {'  '.join(cells)}".rstrip()


def _finding(finding: Finding, width: int) -> Iterator[str]:
    sign = "-" if finding.note else "!"
    who = f"{finding.member}: " if finding.member else ""
    yield from textwrap.wrap(
        f"{sign} {who}{finding.what}",
        width,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from (f"      {line}" for line in finding.lines)


def _edits(report: Report) -> Iterator[str]:
    """The lines of the inventory that cure what a number cures."""
    lines = [*edits(report)]
    if lines:
        yield ""
        yield "To put this right, say so in the inventory and run `pulumi up`:"
        yield ""
        yield from (f"    {line}" for line in lines)
    elif any(one.remedy is Remedy.UP for one in report.findings):
        yield ""
        yield "Run `pulumi up`."


def edits(report: Report) -> Iterator[str]:
    """One line for each host that needs a raised number."""
    for row in report.rows:
        if row.declared is None:
            continue
        wanted = {one.remedy for one in report.findings if one.member == row.name}
        raised = []
        # Whoever takes a seat anew gets every file anew as well.
        if Remedy.RESEAT in wanted:
            # A machine that was wiped has forgotten which number was used.
            used = max(
                row.facts.rejoin if row.facts else 0,
                row.declared.files.rejoin if row.declared.files else 0,
            )
            raised.append(f"etcd_reseat: {used + 1}")
        elif Remedy.REPAIR in wanted and row.declared.files:
            raised.append(f"etcd_repair: {row.declared.files.repair + 1}")
        for number in raised:
            seq = row.name.rpartition("-")[2]
            address = row.declared.address
            host = f'"{address}"' if ":" in address else address
            yield f"{host}: {{ etcd_seq: {seq}, {number} }}"


def as_json(stack: str, reports: Sequence[Report]) -> dict[str, Any]:
    """The same for programs; its keys are documented and stay."""
    return {
        "stack": stack,
        "exit": max(int(one.exit) for one in reports),
        "clusters": [_cluster_json(one) for one in reports],
    }


def _cluster_json(report: Report) -> dict[str, Any]:
    return {
        "cluster": report.cluster.name,
        "verdict": verdict(report),
        "exit": int(report.exit),
        "serving": report.serving,
        "voters": report.voters,
        "voters_well": report.well,
        "quorum": report.quorum,
        "may_be_lost": report.may_be_lost,
        "cluster_version": report.cluster_version,
        "leader": report.leader,
        "alarms": list(report.alarms),
        "members": [_member_json(report, row) for row in report.rows],
        "findings": [
            {
                "key": one.key,
                "member": one.member,
                "what": one.what,
                "lines": list(one.lines),
                "remedy": one.remedy.value,
                "note": one.note,
            }
            for one in report.findings
        ],
        "edits": list(edits(report)),
    }


def _member_json(report: Report, row: Row) -> dict[str, Any]:
    answer = row.answer
    silent = bool(answer.error)
    return {
        "instance": row.name,
        "address": row.address,
        "id": str((row.listed.id if row.listed else answer.id) or ""),
        "declared": row.declared is not None,
        "listed": row.listed is not None,
        "looked_at": row.facts is not None,
        "role": row.role,
        "well": row.well,
        "health": row.health,
        "version": answer.version,
        "raft_index": None if silent else answer.index,
        "raft_applied": None if silent else answer.applied,
        "lag": row.lag,
        "db_size": None if silent else answer.size,
        "db_in_use": None if silent else answer.in_use,
        "quota": None if silent else answer.quota,
        "certificate_ends": (
            datetime.fromtimestamp(answer.expires, UTC).isoformat() if answer.expires else None
        ),
        "differs": sorted(
            {one.key for one in report.findings if one.member == row.name and not one.note}
        ),
    }
