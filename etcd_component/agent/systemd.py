"""Units, by way of systemctl and journalctl."""

from __future__ import annotations

from dataclasses import dataclass

from etcd_component.agent.output import refuse
from etcd_component.agent.process import run

_PROPERTIES = (
    "ActiveState",
    "SubState",
    "NRestarts",
    "Job",
    "MainPID",
    "NeedDaemonReload",
    "DropInPaths",
    "ActiveEnterTimestamp",
    "UnitFileState",
)


@dataclass(frozen=True)
class UnitState:
    """What systemd says of a unit now."""

    active: str
    """active, activating, inactive, failed ...; empty where systemd says nothing."""
    sub: str
    restarts: int
    """How often systemd has restarted it by itself."""
    has_job: bool
    """Whether a change of its state is queued or on its way."""
    main_pid: int
    needs_reload: bool
    drop_ins: tuple[str, ...]
    since: str
    enabled: bool

    @property
    def is_active(self) -> bool:
        """Whether it runs and said that it is ready."""
        return self.active == "active"

    @property
    def is_starting(self) -> bool:
        """Whether its process runs and is not ready yet."""
        return self.active == "activating" and self.sub.startswith("start")


def show(unit: str) -> UnitState:
    """Look at a unit; one that does not exist is inactive."""
    done = run("systemctl", "show", *(f"-p{name}" for name in _PROPERTIES), unit)
    found = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)

    def text(name: str) -> str:
        return str(found.get(name, ""))

    return UnitState(
        text("ActiveState"),
        text("SubState"),
        _number(text("NRestarts")),
        text("Job") not in {"", "0"},
        _number(text("MainPID")),
        text("NeedDaemonReload") == "yes",
        tuple(text("DropInPaths").split()),
        text("ActiveEnterTimestamp"),
        text("UnitFileState") == "enabled",
    )


def is_active(unit: str) -> bool:
    """Whether it runs and said that it is ready. Raises Refusal where systemd says nothing."""
    return known(unit).is_active


def known(unit: str) -> UnitState:
    """Look at a unit. Raises Refusal where systemd says nothing: it may well run."""
    state = show(unit)
    if not state.active:
        refuse(
            f"systemd does not say whether {unit} runs; look at `systemctl status {unit}` and run"
            " this again"
        )
    return state


def systemctl(*words: str) -> bool:
    """Whether `systemctl WORDS` succeeded."""
    return run("systemctl", *words).ok


def require(*words: str) -> None:
    """Have `systemctl WORDS` succeed. Raises Refusal."""
    if not systemctl(*words):
        command = " ".join(("systemctl", *words))
        refuse(f"`{command}` failed. Run it to see why, mend that and run this again")


def enable(unit: str) -> None:
    """Have it start at boot. systemd reads all units again, so only where it must be.

    Raises Refusal.
    """
    if not show(unit).enabled:
        require("enable", "-q", unit)


def restart_without_waiting(unit: str) -> None:
    """Restart it; `await_member` waits. Raises Refusal."""
    require("restart", "--no-block", unit)


def journal(unit: str, lines: int, *, this_boot: bool = False) -> str:
    """The last lines of its journal, messages only."""
    boot = ["-b"] if this_boot else []
    return run("journalctl", "-u", unit, *boot, f"-n{lines}", "-o", "cat", "-a", "--no-pager").out


def journal_tail(unit: str) -> str:
    """Its last words, for a person: at most 15 lines of 400 characters."""
    lines = journal(unit, 15).splitlines()[-15:]
    return "\n".join(
        [f"the end of `journalctl -u {unit}`:", *(f"  {line[:400]}" for line in lines)]
    )


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
