"""Inventory files: what is read, what is refused, and that a refusal is one line with its place."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etcd_component import inventory
from etcd_component.inventory.yamltree import MAX_DEPTH
from etcd_component.mistake import InvalidInventory, Mistake

Refusal = Callable[[str | bytes], Mistake]


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """The one mistake of a file's content; its place is what follows the path."""

    def find(content: str | bytes) -> Mistake:
        file = tmp_path / "inventory.yml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(InvalidInventory) as invalid:
            inventory.read_file(file)
        (mistake,) = invalid.value.mistakes
        return Mistake(mistake.place.removeprefix(str(file)), mistake.problem, mistake.cure)

    return find


# --- what is read


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5", 5),
        ("+5", 5),
        ("-5", -5),
        ("2000.0", 2000),
        ("3.6", 3.6),
        ("3.10", "3.10"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("0o10", "0o10"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("1e3", "1e3"),
        ("1.0e+3", "1.0e+3"),
        ("1:30", "1:30"),
        ("2024-99-99", "2024-99-99"),
        ("9" * 5000, "9" * 5000),
        ("'5'", "5"),
        ('"x\\ud83d\\ude00"', "x\U0001f600"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("!!int five", "five"),
        ("!!float x", "x"),
        ("!!bool maybe", "maybe"),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("~", None),
        ("null", None),
        ("", None),
        ("=", "="),
        ("[1, a, {b: c}]", [1, "a", {"b": "c"}]),
    ],
)
def test_a_value_is_read_as_it_is_written(
    yaml_file: Callable[..., Path], written: str, value: Any
) -> None:
    found = inventory.read_file(yaml_file(f"a: {written}\n"))["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("written", ["10", "010", "10.10", "true", "on", "~", "2024-01-01"])
def test_keys_are_text_as_it_is_written(yaml_file: Callable[..., Path], written: str) -> None:
    assert list(inventory.read_file(yaml_file(f"{written}: 1\n"))) == [written]


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "---\n...\n", "~\n"])
def test_an_empty_file_is_an_empty_mapping(yaml_file: Callable[..., Path], content: str) -> None:
    assert inventory.read_file(yaml_file(content)) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfa: {b: 1}\n",
        b"a:\r\n  b: 1\r\n",
        b'{"a": {"b": 1}}',
        b"%YAML 1.2\n---\na: {b: 1}",
    ],
)
def test_other_editors_and_json_are_read(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "inventory.yml"
    file.write_bytes(content)
    assert inventory.read_file(file) == {"a": {"b": 1}}


# --- merged mappings


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("a: &a {x: 1}\nb: {<<: *a, x: 2}\n", {"x": 2}),
        ("a: &a {x: 1}\nb: {x: 2, <<: *a}\n", {"x": 2}),
        ("a: &a {x: 1}\nc: &c {<<: *a, x: 2}\nb: {<<: *c, y: 3}\n", {"x": 2, "y": 3}),
        ("a: &a {x: 1}\nc:\n  c: &c {<<: *a, x: 2}\nb: {<<: *c, x: 3}\n", {"x": 3}),
        ("a: &a {x: 1}\nc: {c: [&c {<<: *a, x: 2}]}\nb: {<<: *c}\n", {"x": 2}),
        ("a: &a {x: 1, y: 1}\nc: &c {x: 2}\nb: {<<: [*c, *a]}\n", {"x": 2, "y": 1}),
        ("a: &a {x: 1}\nc: &c {x: 2, y: 2}\nb: {<<: *a, <<: *c}\n", {"x": 1, "y": 2}),
    ],
)
def test_a_merged_mapping_may_be_overridden(
    yaml_file: Callable[..., Path], content: str, value: Any
) -> None:
    assert inventory.read_file(yaml_file(content))["b"] == value


NAMES = st.sampled_from("xyz")
MAPPINGS = st.dictionaries(NAMES, st.integers(0, 9), max_size=3)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.lists(st.tuples(MAPPINGS, st.lists(st.integers(0, 9), max_size=3)), max_size=6))
def test_merging_is_that_of_yaml(
    tmp_path: Path, mappings: list[tuple[dict[str, int], list[int]]]
) -> None:
    lines = []
    for number, (own, sources) in enumerate(mappings):
        merged = [f"*m{one % number}" for one in sources if number]
        pairs = [f"<<: [{', '.join(merged)}]"] if merged else []
        pairs += [f"{name}: {value}" for name, value in own.items()]
        lines.append(f"m{number}: &m{number} {{{', '.join(pairs)}}}\n")
    file = tmp_path / "inventory.yml"
    file.write_text("".join(lines))
    assert inventory.read_file(file) == (yaml.safe_load(file.read_text()) or {})


# --- what is refused


def _laughs(innermost: str, more: Callable[[str], str], levels: int) -> str:
    lines = [f"a0: &a0 {innermost}\n"]
    lines += [f"a{n}: &a{n} {more(f'*a{n - 1}')}\n" for n in range(1, levels)]
    return "".join(lines)


