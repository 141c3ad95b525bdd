"""Who does not answer is told, where that can be known from here."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

import pytest

from etcd_component import absence
from tests.unit.recording import cluster

Answers = Callable[[Mapping[str, OSError]], None]


class _Socket:
    def close(self) -> None:
        pass


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Have these addresses fail, and all others answer."""

    def set_up(failing: Mapping[str, OSError]) -> None:
        def connect(place: tuple[str, int], _seconds: float) -> _Socket:
            if place[0] in failing:
                raise failing[place[0]]
            return _Socket()

        monkeypatch.setattr(socket, "create_connection", connect)

    return set_up


REFUSES, SILENT = ConnectionRefusedError(), TimeoutError()


def test_one_that_is_silent_while_others_answer_is_named(answers: Answers) -> None:
    answers({"10.10.10.11": SILENT})
    assert list(absence.silent(cluster(3))) == ["etcd-2"]


def test_nobody_is_named_from_where_nobody_can_be_reached(answers: Answers) -> None:
    answers(dict.fromkeys(("10.10.10.10", "10.10.10.11", "10.10.10.12"), SILENT))
    assert absence.silent(cluster(3)) == {}


def test_a_machine_that_refuses_is_there_and_etcd_is_not(answers: Answers) -> None:
    answers({"10.10.10.10": REFUSES})
    (told,) = absence.silent(cluster(1)).values()
    assert told.startswith("etcd-1 does not answer at 10.10.10.10:2379 (nothing listens there)")
    assert "`make status`" in told


def test_those_that_answer_are_not_named(answers: Answers) -> None:
    answers({})
    assert absence.silent(cluster(5)) == {}
