"""The documentation says what the program does."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from etcd_component import versions
from etcd_component.inventory.monitor import FIELDS
from etcd_component.inventory.parameters import PARAMETERS, Level, Parameter, read
from etcd_component.inventory.site import KEYS
from etcd_component.mistake import Wrong
from etcd_component.model import Instance, Monitor, Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
PLACES = {"cluster": Level.CLUSTER, "host": Level.INSTANCE, "both": Level.EITHER}


def rows(*head: str) -> Iterator[list[str]]:
    """The cells of all tables of the configuration page that begin with these heads."""
    cells: list[str] = []
    inside = False
    for line in CONFIGURATION.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[: len(head)] == list(head):
            inside = True
        elif inside and not cells[0].startswith("---"):
            yield cells


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


DOCUMENTED = {quoted(row[0])[0]: row[1:4] for row in rows("parameter", "place")}
SETTINGS = [quoted(row[0])[0] for row in rows("setting")]


def test_every_parameter_is_documented_and_no_other() -> None:
    assert sorted(DOCUMENTED) == sorted(PARAMETERS)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_a_parameter_stands_where_the_page_says(name: str) -> None:
    assert PLACES[DOCUMENTED[name][0]] is PARAMETERS[name].level


def defaults() -> dict[str, Any]:
    """By parameter, what the model holds when nothing is said."""
    of_fields = {
        field.name: field.default
        for model in (Settings, Instance)
        for field in dataclasses.fields(model)
        if field.default not in (dataclasses.MISSING, None)
    }
    return {
        name: of_fields[row.field] for name, row in PARAMETERS.items() if row.field in of_fields
    }


@pytest.mark.parametrize("name", sorted(defaults()))
def test_a_default_is_the_model_s(name: str) -> None:
    assert read(PARAMETERS[name], quoted(DOCUMENTED[name][1])[0]) == defaults()[name]


def test_the_release_that_runs_unless_told_otherwise_is_named() -> None:
    newest = versions.newest(versions.DEFAULT_MINOR)
    assert quoted(DOCUMENTED["etcd_version"][1]) == [newest]
    lines = {versions.minor_of(one) for one in versions.published()} & set(versions.MINORS)
    assert re.findall(r"3\.\d", DOCUMENTED["etcd_archive_sha256"][1]) == sorted(lines)


def accepts(parameter: Parameter, value: object) -> bool:
    try:
        read(parameter, value)
    except Wrong:
        return False
    return True


RANGES = {
    name: found.groups()
    for name, (_, _, takes) in DOCUMENTED.items()
    if (found := re.match(r"(\d+)(?:[MG]iB)? to (\d+)(?:[MG]iB)?\b", takes))
}


@pytest.mark.parametrize("name", sorted(RANGES))
def test_a_number_may_be_what_the_page_says_and_nothing_beyond(name: str) -> None:
    low, high = (int(end) for end in RANGES[name])
    units = ("MiB", "GiB") if name == "etcd_quota" else ("", "")
    for value, expected in ((low, True), (low - 1, False)):
        assert accepts(PARAMETERS[name], f"{value}{units[0]}") is expected
    for value, expected in ((high, True), (high + 1, False)):
        assert accepts(PARAMETERS[name], f"{value}{units[1]}") is expected


CHOICES = {
    name: quoted(takes)
    for name, (_, _, takes) in DOCUMENTED.items()
    if takes and not re.sub(r"`[^`]*`", "", takes).strip(", ")
}


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_a_choice_is_among_the_words_that_the_page_says_and_no_other(name: str) -> None:
    assert all(accepts(PARAMETERS[name], word) for word in CHOICES[name])
    with pytest.raises(Wrong) as refusal:
        read(PARAMETERS[name], "nonsense")
    told = re.search(r"is not one of (.*)|is neither (.*)", refusal.value.problem)
    assert told, refusal.value.problem
    words = re.split(r", | nor ", told[1] or told[2])
    assert sorted(words) == sorted(CHOICES[name])


def test_every_setting_of_a_stack_is_documented_and_declared_and_no_other() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert sorted(SETTINGS) == sorted(KEYS) == sorted(declared)


def test_every_field_of_the_monitor_is_documented_and_no_other() -> None:
    table = {name: row for row in rows("field") for name in quoted(row[0])}
    assert sorted(table) == sorted(FIELDS)
    default: dict[str, Any] = {one.name: one.default for one in dataclasses.fields(Monitor)}
    for name, wanted in (
        ("listen", f"{default['listen_address']}:{default['port']}"),
        ("retention", default["retention"]),
        ("data", default["data_dir"]),
        ("alertmanager", str(list(default["alertmanagers"]))),
        ("rm_data", str(default["rm_data"]).lower()),
    ):
        assert quoted(table[name][1]) == [wanted]


@pytest.mark.parametrize(
    ("head", "module"), [("output", "cluster"), ("output of a monitor", "monitor")]
)
def test_every_output_is_documented_and_no_other(head: str, module: str) -> None:
    text = (ROOT / "etcd_component" / f"{module}.py").read_text()
    outputs = text.split("def outputs(")[1].split("\n    def ")[0]
    names = re.findall(r'^ {12}"(\w+)":', outputs, re.MULTILINE)
    assert names
    assert sorted(name for row in rows(head) for name in quoted(row[0])) == sorted(names)


def test_a_line_that_a_page_of_operations_has_one_write_is_of_the_inventory() -> None:
    pages = [page for page in PAGES if page.parent.name == "operations"]
    for page in [*pages, ROOT / "README.md", ROOT / "docs/faq.md", ROOT / "docs/cheat-sheet.md"]:
        names = set(re.findall(r"\b(etcd_[a-z_]+): ", page.read_text()))
        assert names <= {*PARAMETERS, *KEYS}, page


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", head.lower()) for head in heads]
    return {head.replace(" ", "-") for head in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        other = page.parent / file if file else page
        assert other.exists(), target
        assert not anchor or anchor in anchors(other), target


def sources() -> str:
    """All that may be said to a person, with texts that stand on several lines put together."""
    files = ROOT.glob("etcd_component/**/*.py")
    text = "\n".join(file.read_text() for file in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_every_page_that_a_message_names_is_there() -> None:
    named = set(re.findall(r"docs/([\w/-]+\.md)(?:#([\w-]+))?", sources()))
    assert {page for page, _ in named} >= {"operations/certificates.md"}
    for page, anchor in named:
        assert (ROOT / "docs" / page).exists(), page
        assert not anchor or anchor in anchors(ROOT / "docs" / page), anchor


def messages() -> list[str]:
    """The messages that the page on troubleshooting explains."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    said = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    return [message for cell in said for message in quoted(cell)]


@pytest.mark.parametrize("message", messages())
def test_a_message_that_is_explained_is_one_that_is_said(message: str) -> None:
    text = sources()
    for part in message.split("…"):
        assert part.strip() in text
