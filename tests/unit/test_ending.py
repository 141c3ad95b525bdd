"""The program waits for what it registered without looking at each output again and again."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, settings, stack

from etcd_component.ending import wait_for
from tests.unit.recording import Echo

LENGTH = 30


class _Component(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("etcd:index:Test", name, opts=opts)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Runs a program to its end, as Pulumi's executor does."""

    async def nothing() -> None:
        pass

    # The mocks do not shut down.
    monkeypatch.setattr(stack, "_wait_for_shutdown", nothing)

    async def whole(program: Callable[[], None]) -> None:
        mocks.set_mocks(Echo(), project="etcd", stack="test")
        # They make a stack, too, and an executor makes its own.
        settings.ROOT.set(None)
        await pulumi.runtime.run_in_stack(program)

    def to_the_end(program: Callable[[], None]) -> None:
        # `asyncio.run` would leave other tests without the loop that they find.
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(asyncio.wait_for(whole(program), 60))

    return to_the_end


def steps() -> tuple[list[pulumi.Output[Any]], pulumi.Resource]:
    """Outputs that are known one after another, and what is made when the last one is."""

    async def later(value: Any) -> Any:
        await asyncio.sleep(0.001)
        return value

    known = pulumi.Output.from_input("known")
    made = []
    for _ in range(LENGTH):
        known = known.apply(later)
        made.append(known.apply(str))
    none: pulumi.Output[list[pulumi.Resource]] = known.apply(lambda _: [])
    return made, _Component("last", pulumi.ResourceOptions(depends_on=none))


@pytest.mark.parametrize("waits", [True, False])
def test_all_is_known_before_the_sdk_looks_at_each_output_again_and_again(
    run: Callable[[Callable[[], None]], None], monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    unknown: list[int] = []
    original = stack.wait_for_rpcs

    async def counted() -> None:
        unknown.append(len(settings.SETTINGS.outputs))
        await original()

    monkeypatch.setattr(stack, "wait_for_rpcs", counted)

    def program() -> None:
        _, last = steps()
        if waits:
            wait_for([last])

    run(program)
    assert (unknown[0] < LENGTH) == waits


def test_what_fails_is_told_as_before(run: Callable[[Callable[[], None]], None]) -> None:
    def refuse(_: str) -> str:
        raise pulumi.RunError("no proof")

    def program() -> None:
        (first, *_), last = steps()
        first.apply(refuse)
        wait_for([last])

    with pytest.raises(pulumi.RunError, match="no proof"):
        run(program)
