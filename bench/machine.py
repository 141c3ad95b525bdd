"""The machine that is measured on, and the versions that run: without them figures say nothing."""

import os
import platform
import subprocess
from pathlib import Path


def facts(etcd_version: str) -> dict[str, str]:
    """Names and values, in the order in which they are printed."""
    one, five, _ = os.getloadavg()
    return {
        "machine": f"{os.cpu_count()} cores ({_processor()}), {_memory_gib():.0f} GiB",
        "kernel": platform.release(),
        "load": f"{one:.1f} (1 min), {five:.1f} (5 min) before",
        "pulumi": _first_line("pulumi", "version"),
        "python": platform.python_version(),
        "etcd": etcd_version,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or ["unknown"])[0]
