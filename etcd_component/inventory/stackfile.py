"""The stack's file, from which numbers are taken as a person wrote them.

Pulumi's YAML reader makes 8 of `010`, 16 of `0x10`, 1000 of `1e3` and 3.1 of `3.10`, and hands only
the result to the program. An inventory file is read strictly, so the same line would mean something
else in the two places. Both follow one rule: such a value is the text that was written, and what
takes a number refuses it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from etcd_component.inventory import yamltree
from etcd_component.inventory.site import NAMESPACE, GetSetting

FOLDER: Final = "stacks"
"""`stackConfigDir` of Pulumi.yaml."""


def as_written(get: GetSetting, stack: str, project: Path) -> GetSetting:
    """What answers as `get` does, with numbers that are not written plainly as their text.

    `stack` is its name, which may have an organisation before it, `project` the project's
    directory. Where the stack's file is missing or unreadable, which is the engine's to say,
    answers stay as they are.
    """
    name = stack.rpartition("/")[2]
    settings = _settings(project / FOLDER / f"Pulumi.{name}.yaml")

    def get_as_written(key: str) -> Any | None:
        value, node = get(key), settings.get(key)
        return value if node is None else _as_written(value, node)

    return get_as_written


def _settings(file: Path) -> Mapping[str, yaml.Node]:
    """The nodes of the settings of this project, by their key without its namespace."""
    try:
        document = yamltree.compose(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, yamltree.Unreadable):
        return {}
    config = _children(document).get("config")
    return {key.removeprefix(f"{NAMESPACE}:"): node for key, node in _children(config).items()}


def _children(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The nodes of a mapping by their key; of anything else none."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    try:
        return yamltree.entries(node)
    except yamltree.Unreadable:
        return {}


def _as_written(value: Any, node: yaml.Node) -> Any:
    if isinstance(value, Mapping):
        nodes = _children(node)
        return {
            key: _as_written(one, nodes[key]) if key in nodes else one for key, one in value.items()
        }
    if isinstance(value, list) and isinstance(node, yaml.SequenceNode):
        if len(value) != len(node.value):
            return value
        return [_as_written(*pair) for pair in zip(value, node.value, strict=True)]
    if not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return value
    return node.value if _is_number_otherwise(value, node.value) else value


def _is_number_otherwise(value: Any, written: str) -> bool:
    """Whether the engine made this number of a text that says it in another way.

    A value from elsewhere, as of `pulumi up -c`, is not the number that stands in the file.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    if isinstance(value, str) and value == written:
        return False
    if yamltree.number(written) is not None:
        return False
    try:
        return float(value) == _number_of_go(written)
    except (ValueError, OverflowError):
        return False


def _number_of_go(written: str) -> float:
    """The number that Pulumi's reader makes of a text. Raises ValueError if it makes none."""
    digits = written.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    bare = digits.lstrip("+-")
    if bare.startswith("0") and bare[1:].isdigit():
        try:
            return sign * int(bare, 8)
        except ValueError:
            return float(digits)
    if bare[:2] in {"0x", "0o", "0b"}:
        return sign * int(bare, 0)
    return float(digits)
