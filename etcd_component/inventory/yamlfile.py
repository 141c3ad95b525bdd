"""YAML files that people write, read strictly: what would be lost silently is a mistake."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from etcd_component.inventory.values import Foreign
from etcd_component.mistake import InvalidInventory, Mistake


def read_mapping(path: Path) -> dict[Any, Any]:
    """The mapping that a YAML file holds; an empty file is an empty mapping.

    Numbers that YAML would read in another base (`010`) stay text; values with a foreign tag
    (`!vault`) become Foreign. Raises InvalidInventory for a file that cannot be read, is no
    YAML or no mapping, and for every key that stands twice, with its line.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise _invalid(path, f"it cannot be read ({error.strerror})", "correct the path") from None
    except UnicodeDecodeError:
        raise _invalid(path, "it is not text", "name a YAML file") from None
    loader = _Loader(content)
    try:
        found = loader.get_single_data()
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        place = f"{path}, line {line + 1}" if line is not None else path
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise _invalid(place, f"it is not YAML: {problem}", "correct the line") from None
    finally:
        loader.dispose()
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise _invalid(path, "it is not a YAML mapping", "write groups with hosts, as in Pigsty")
    if loader.twice:
        raise InvalidInventory(
            Mistake(f"{path}, line {line}", f"the key {key!r} stands here again", "keep one")
            for key, line in loader.twice
        )
    return found


def _invalid(place: object, problem: str, cure: str) -> InvalidInventory:
    return InvalidInventory([Mistake(str(place), problem, cure)])


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, without its surprises."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.twice: list[tuple[object, int]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Note every key that stands twice before it is lost."""
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    self.twice.append((key, key_node.start_mark.line + 1))
                seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_plain_int(self, node: yaml.ScalarNode) -> int | str:
        """A decimal number; `010`, `0x10` and `1:30` stay as they were written."""
        if re.fullmatch(r"[-+]?(0|[1-9][0-9]*)", node.value):
            return int(node.value)
        return str(node.value)

    def construct_foreign(self, suffix: str, _node: yaml.Node) -> Foreign:
        """A value of a kind that only its own program understands."""
        return Foreign(f"!{suffix}")


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_plain_int)
_Loader.add_multi_constructor("!", _Loader.construct_foreign)
