"""How a program ends: it waits for all that it has registered."""

import asyncio
from collections.abc import Sequence

import pulumi


def wait_for(last: Sequence[pulumi.Resource]) -> None:
    """Have the program wait for these, which depend on all others, before the SDK waits.

    The SDK waits for the next one of all outputs, and then looks at all of them again: thirty nodes
    have nine thousand, and a fifth of the whole run's processor time went into that. What fails is
    left to it. Source: `wait_for_rpcs` in `pulumi/runtime/stack.py`.
    """

    async def wait() -> None:
        known = [asyncio.ensure_future(one.urn.future()) for one in last]
        if known:
            await asyncio.wait(known, return_when=asyncio.FIRST_EXCEPTION)

    pulumi.run(wait)
