"""What is measured is computed rightly, and shown as it was measured."""

import pytest

from bench.fleet import steps
from bench.report import as_text
from bench.table import bars, spread, table
from bench.writes import longest_gap, lost


def test_the_longest_gap_is_between_two_acknowledgements_in_any_order() -> None:
    assert longest_gap([1.0, 1.2, 2.0, 1.3], start=1.0, end=2.1) == 0.7


def test_silence_at_the_beginning_and_at_the_end_counts() -> None:
    assert longest_gap([3.0, 3.1], start=0.0, end=3.2) == 3.0
    assert longest_gap([0.1, 0.2], start=0.0, end=9.2) == 9.0


def test_no_acknowledgement_at_all_is_a_gap_as_long_as_the_window() -> None:
    assert longest_gap([], start=5.0, end=8.0) == 3.0


def test_acknowledgements_outside_the_window_do_not_hide_a_gap() -> None:
    assert longest_gap([1.0, 9.0], start=2.0, end=8.0) == 6.0


def test_a_write_is_lost_when_it_was_acknowledged_and_is_not_there() -> None:
    assert lost(["b", "a", "c"], ["a"]) == ["b", "c"]


def test_a_write_that_was_not_acknowledged_may_be_there() -> None:
    assert lost(["a"], ["a", "unacknowledged"]) == []


def test_one_figure_has_no_spread_and_several_have() -> None:
    assert spread([1.234], "s") == "1.23 s"
    assert spread([3.0, 1.0, 2.0], "s") == "2.00 (1.00-3.00) s"
    assert spread([12.4, 90.0], "ms") == "51 (12-90) ms"
    assert spread([0, 0, 0], "") == "0"
    assert spread([], "s") == "-"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(["", "one"], [("create", ["1 s"]), ("no change", ["12 s"])]).splitlines() == [
        "           one",
        "create     1 s",
        "no change  12 s",
    ]


def test_the_report_names_the_machine_and_has_a_column_for_each_size() -> None:
    text = as_text(
        {"machine": "2 cores"}, {1: {"create": [2.5]}, 3: {"create": [5.0], "lost": [0]}}
    )
    lines = text.splitlines()
    assert lines[0].split() == ["machine", "2", "cores"]
    assert lines[2].split() == ["one", "node", "three", "nodes"]
    (create,) = [line for line in lines if line.startswith("create, until")]
    assert create.endswith("2.50 s    5.00 s")
    (gone,) = [line for line in lines if "lost" in line]
    assert gone.split()[-2:] == ["-", "0"]


def test_a_fleet_is_measured_at_a_few_sizes_of_whole_clusters() -> None:
    assert steps(30) == [3, 6, 15, 30]
    assert steps(3) == [3]
    assert steps(9) == [3, 9]
    for nodes in (0, 2, 4, 100):
        with pytest.raises(ValueError, match=f"cannot have {nodes} nodes"):
            steps(nodes)


def test_bars_are_as_long_as_what_they_stand_for() -> None:
    assert bars({3: 1.0, 30: 20.0}, width=20) == f" 3  # 1\n30  {'#' * 20} 20"
    assert bars({3: 0.0}) == "3  # 0"
