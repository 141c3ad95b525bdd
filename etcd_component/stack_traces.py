"""Where the program made a resource is not for its state: some twenty frames each."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_out_of_the_state() -> Iterator[None]:
    """Have resources that are made within registered without the stack of Python's calls.

    The SDK has no option for it. It uses `traceback.extract_stack`, which honours this limit: with
    one frame it finds no user's code (with none it fails). An exception is printed whole, since
    the limit is gone before anyone can catch it outside. Source: `_get_stack_trace` in
    `pulumi/runtime/resource.py`.
    """
    missing = object()
    before = getattr(sys, "tracebacklimit", missing)
    sys.tracebacklimit = 1
    try:
        yield
    finally:
        if before is missing:
            del sys.tracebacklimit
        else:
            sys.tracebacklimit = before  # type: ignore[assignment]
