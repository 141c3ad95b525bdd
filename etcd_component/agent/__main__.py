"""The start: which of the two programs this is."""

import io
import os
import sys


def main() -> int:
    """Run the program that this file is called as; its exit status."""
    if sys.argv[1:3] == ["answer", "--cluster"] and len(sys.argv) == 4:  # noqa: PLR2004
        # One process for each scrape: the frame would make it seven times as slow.
        from etcd_component.agent import answer

        answer.serve(sys.argv[3])
        return 0
    # Each may be closed; what is opened then must not get its number.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    from pathlib import Path

    from etcd_component.agent import frame

    if Path(sys.argv[0]).name.startswith("etcd-monitor"):
        from etcd_component.agent.monitor import commands as monitor

        return frame.main(monitor.MONITOR, sys.argv[1:])
    from etcd_component.agent import commands as node

    return frame.main(node.NODE, sys.argv[1:])
