"""YAML files that people write, read strictly: what would be lost silently is a mistake."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

from etcd_component.inventory import yamltree
from etcd_component.inventory.values import kind
from etcd_component.mistake import InvalidInventory, Mistake

MAX_BYTES: Final = 64 * 1024**2
"""A file of this size is no inventory, and reading it would take hours."""


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; an empty file is an empty mapping.

    Keys are text, and values are read as `yamltree` says: values with a foreign tag (`!vault`)
    become Foreign. Raises InvalidInventory for a file that cannot be read, is no YAML or no
    mapping, and for every key that stands twice, with its line.
    """
    content = _text(path)
    reader = yamltree.Reader()
    try:
        node = yamltree.compose(content)
        found = {} if node is None else reader.value(node)
    except yamltree.Unreadable as reason:
        raise _invalid(path, reason.problem, reason.cure, reason.line) from None
    except yaml.YAMLError as error:
        raise _other_format(path, content) or _not_yaml(path, content, error) from None
    if found is None:
        found = {}
    if not isinstance(found, dict):
        cure = "write groups with hosts, as in Pigsty"
        raise _other_format(path, content) or _invalid(
            path, f"it is not a YAML mapping but {kind(found)}", cure
        )
    if reader.twice:
        raise InvalidInventory(
            Mistake(f"{path}, line {line}", f"the key {key!r} stands here again", "keep one")
            for key, line in reader.twice
        )
    return found


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        cure = "name a file in it, such as pigsty.yml"
        raise _invalid(path, "it is a directory", cure) from None
    except OSError as error:
        raise _invalid(path, f"it cannot be read ({error.strerror})", "correct the path") from None
    except ValueError:
        raise _invalid(path, "it is no path", "correct the path") from None
    if len(content) > MAX_BYTES:
        raise _invalid(path, f"it has more than {MAX_BYTES // 1024**2} MiB", "name an inventory")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _invalid(path, "it is not text in UTF-8", "save it as UTF-8", line) from None


def _other_format(path: Path, content: str) -> InvalidInventory | None:
    """What is said of a file that Ansible reads and this does not."""
    if content.startswith("$ANSIBLE_VAULT;"):
        cure = "decrypt it, and keep its secrets in the stack: `pulumi config set --secret`"
        return _invalid(path, "ansible-vault has encrypted it", cure)
    lines = (line.strip() for line in content.splitlines())
    first = next((line for line in lines if line and line[0] not in "#;"), "")
    if re.fullmatch(r"\[[^][,]+\]|\S+(\s+\w+=\S+)+", first):
        cure = f"convert it: ansible-inventory -i {path} --list --yaml"
        return _invalid(path, "it is an inventory in INI, and not in YAML", cure)
    return None


def _not_yaml(path: Path, content: str, error: yaml.YAMLError) -> InvalidInventory:
    position = getattr(error, "position", None)
    if position is not None:
        line = content.count("\n", 0, position) + 1
        problem = f"it has the character {content[position]!r}, which is not allowed in YAML"
        return _invalid(path, problem, "take it out", line)
    mark = getattr(error, "problem_mark", None)
    at: int | None = None if mark is None else mark.line + 1
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    cure = "correct the line"
    if "duplicate anchor" in (getattr(error, "context", None) or ""):
        return _invalid(path, "an anchor has a name again", "give each anchor its own", at)
    if "another document" in problem:
        problem, cure = "a second document begins", "keep one document, without a second ---"
        return _invalid(path, problem, cure, at)
    if "'\\t'" in problem:
        cure = "indent with spaces instead of tabs"
    return _invalid(path, f"it is not YAML: {problem}", cure, at)


def _invalid(path: Path, problem: str, cure: str, line: int | None = None) -> InvalidInventory:
    place = str(path) if line is None else f"{path}, line {line}"
    return InvalidInventory([Mistake(place, problem, cure)])
