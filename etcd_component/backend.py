"""What Pulumi tells of a stack, for the command line."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

_SECONDS = 120
"""For Pulumi to answer: a backend may be far away."""


class NoAnswer(Exception):  # noqa: N818 - what happened
    """Pulumi does not say; a sentence with the reason, and the cure where there is one."""


def ask(
    stack: str,
    what: str,
    *words: str,
    secrets: bool = True,
    seconds: float = _SECONDS,
    environment: Mapping[str, str] | None = None,
) -> str:
    """What `pulumi stack` with these words prints of a stack, by default with secrets in the clear.

    `what` names it for a message, `environment` stands in for that of this process. `pulumi` must
    be on PATH, and the current directory the project's. Raises NoAnswer.
    """
    shown = ["--show-secrets"] if secrets else []
    return _pulumi(stack, what, ["stack", *words, *shown], seconds, environment)


def configuration(stack: str) -> Mapping[str, str]:
    """The values of a stack's configuration as they are set, secrets in the clear; objects as JSON.

    Raises NoAnswer.
    """
    words = ["config", "--json", "--show-secrets"]
    found = json.loads(_pulumi(stack, "configuration", words, _SECONDS, None))
    return {key: one.get("value", "") for key, one in found.items()}


def put(stack: str, state: str) -> None:
    """Make that export the stack's state; secrets in it may be in the clear. Raises NoAnswer."""
    _pulumi(stack, "state", ["stack", "import"], _SECONDS, None, stdin=state)


def _pulumi(
    stack: str,
    what: str,
    words: Sequence[str],
    seconds: float,
    environment: Mapping[str, str] | None,
    stdin: str = "",
) -> str:
    command = ["pulumi", *words, "--stack", stack]
    try:
        done = subprocess.run(
            [*command, "--non-interactive"],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            env=environment,
        )
    except FileNotFoundError:
        raise NoAnswer('there is no `pulumi` on PATH; type: eval "$(make -s env)"') from None
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"the stack's backend gives no {what} within {seconds:g} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("error: ") or "it gives no reason"
        raise NoAnswer(f"Pulumi does not give the {what} of the stack {stack}: {said}")
    return done.stdout


def outputs(stack: str) -> Mapping[str, Any]:
    """The outputs of a stack, secrets in the clear. Raises NoAnswer."""
    found: Mapping[str, Any] = json.loads(ask(stack, "outputs", "output", "--json"))
    return found
