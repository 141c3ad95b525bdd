"""The README as a person follows it: its marked blocks, in order, in one shell.

The pages of `docs/operations` come after it, in the order in which its table links them.
`<!-- run -->` stands before a console block that is typed, `<!-- file PATH -->` before the content
of a file that is written, `<!-- edit PATH -->` before lines that are added to `vars`. Lines of a
console block without a `$` are what the person sees; `...` stands for lines left out.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"<!-- (run|file|edit) ?(\S*) -->\n```\w+\n(.*?)```", re.DOTALL)
_TASK = re.compile(r"^\|.*\]\((docs/operations/[\w-]+\.md)[#)]", re.MULTILINE)
_MARK = "@@@ "
_VARIES = re.compile(r"\d+(\.\d+)?(ms|µs|s)\b|\d+(?= (to )?(create|update|delete)d?$)")
"""Durations, and how many resources there are."""


@dataclass(frozen=True)
class Step:
    """Something that is typed, and what is promised to be seen."""

    command: str
    promised: tuple[str, ...] = ()


def operations(root: Path) -> list[Path]:
    """The pages of day-2 tasks, in the order of the README's table; each once."""
    readme = (root / "README.md").read_text()
    return [root / name for name in dict.fromkeys(_TASK.findall(readme))]


def pages(root: Path) -> str:
    """The README and all pages of operations, in the order in which a person follows them."""
    return "\n".join(page.read_text() for page in [root / "README.md", *operations(root)])


def steps(text: str) -> list[Step]:
    """Everything a person does who follows the text."""
    found: list[Step] = []
    for what, path, content in _BLOCK.findall(text):
        if what == "run":
            found += _typed(content)
        elif what == "file":
            found.append(Step(f"printf %s {shlex.quote(content)} > {path}"))
        else:
            line = content.rstrip("\n").replace("\n", "\\n")
            found.append(Step(f"sed -i 's|^ *etcd_cluster: .*|&\\n{line}|' {path}"))
    return found


def _typed(content: str) -> list[Step]:
    chunks = re.split(r"^\$ ", content, flags=re.MULTILINE)
    assert not chunks[0].strip(), "a console block begins with what is typed"
    typed = []
    for chunk in chunks[1:]:
        command, *seen = chunk.rstrip("\n").split("\n")
        typed.append(Step(command, tuple(line for line in seen if line.strip() != "...")))
    return typed


def script(todo: list[Step]) -> str:
    """One shell that does all of it and ends at the first failure."""
    lines = [
        f"echo '{_MARK}'{number}\n{step.command} || exit {number + 1}"
        for number, step in enumerate(todo)
    ]
    return "\n".join(lines) + "\n"


def broken_promises(todo: list[Step], printed: str) -> list[str]:
    """Promised lines that were not seen, each with its command."""
    missing = []
    for chunk in printed.split(_MARK)[1:]:
        number, _, text = chunk.partition("\n")
        seen = {_masked(line) for line in text.splitlines()}
        step = todo[int(number)]
        missing += [
            f"$ {step.command}\n{line}" for line in step.promised if _masked(line) not in seen
        ]
    return missing


def _masked(line: str) -> str:
    return _VARIES.sub("N", " ".join(line.split()))
