"""The README is read as a person reads it."""

import re
from pathlib import Path

import yaml

from etcd_component import inventory
from etcd_component.inventory.site import Site
from tests.live.readme import Step, broken_promises, operations, pages, script, steps

ROOT = Path(__file__).parents[2]

TEXT = """\
<!-- file stacks/x.yaml -->
```yaml
a: 'b'
```

```console
$ not run
```

<!-- run -->
```console
$ first
...
it took 0.5s
$ second
```
"""


def test_only_marked_blocks_are_done_in_their_order() -> None:
    assert steps(TEXT) == [
        Step("""printf %s 'a: '"'"'b'"'"'\n' > stacks/x.yaml"""),
        Step("first", ("it took 0.5s",)),
        Step("second"),
    ]


def test_the_shell_ends_at_the_first_failure_and_says_at_which() -> None:
    assert script([Step("true"), Step("false")]).splitlines()[-1] == "false || exit 2"


def test_a_promised_line_is_found_whatever_time_it_took() -> None:
    todo = [Step("first", ("it took 0.5s",))]
    assert broken_promises(todo, "@@@ 0\nmore\n  it took  12s\n") == []
    assert broken_promises(todo, "@@@ 0\nmore\n  it took  987.6µs\n") == []


def test_how_many_resources_there_are_is_no_promise() -> None:
    todo = [Step("first", ("    + 42 to create",))]
    assert broken_promises(todo, "@@@ 0\n    + 43 to create\n") == []
    assert broken_promises(todo, "@@@ 0\n    + 42 to delete\n") != []


def test_a_promised_line_that_is_not_seen_is_told_with_its_command() -> None:
    todo = [Step("first", ("done",)), Step("second")]
    assert broken_promises(todo, "@@@ 0\nfailed\n@@@ 1\ndone\n") == ["$ first\ndone"]


def test_who_tries_the_readme_writes_no_state_where_somebody_else_s_is() -> None:
    # Pulumi takes `~` from the list of users and not from HOME, which the live test sets.
    todo = steps(pages(ROOT))
    assert [step.command for step in todo if step.command.startswith("pulumi login")] == [
        "pulumi login file://$HOME/etcd-state"
    ]


def test_every_page_of_operations_is_in_the_table_and_destroy_is_the_last() -> None:
    linked = operations(ROOT)
    assert sorted(linked) == sorted(ROOT.glob("docs/operations/*.md"))
    assert linked[-1].name == "destroy.md"


def test_what_is_typed_begins_with_the_set_up_and_ends_with_the_removal_of_the_stack() -> None:
    typed = [step.command for step in steps(pages(ROOT))]
    assert typed[0] == "make setup"
    assert typed[-1] == "pulumi stack rm prod --yes --preserve-config"


README = (ROOT / "README.md").read_text()


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) <= 250


def test_the_inventory_on_one_screen_is_accepted_without_a_warning(site: Site) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README.split("## The inventory")[1], re.DOTALL)
    clusters, warnings = inventory.read(
        yaml.safe_load(blocks[0])["config"]["etcd:inventory"], site=site
    )
    assert ([one.name for one in clusters], warnings) == (["etcd"], ())
