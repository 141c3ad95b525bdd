"""What a run says at its end."""

from __future__ import annotations

import pytest

from etcd_component import contact
from etcd_component.agent import output


@pytest.mark.parametrize(
    ("said", "last"),
    [
        ("two are away:\n  - etcd-1: no answer", "- etcd-1: no answer"),
        ("a line\n", "a line"),
        ("x" * 5000, "x" * 4000),
        (" ", "done"),
    ],
)
def test_whatever_was_said_last_the_end_is_proved(
    said: str, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.say(said)
    output.prove("etcd-monitor", "serve")
    printed = capsys.readouterr().out
    assert printed.endswith(f"{last} [etcd-monitor serve done]\n")
    assert contact.proves(printed)
