"""Sentences about one or several: `etcd-1 restarts`, `etcd-1 and etcd-2 restart`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_LONGEST = 60
"""Of a value that is shown; of a longer one only the name is."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """What is said of an instance, and of several."""

    one: str
    many: str


def phrase(template: str, detail: str = "") -> Phrase:
    """A phrase in which `<s>`, `<is>` and `<its>` agree with who it is about.

    `detail` follows, as it is.
    """
    return Phrase(
        _filled(template, "s", "is", "its") + detail, _filled(template, "", "are", "their") + detail
    )


def _filled(template: str, s: str, verb: str, whose: str) -> str:
    return template.replace("<s>", s).replace("<is>", verb).replace("<its>", whose)


def said(names: Sequence[str], phrases: Iterable[Phrase]) -> str:
    """These names, and all that is said of them."""
    return f"{listed(names)} {listed([one.many if names[1:] else one.one for one in phrases])}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if words[1:] else "".join(words)


def shown(value: Any) -> str:
    """A value of a configuration in few words; empty where it is too long for that."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return shown(",".join(map(str, value)))
    text = "" if isinstance(value, dict) else str(value)
    return text if len(text) <= _LONGEST and text.isprintable() else ""
