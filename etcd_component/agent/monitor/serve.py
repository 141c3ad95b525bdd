"""`etcd-monitor serve`: start or reload what runs, and say what is not scraped."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from etcd_component.agent import files, process, systemd
from etcd_component.agent.monitor import client, targets
from etcd_component.agent.monitor.package import PROGRAMS
from etcd_component.agent.monitor.places import (
    ALERTS,
    CONFIGURATION,
    RUN,
    STORE,
    recorded,
    unit_file,
)
from etcd_component.agent.output import complain, doing, refuse, say, warn
from etcd_component.agent.waits import attempts

if TYPE_CHECKING:
    from etcd_component.agent.frame import Run

_RULES = CONFIGURATION / "rules"
_SCRAPED = CONFIGURATION / "scrape.yml"
_RESTARTS = 3
_LINES, _LINE, _JOURNAL = 5, 600, 300
_MEND = "Mend what the lines above show and run `pulumi up` again"


def run(run: Run) -> None:
    """A member that is away is said and is no fault: that is what the monitor is for."""
    RUN.mkdir(exist_ok=True)
    _check_files()
    _renew(STORE, _SCRAPED)
    _await(STORE, f"{recorded(targets.URL)}/health", run.waits.start)
    _renew(ALERTS, _RULES)
    _await(ALERTS, f"http://{_alerts_address()}/health", run.waits.start)
    _await_targets(run.waits.scrape)


def _check_files() -> None:
    """A program that runs goes on with what it has read before, and says nothing."""
    store, alerts = map(str, PROGRAMS)
    for what, argv in {
        "scrape.yml": (store, f"-promscrape.config={_SCRAPED}", "-promscrape.config.dryRun"),
        "the rules": (alerts, "-dryRun", f"-rule={_RULES}/*.yml"),
    }.items():
        done = process.run(*argv)
        if not done.ok:
            complain(complaints(f"{done.out}\n{done.err}"))
            refuse(f"{what} cannot be read, and what ran before goes on as it was. {_MEND}")


def complaints(text: str) -> str:
    """The lines of both programs that tell; many lines of their source follow where they fail."""
    found = [one for one in text.splitlines() if re.search(r"\s(error|panic|fatal)\s", one)]
    return "\n".join(f"  {one[:_LINE]}" for one in found[-_LINES:])


def _renew(unit: str, read_when_told: Path) -> None:
    """Restart what was started with another unit, reload what was started with other files.

    Targets and certificates are read again by themselves. A stamp is written last, so nothing is
    forgotten when this is killed.
    """
    path = RUN / f"{unit}.started"
    now = [files.sha256_of(unit_file(unit)), _fingerprint(read_when_told)]
    last = files.read_text(path).split()
    systemd.enable(unit)
    doing(f"starting {unit}")
    if last[:1] != now[:1] or not systemd.is_active(unit):
        if not systemd.systemctl("restart", unit):
            _break_off(unit, "it does not start")
    elif last != now:
        systemd.require("reload", unit)
    files.atomic_write(path, " ".join(now) + "\n")


def _fingerprint(path: Path) -> str:
    """Of a file, or of all files below a directory."""
    found = sorted(files.walk(path)) if path.is_dir() else [path]
    named = "".join(f"{files.sha256_of(one)} {one}\n" for one in found)
    return hashlib.sha256(named.encode()).hexdigest()


def _alerts_address() -> str:
    """Where vmalert listens, as its unit says."""
    found = re.search(r"-httpListenAddr=(\S+)", files.read_text(unit_file(ALERTS)))
    return found[1] if found else ""


def _await(unit: str, url: str, seconds: float) -> None:
    """Until it serves. Raises Refusal where it does not."""
    doing(f"waiting for {unit}")
    before = systemd.show(unit).restarts
    for more in attempts(seconds, 0.1):
        if client.answers(url):
            return
        if systemd.show(unit).restarts >= before + _RESTARTS:
            _break_off(unit, "it fails and is started again and again")
        if not more:
            _break_off(unit, f"it does not answer at {url}")


def _break_off(unit: str, problem: str) -> NoReturn:
    complain(f"of `journalctl -u {unit}`:")
    complain(complaints(systemd.journal(unit, _JOURNAL)))
    files.remove(RUN / f"{unit}.started")
    refuse(f"{unit}: {problem}. {_MEND}")


def _await_targets(seconds: float) -> None:
    """Until what is scraped is what the files say, each once at least; then say what fails."""
    doing("waiting for the targets to be scraped")
    wanted, found = targets.wanted(), []
    for more in attempts(seconds):
        try:
            found = targets.parse(targets.asked())
        except client.NoAnswer:
            found = []
        if [one.address for one in found] == wanted and all(one.tried for one in found):
            break
        if not more:
            _break_off(
                STORE, f"after a minute it does not scrape what {CONFIGURATION}/targets says"
            )
    down = [one for one in found if not one.is_up]
    if not down:
        say(f"all {len(wanted)} targets are scraped")
        return
    warn(f"{len(down)} of {len(wanted)} targets are not scraped:")
    for one in down:
        say(f"  - {one.address}: {one.error}"[:400])