@pytest.mark.parametrize(
    ("content", "place", "problem", "cure"),
    [
        ("a: 1\na: 2\n", ", line 2", "the key 'a' stands here again", "keep one"),
        ("a: {1: x,\n  '1': y}\n", ", line 2", "the key '1' stands here again", "keep one"),
        ("b:\n  c:\n    h: {}\n    h: {}\n", ", line 4", "the key 'h' stands here again", "keep"),
        ('"\\U0001f600": 1\n"\\ud83d\\ude00": 2\n', ", line 2", "stands here again", "keep one"),
        ('a: 1\nb: "\\ud83d"\n', ", line 2", "half a character", "the character itself"),
        ('a: 1\n"\\ude00\\ud83d": b\n', ", line 2", "half a character", "the character itself"),
        ('a: 1\nb: "\\U00110000"\n', ", line 2", "does not exist", "the character itself"),
        ('a: 1\nb: "\\UFFFFFFFF"\n', ", line 2", "does not exist", "the character itself"),
        ("a: [1\n", ", line 2", "it is not YAML", "correct the line"),
        ("a: b: c\n", ", line 1", "it is not YAML", "correct the line"),
        ("a: *b\n", ", line 1", "undefined alias 'b'", "correct the line"),
        ("a: &x 1\nb: &x 2\n", ", line 2", "an anchor has a name again", "its own"),
        ("a:\n\tb: c\n", ", line 2", "'\\t'", "spaces instead of tabs"),
        (b"a: b\n# gr\xfcn\n", ", line 2", "not text in UTF-8", "save it as UTF-8"),
        ("a: b\n".encode("utf-16"), ", line 1", "not text in UTF-8", "save it as UTF-8"),
        ("a: b\nc: \0\n", ", line 2", "'\\x00', which is not allowed", "take it out"),
        ("a: 1\n---\nb: 2\n", ", line 2", "a second document", "keep one document"),
        ("- a\n", "", "not a YAML mapping but a list", "groups with hosts"),
        ("a\n", "", "not a YAML mapping but text", "groups with hosts"),
        ("5\n", "", "not a YAML mapping but a number", "groups with hosts"),
        ("!vault |\n  x\n", "", "not a YAML mapping", "groups with hosts"),
        ("[etcd]\n10.10.10.10 etcd_seq=1\n", "", "INI", "ansible-inventory -i"),
        ("; c\n10.10.10.10 etcd_seq=1\n", "", "INI", "ansible-inventory -i"),
        ("[etcd:vars]\n", "", "INI", "ansible-inventory -i"),
        ("$ANSIBLE_VAULT;1.1;AES256\n33\n", "", "ansible-vault has encrypted it", "decrypt it"),
        ("a: {<<: x}\n", ", line 1", "<< merges mappings", "alias of a mapping"),
        ("a: {{ b }}\n", ", line 1", "a key is a mapping or list", "needs quotes"),
        ("a: b\n? [c]\n: d\n", ", line 2", "a key is a mapping or list", "write text"),
        ("a: !!python/object:x.y z\n", ", line 1", "the tag !!python/object:x.y", "take it out"),
        ("a: !!set {b}\n", ", line 1", "the tag !!set is not read", "take it out"),
        ("a: &a [*a]\n", ", line 1", "*a stands inside &a", "the value itself"),
        ("a: &a\n  b: *a\n", ", line 2", "*a stands inside &a", "the value itself"),
        ("a: &a\n  <<: *a\n", ", line 2", "*a stands inside &a", "the value itself"),
        ("a: &a\n  b: &b\n    c: [*a]\n", ", line 3", "*a stands inside &a", "the value itself"),
        ("a: " + "[" * 5000 + "]" * 5000, ", line 1", "more than 40 deep", "levels out"),
        (_laughs("[x]", lambda one: f"[{one}, {one}]", 40), ", line 20", "than 1000000", "write"),
        (_laughs("{x: 1}", lambda one: f"{{<<: [{one}, {one}]}}", 40), ", line 19", "than 1", "wr"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_once_with_place_and_cure(
    refusal: Refusal, content: str | bytes, place: str, problem: str, cure: str
) -> None:
    found = refusal(content)
    assert found.place == place
    assert problem in found.problem
    assert cure in found.cure


def test_nesting_has_a_limit_on_both_sides(yaml_file: Callable[..., Path]) -> None:
    def nested(levels: int) -> Path:
        return yaml_file("a: " + "[" * levels + "]" * levels)

    # The mapping at the top is a level too.
    assert inventory.read_file(nested(MAX_DEPTH - 1))
    with pytest.raises(InvalidInventory, match="nested more than"):
        inventory.read_file(nested(MAX_DEPTH))


@pytest.mark.parametrize("path", ["missing.yml", ".", "\0", "a" * 5000])
def test_a_path_that_is_no_file_is_said_so(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInventory, match=r"cannot be read|is a directory|is no path"):
        inventory.read_file(tmp_path / path)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(st.text("ab:-{}[]&*!<>|'\"#%@`,? \n\t01", max_size=40))
def test_no_text_makes_a_traceback(tmp_path: Path, content: str) -> None:
    file = tmp_path / "inventory.yml"
    file.write_text(content)
    with contextlib.suppress(InvalidInventory):
        assert isinstance(inventory.read_file(file), dict)
