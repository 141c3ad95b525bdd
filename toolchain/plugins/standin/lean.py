"""Import the SDK's generated gRPC code without starting the whole SDK."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_PACKAGES = ("pulumi", "pulumi.runtime", "pulumi.runtime.proto")


def skip_sdk_start() -> None:
    """Make `pulumi.runtime.proto.*` importable without running `pulumi/__init__.py`.

    A plugin needs four generated modules of the SDK, while the package's own start loads all of it:
    that costs each plugin of each run about 0.4 s of processor time. For a plugin process only: a
    process that uses the SDK as well must not call this.

    Raises:
        ModuleNotFoundError: the SDK is not installed for this Python.
    """
    spec = importlib.util.find_spec("pulumi")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the Pulumi SDK is not installed for this Python: run `uv sync`")
    folder = Path(spec.origin).parent
    for name in _PACKAGES:
        module = ModuleType(name)
        module.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = module
