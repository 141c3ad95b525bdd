"""What systemd does not do, or does not say, is not taken for done or well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etcd_component.agent import systemd
from etcd_component.agent.output import Refusal
from etcd_component.agent.process import Done

STATE = "ActiveState={}\nSubState=running\nNRestarts=0\nMainPID=7\nUnitFileState=disabled\n"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Have `systemctl show` print something, and every other word end with a status."""

    def answer(shown: str, status: int) -> None:
        def run(_program: str, word: str, *_more: str) -> Done:
            return Done(0 if shown else 1, shown, "") if word == "show" else Done(status, "", "")

        monkeypatch.setattr(systemd, "run", run)

    return answer


def test_whether_a_unit_runs(answers: Callable[[str, int], None]) -> None:
    answers(STATE.format("active"), 0)
    assert systemd.is_active("etcd.service")
    answers(STATE.format("inactive"), 0)
    assert not systemd.is_active("etcd.service")
    # As when nothing can be heard of it: then it may well run.
    answers("", 0)
    with pytest.raises(Refusal, match=r"systemd does not say whether etcd\.service runs"):
        systemd.is_active("etcd.service")


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (systemd.enable, "enable -q etcd.service"),
        (systemd.restart_without_waiting, "restart --no-block etcd.service"),
        (lambda _: systemd.require("daemon-reload"), "daemon-reload"),
    ],
)
def test_what_was_not_done_is_refused(
    answers: Callable[[str, int], None], do: Callable[[str], None], words: str
) -> None:
    answers(STATE.format("active"), 0)
    do("etcd.service")
    answers(STATE.format("active"), 1)
    with pytest.raises(Refusal, match=f"`systemctl {words}` failed"):
        do("etcd.service")
