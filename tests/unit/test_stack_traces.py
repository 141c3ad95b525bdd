"""Python's stack at the making of a resource is not registered, and errors show it whole."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks
from pulumi.runtime.proto import resource_pb2

from etcd_component.stack_traces import left_out_of_the_state
from tests.unit.recording import Echo

ROOT = Path(__file__).parents[2]

_FAILS = """
from etcd_component.stack_traces import left_out_of_the_state

def inner():
    raise ValueError("deep down")

def outer():
    with left_out_of_the_state():
        inner()

outer()
"""


class _Monitor(mocks.MockMonitor):
    def __init__(self) -> None:
        super().__init__(Echo())
        self.frames: dict[str, int] = {}

    def RegisterResource(  # noqa: N802 - the engine's name
        self, request: resource_pb2.RegisterResourceRequest
    ) -> Any:
        self.frames[request.name] = len(request.stackTrace.frames)
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


class _Component(pulumi.ComponentResource):
    def __init__(self, name: str) -> None:
        super().__init__("etcd:index:Test", name)
        pulumi.Stash(f"{name}-child", input="kept", opts=pulumi.ResourceOptions(parent=self))


def test_what_is_made_within_is_registered_without_frames_and_all_else_with_them() -> None:
    monitor = _Monitor()
    mocks.set_mocks(Echo(), project="etcd", stack="test", monitor=monitor)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> None:
        with left_out_of_the_state():
            _Component("within")
        _Component("after")

    run()
    within = {name: count for name, count in monitor.frames.items() if "within" in name}
    assert within == {"within": 0, "within-child": 0}
    assert monitor.frames["after"] > 0 < monitor.frames["after-child"]


def test_the_limit_is_what_it_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys, "tracebacklimit", raising=False)
    with left_out_of_the_state():
        pass
    assert not hasattr(sys, "tracebacklimit")

    monkeypatch.setattr(sys, "tracebacklimit", 7, raising=False)
    with pytest.raises(ValueError, match="deep"), left_out_of_the_state():
        raise ValueError("deep")
    assert sys.tracebacklimit == 7


def test_an_error_within_is_printed_with_its_whole_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FAILS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    for line in ("in <module>", "in outer", "in inner", "ValueError: deep down"):
        assert line in done.stderr
