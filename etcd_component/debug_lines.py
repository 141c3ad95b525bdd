"""The SDK's own debug lines, which it sends the engine one by one, some five for each resource."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

_ASKED = ("-d", "--debug", "-v", "--verbose", "--logflow")
_ASKED_BY = ("PULUMI_OPTION_DEBUG", "PULUMI_OPTION_VERBOSE", "PULUMI_OPTION_LOGFLOW")


def leave_out_unless_asked(words: Sequence[str], environment: Mapping[str, str]) -> None:
    """Send none where nobody would see them: it waits for each, a tenth of a run without changes.

    `words` are the command line of `pulumi`. The SDK has no option for it. Source: `debug` in
    `pulumi/log.py`, which does not ask what the engine shows.
    """
    asked = any(word.startswith(_ASKED) for word in words) or any(map(environment.get, _ASKED_BY))
    if not asked:
        pulumi.log.debug = _say_nothing


def _say_nothing(*_: Any, **__: Any) -> None:
    pass
