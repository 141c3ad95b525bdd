"""A stack's file and an inventory file follow one rule for numbers and booleans."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etcd_component import inventory
from etcd_component.inventory.stackfile import as_written

ENGINE: dict[str, Any] = {
    "010": 8,
    "-010": -8,
    "08": 8,
    "0x10": 16,
    "0o10": 8,
    "0b11": 3,
    "1_000": 1000,
    "1e3": 1000,
    "1.0e+3": 1000,
    "3.10": 3.1,
    "2379": 2379,
    "+5": 5,
    "2000.0": 2000,
    '"010"': "010",
    '"2379"': "2379",
    "no": "no",
    "yes": "yes",
    "true": True,
    "~": None,
    "1:30": "1:30",
}
"""What Pulumi 3.274 hands to the program for a value of an object, measured."""


@pytest.fixture
def stack(tmp_path: Path) -> Callable[[str, dict[str, Any]], Callable[[str], Any]]:
    """What answers for settings, from a stack's file and from what the engine made of it."""
    (tmp_path / "stacks").mkdir()

    def make(written: str, engine: dict[str, Any]) -> Callable[[str], Any]:
        file = tmp_path / "stacks" / "Pulumi.prod.yaml"
        file.write_text("config:\n" + textwrap.indent(textwrap.dedent(written), "  "))
        return as_written(engine.get, "organisation/etcd/prod", tmp_path)

    return make


@pytest.mark.parametrize("written", ENGINE)
@pytest.mark.parametrize("name", ["etcd_port", "etcd_safeguard", "etcd_quota", "etcd_cluster"])
def test_a_value_is_accepted_or_refused_alike_in_file_and_stack(
    stack: Callable[..., Any],
    yaml_file: Callable[..., Path],
    mistakes: Callable[..., Any],
    read: Callable[..., Any],
    written: str,
    name: str,
) -> None:
    def tree(value: Any) -> dict[str, Any]:
        return {"etcd": {"hosts": {"a": {"etcd_seq": 1}}, "vars": {name: value}}}

    text = f"etcd: {{hosts: {{a: {{etcd_seq: 1}}}}, vars: {{{name}: {written}}}}}"
    get = stack(f"etcd:inventory: {{{text}}}\n", {"inventory": tree(ENGINE[written])})
    of_file = inventory.read_file(yaml_file(text))
    of_stack = get("inventory")
    assert mistakes(of_stack) == mistakes(of_file)
    if not mistakes(of_file):
        assert read(of_stack) == read(of_file)


@pytest.mark.parametrize(
    ("written", "engine", "value"),
    [
        ("etcd:sshPort: 022", "18", "022"),
        ("etcd:sshPort: 22", "22", "22"),
        ("etcd:sshPort: '022'", "022", "022"),
        ("sshPort: 0x16", "22", "0x16"),
        ("etcd:sshPort: 022", "2222", "2222"),  # from elsewhere, as `pulumi up -c`
        ("etcd:sshPort: {secure: AAA}", "22", "22"),
        ("etcd:sshUser: 022", "22", "22"),
        ("etcd:sshPort: .inf", "22", "22"),
    ],
)
def test_a_setting_is_taken_as_it_is_written(
    stack: Callable[..., Any], written: str, engine: str, value: str
) -> None:
    assert stack(written, {"sshPort": engine})("sshPort") == value


def test_lists_and_merged_mappings_are_followed(stack: Callable[..., Any]) -> None:
    get = stack(
        """
        etcd:inventory:
          a: &a { port: 010, name: x }
          b: { <<: *a, name: 0x10, list: [1, 1_0, [010]] }
        """,
        {
            "inventory": {
                "a": {"port": 8, "name": "x"},
                "b": {"port": 8, "name": 16, "list": [1, 10, [8]]},
            }
        },
    )
    assert get("inventory") == {
        "a": {"port": "010", "name": "x"},
        "b": {"port": "010", "name": "0x10", "list": [1, "1_0", ["010"]]},
    }


@pytest.mark.parametrize(
    "content", ["", "config:\n", "config: [1]\n", "a: [\n", "config: &a [*a]\n"]
)
def test_without_a_readable_file_the_engine_is_believed(tmp_path: Path, content: str) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.prod.yaml").write_text(content)
    for name in ("prod", "other"):
        assert as_written({"sshPort": "8"}.get, name, tmp_path)("sshPort") == "8"
        assert as_written({"sshPort": "8"}.get, name, tmp_path)("sshUser") is None
