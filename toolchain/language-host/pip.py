"""Answers `python -m pip list -v --format json`, the language host's question, as pip does.

Source of what is asked: `sdk/python/toolchain/pip.go` of Pulumi's SDK.
"""

import json
import sys
from importlib.metadata import distributions

if sys.argv[1:2] != ["list"]:
    sys.exit(f"this stands in for pip where Pulumi asks what is installed, not for: {sys.argv[1:]}")
found = [
    {"name": one.name, "version": one.version, "location": str(one.locate_file(""))}
    for one in distributions()
]
sys.stdout.write(json.dumps(found))
