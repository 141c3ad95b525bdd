"""The start: which of the two programs this is."""

import io
import sys
from pathlib import Path


def main() -> int:
    """Run the program that this file is called as; its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    from etcd_component.agent import frame

    if Path(sys.argv[0]).name.startswith("etcd-monitor"):
        from etcd_component.agent.monitor import commands as monitor

        return frame.main(monitor.MONITOR, sys.argv[1:])
    from etcd_component.agent import commands as node

    return frame.main(node.NODE, sys.argv[1:])
