"""Whether there is something at a path that a person named."""

import os
from pathlib import Path


def exists(path: Path) -> bool:
    """Whether something is there; False also where nobody may look, or for too long a name."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises OSError for these two


def is_file(path: Path) -> bool:
    """Whether a file is there; False also where nobody may look, or for too long a name."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises OSError for these two
