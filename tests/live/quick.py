"""What each of hundreds of runs would do again for the same answer, done once.

The language host of a built engine asks pip what is installed, at half a second of processor time
a run. An official one does not.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ASKED = ["list", "-v", "--format", "json"]

_PIP = f"""\
import pathlib, runpy, sys
if sys.argv[1:] == {_ASKED}:
    print(pathlib.Path(__file__).with_name("list.json").read_text())
else:
    sys.path.remove(str(pathlib.Path(__file__).parents[1]))
    del sys.modules["pip"]
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def pip(place: Path) -> Path:
    """Write a package that answers this one question as pip does; return what PYTHONPATH takes."""
    package = place / "pip"
    package.mkdir(parents=True)
    asked = [sys.executable, "-m", "pip", *_ASKED]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    (package / "list.json").write_text(answer)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(_PIP)
    return place
