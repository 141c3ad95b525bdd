"""The start: which of the two programs this is, and whether this Python can run it."""

import sys


def main() -> int:
    """Run the program that this file is called as; its exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    from pathlib import Path

    from etcd_component.agent.frame import main as run

    if Path(sys.argv[0]).name.startswith("etcd-monitor"):
        from etcd_component.agent.monitor.commands import MONITOR as program
    else:
        from etcd_component.agent.commands import NODE as program
    return run(program, sys.argv[1:])
