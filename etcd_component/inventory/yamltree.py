"""YAML text as nodes with their lines, and nodes as values, without YAML's surprises.

Scalars are read as in YAML 1.2 and as Pulumi reads a stack's file: only `true` and `false` are
booleans. What the two would read differently, such as `010`, stays text. Keys are always text.
"""

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import yaml

from etcd_component.inventory.values import Foreign

MAX_DEPTH: Final = 40
"""Levels of mappings and lists; an inventory has six. More would exhaust Python's stack."""
MAX_VALUES: Final = 1_000_000
"""Values of a file with its aliases expanded; a thousand hosts have twenty thousand."""
_YAML: Final = "tag:yaml.org,2002:"
_QUOTE: Final = "write text for it; a value that begins with {{ needs quotes"
_CHARACTER: Final = "write the character itself"
_MERGE: Final = f"{_YAML}merge"
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_NUMBER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})(?P<fraction>\.[0-9]{1,18})?")


class Unreadable(Exception):  # noqa: N818 - the domain's word
    """Text that YAML allows, or not, and that cannot be read: a line from 1, why, and the cure."""

    def __init__(self, line: int, problem: str, cure: str) -> None:
        """Say where and what is wrong."""
        super().__init__(line, problem, cure)
        self.line = line
        self.problem = problem
        self.cure = cure


def compose(content: str) -> yaml.Node | None:
    """The nodes of a text with one YAML document; None if it is empty.

    Raises Unreadable for an anchor that contains itself, for more than MAX_DEPTH levels or
    MAX_VALUES values, for escapes that stand for no character, and yaml.YAMLError for what is not
    YAML.
    """
    loader = _Composer(content)
    try:
        node: yaml.Node | None = loader.get_single_node()
    except (ValueError, OverflowError):
        problem = "an escape stands for a character that does not exist"
        raise Unreadable(loader.line + 1, problem, _CHARACTER) from None
    finally:
        loader.dispose()
    return node


class _Composer(yaml.SafeLoader):
    """Composes nodes of which each is finite, and not huge with all aliases expanded."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}  # type: ignore[misc]

    def __init__(self, content: str) -> None:
        super().__init__(content)
        self._depth = 0
        self._open: list[str] = []
        """Anchors whose nodes are not complete."""
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._open:
                problem = f"*{event.anchor} stands inside &{event.anchor}, which would never end"
                raise Unreadable(line, problem, "write the value itself")
            return super().compose_node(parent, index)
        if self._depth == MAX_DEPTH:
            problem = f"mappings and lists are nested more than {MAX_DEPTH} deep"
            raise Unreadable(line, problem, "take levels out")
        self._depth += 1
        self._open.append(event.anchor)
        node: Any = super().compose_node(parent, index)
        self._open.pop()
        self._depth -= 1
        if isinstance(node, yaml.ScalarNode):
            node.value = _joined(node.value, line)
        size = sum((self._sizes[id(child)] for child in _children(node)), start=1)
        if size > MAX_VALUES:
            problem = f"with its aliases expanded it has more than {MAX_VALUES} values"
            raise Unreadable(line, problem, "write the values out, or fewer aliases of aliases")
        self._sizes[id(node)] = size
        return node


for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", _NUMBER.pattern, "-+0123456789"),
    ("merge", r"<<", "<"),
):
    _Composer.add_implicit_resolver(f"{_YAML}{_kind}", re.compile(rf"(?:{_pattern})\Z"), _first)


def _joined(text: str, line: int) -> str:
    """Text in which JSON's escapes of two halves are one character. Raises Unreadable."""
    if not _SURROGATE.search(text):
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise Unreadable(line, "an escape stands for half a character", _CHARACTER) from None


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


class Reader:
    """Makes values of nodes; what stands behind an alias is one value, made once."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self.twice: list[tuple[str, int]] = []
        """Keys that a mapping has again, with the line."""
        self._values: dict[int, Any] = {}

    def value(self, node: yaml.Node) -> Any:
        """A dict with text for keys, a list, text, a number, a boolean, None or Foreign.

        Raises Unreadable.
        """
        if id(node) not in self._values:
            self._values[id(node)] = self._new_value(node)
        return self._values[id(node)]

    def _new_value(self, node: yaml.Node) -> Any:
        if node.tag.startswith("!"):
            return Foreign(node.tag)
        if isinstance(node, yaml.MappingNode):
            _check_tag(node, "map")
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            _check_tag(node, "seq")
            return [self.value(one) for one in node.value]
        _check_tag(node, "str", "null", "bool", "int", "float", "merge")
        return scalar(node)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != _MERGE and isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.twice.append((key.value, _line(key)))
                seen.add(key.value)
        return {key: self.value(one) for key, one in entries(node).items()}


def entries(node: yaml.MappingNode) -> dict[str, yaml.Node]:
    """What stands below each key, with what `<<` merges. Raises Unreadable."""
    merged: dict[str, yaml.Node] = {}
    own: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if key.tag == _MERGE:
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in sources:
                if not isinstance(source, yaml.MappingNode):
                    cure = "write the alias of a mapping, such as `<<: *defaults`"
                    raise Unreadable(_line(source), "<< merges mappings, and this is none", cure)
                # What stands first wins.
                merged = {**entries(source), **merged}
        elif isinstance(key, yaml.ScalarNode):
            own[key.value] = value
        else:
            raise Unreadable(_line(key), "a key is a mapping or list", _QUOTE)
    return {**merged, **own}


def scalar(node: yaml.Node) -> str | int | float | bool | None:
    """The value of a scalar node; a number only where it is written as everybody reads it."""
    written: str = node.value
    kind = node.tag.removeprefix(_YAML)
    if kind == "null":
        return None
    if kind == "bool" and written.lower() in {"true", "false"}:
        return written.lower() == "true"
    found = number(written) if kind in {"int", "float"} else None
    return written if found is None else found


def number(written: str) -> int | float | None:
    """The decimal number that a text is; None if it is none, or could mean another number."""
    found = _NUMBER.fullmatch(written)
    if found is None:
        return None
    if not found["fraction"]:
        return int(written)
    value = float(written)
    if str(value) != written:
        return None  # 3.10 is a version and not 3.1.
    return int(value) if value.is_integer() else value


def _check_tag(node: yaml.Node, *kinds: str) -> None:
    if node.tag.removeprefix(_YAML) not in kinds:
        tag = node.tag.replace(_YAML, "!!")
        raise Unreadable(_line(node), f"the tag {tag} is not read here", "take it out")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
