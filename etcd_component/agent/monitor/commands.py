"""The commands of `etcd-monitor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import systemd
from etcd_component.agent.frame import Command, Program
from etcd_component.agent.monitor.places import RUN, STORE

if TYPE_CHECKING:
    from etcd_component.agent.frame import Run

_LIMIT = 180
_LOCKS = ("monitor",)
_PLACE = "listen port alerts-port data"

COMMANDS = {
    "targets": Command(
        "monitor.targets",
        "every target, and whether it is scraped",
        for_people=True,
        limit=0,
        claimed=False,
    ),
    "preflight": Command(
        "monitor.preflight",
        "can this machine be the monitor? changes nothing",
        _PLACE,
        for_people=True,
        limit=_LIMIT,
        locks=(),
        claimed=False,
    ),
    "uninstall": Command(
        "monitor.uninstall",
        "take what etcd-monitor put here off the machine, the package excepted",
        "remove-data yes",
        for_people=True,
        limit=_LIMIT,
        locks=_LOCKS,
        removes=True,
    ),
    "claim": Command(
        "monitor.claim",
        "preflight, and if it succeeds, install this program and claim the machine",
        _PLACE,
        limit=_LIMIT,
        locks=_LOCKS,
        claimed=False,
    ),
    "software": Command(
        "monitor.software",
        "install VictoriaMetrics and vmalert from the package",
        limit=900,
        locks=("software",),
    ),
    "files": Command(
        "monitor.content",
        "have just these files of one kind (stdin): config, dashboards or secrets",
        "kind data",
        limit=_LIMIT,
        locks=_LOCKS,
    ),
    "serve": Command(
        "monitor.serve",
        "start or reload what runs with other files, and report targets that fail",
        "of after",
        limit=_LIMIT,
        locks=_LOCKS,
    ),
}


def _last_words(_: Run) -> str:
    return systemd.journal_tail(STORE)


MONITOR = Program(
    "etcd-monitor",
    RUN,
    "What a Linux machine does to watch etcd clusters with VictoriaMetrics and vmalert. Every"
    " command may\nbe run again after a half-done run.",
    COMMANDS,
    "owner",
    "monitor.claim:authorize",
    _last_words,
    "\nWho types `uninstall` confirms with --yes. Without it, it says what is here, and removes"
    " nothing.",
)
