"""Makes the stand-in plugins importable: they are installed as copies, not as a package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "toolchain" / "plugins"))
