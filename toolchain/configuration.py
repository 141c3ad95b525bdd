"""Whether a stack's configuration is short enough for the program to start.

The engine hands all values to the program as JSON in one environment variable, and Linux starts no
program with a string above 128 KiB (`MAX_ARG_STRLEN` in linux/binfmts.h).
"""

import json
import sys
from collections.abc import Mapping
from typing import Final

from etcd_component import backend

LONGEST: Final = 128 * 1024
"""Bytes of a string, its NUL at the end included; 32 pages of 4 KiB, the smallest ones."""


def length(values: Mapping[str, str]) -> int:
    """Bytes of the string that the engine makes of the values of a configuration."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    # Go writes these as `\u003c`.
    escaped = sum(text.count(one) for one in "<>&")
    return len(f"PULUMI_CONFIG={text}".encode()) + 1 + 5 * escaped


def main() -> int:
    """Return 1, and say what to do, if the configuration of the stack named is too long."""
    (stack,) = sys.argv[1:]
    try:
        found = length(backend.configuration(stack))
    except backend.NoAnswer:
        return 0  # Pulumi says why when it runs.
    if found <= LONGEST:
        return 0
    print(
        f"The configuration of stack {stack} has {found // 1024} KiB as Pulumi passes it on, and"
        f" Linux takes {LONGEST // 1024} KiB. Move etcd:inventory into a file, and set"
        " etcd:inventoryFile to its path.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
