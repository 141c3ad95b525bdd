"""The README is read as a person reads it."""

from pathlib import Path

from tests.live.readme import Step, broken_promises, script, steps

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
    todo = steps((Path(__file__).parents[2] / "README.md").read_text())
    assert [step.command for step in todo if step.command.startswith("pulumi login")] == [
        "pulumi login file://$HOME/etcd-state"
    ]
