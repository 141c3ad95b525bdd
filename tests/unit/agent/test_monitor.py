"""What etcd-monitor decides and reads, without a machine."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from etcd_component.agent.decide.monitor_claim import (
    Holding,
    decide,
)
from etcd_component.agent.decide.verdict import LeaveAlone, Proceed, Refuse
from etcd_component.agent.monitor import client, content, serve, targets
from etcd_component.agent.output import Refusal

NOTHING = Holding(there=False, owner="", data="")
UNCLAIMED = Holding(there=True, owner="", data="")
OURS = Holding(there=True, owner="ours", data="/srv/data")
THEIRS = Holding(there=True, owner="theirs", data="/srv/data")


def decided(
    holding: Holding,
    owner: str,
    *,
    removes: bool = False,
    remove_data: bool = False,
    confirmed: bool = False,
) -> Proceed | LeaveAlone | Refuse:
    return decide(
        holding, owner=owner, removes=removes, remove_data=remove_data, confirmed=confirmed
    )


@pytest.mark.parametrize(
    ("holding", "owner", "changes", "removes"),
    [
        (OURS, "ours", Proceed, Proceed),
        (THEIRS, "ours", Refuse, LeaveAlone),
        (UNCLAIMED, "ours", Refuse, LeaveAlone),
        # One that was cut off may have left the program itself.
        (NOTHING, "ours", Refuse, Proceed),
        (OURS, "", Proceed, Refuse),
        (UNCLAIMED, "", Proceed, Refuse),
        (NOTHING, "", Proceed, Proceed),
    ],
)
def test_what_a_run_may_do(
    holding: Holding, owner: str, changes: type[object], removes: type[object]
) -> None:
    assert type(decided(holding, owner)) is changes
    assert type(decided(holding, owner, removes=True)) is removes


def test_what_a_run_says_of_another_s_monitor() -> None:
    for holding, whose in ((THEIRS, "the monitor of another stack"), (UNCLAIMED, "no claim of")):
        refused, left = decided(holding, "ours"), decided(holding, "ours", removes=True)
        assert isinstance(refused, Refuse)
        assert f"this machine holds {whose}" in refused.reason
        assert isinstance(left, LeaveAlone)
        assert f"which holds {whose}" in left.reason
        assert "Nothing was removed" in left.reason


def test_who_types_uninstall_confirms_it() -> None:
    assert decided(OURS, "", removes=True, confirmed=True) == Proceed()
    kept = decided(OURS, "", removes=True)
    assert isinstance(kept, Refuse)
    assert "stack ours, and has what it collected in /srv/data. Nothing" in kept.reason
    assert kept.reason.endswith("To confirm: etcd-monitor uninstall --yes")
    gone = decided(UNCLAIMED, "", removes=True, remove_data=True)
    assert isinstance(gone, Refuse)
    assert "stack unknown" in gone.reason
    assert "no directory, which would be DELETED" in gone.reason
    assert gone.reason.endswith("uninstall --remove-data --yes")


# ---- what comes on standard input


def test_files_come_whole_and_with_names_of_files() -> None:
    assert content.parse("--- rules/a.yml\none\n\ntwo\n--- url\n--- end\n") == {
        "rules/a.yml": "one\n\ntwo\n",
        "url": "",
    }
    assert content.parse("--- end\n") == {}
    assert content.parse("--- etcd-monitor.service\nx\n--- end") == {"etcd-monitor.service": "x\n"}


@pytest.mark.parametrize("broken", ["", "--- a\nthr", "--- a\nthree\n--- en", "--- a\n--- end\nx"])
def test_what_did_not_come_whole_is_refused(broken: str) -> None:
    with pytest.raises(Refusal, match="does not end with `--- end`; nothing was changed"):
        content.parse(broken)


@pytest.mark.parametrize(
    "name", ["../passwd", "/etc/passwd", "a/../../b", "a$b", "ssh.service", "rules/x.service"]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(Refusal, match="is no name of a file"):
        content.parse(f"--- {name}\nx\n--- end\n")


def test_an_end_within_a_line_is_none() -> None:
    with pytest.raises(Refusal, match="does not end with"):
        content.parse("--- rules/a\nx\r--- end\n")


def test_the_password_goes_to_whom_a_certificate_shows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vmalert has none, and whoever has its port before it would get it."""
    (tmp_path / "password").write_text("secret")
    monkeypatch.setattr(client, "_PASSWORD", tmp_path / "password")
    heard: list[str | None] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request).start()
        client.get(f"http://127.0.0.1:{server.server_port}/health")
    assert heard == [None]


# ---- what VictoriaMetrics says

SAID = """\
job=etcd (1/2 up)
\tstate=up, endpoint=https://10.1.1.11:2379/metrics, labels={cls="etcd", ins="etcd-1"}, \
scrapes_total=12, scrapes_failed=0, last_scrape=8ms ago, scrape_duration=6ms, \
samples_scraped=1200, error=
\tstate=down, endpoint=https://10.1.1.10:2379/metrics, labels={cls="etcd"}, scrapes_total=0, \
scrapes_failed=0, last_scrape=8ms ago, samples_scraped=0, error=cannot dial, error=refused, at /x
"""


def test_targets_are_read_by_address() -> None:
    first, second = targets.parse(SAID)
    assert (first.address, first.is_up, first.tried) == ("10.1.1.10:2379", False, 0)
    assert first.error == "cannot dial, error=refused, at /x"
    assert (second.address, second.is_up, second.tried) == ("10.1.1.11:2379", True, 12)
    assert targets.parse("") == []


def test_only_lines_that_tell_are_shown_of_a_program_that_fails() -> None:
    tells = "2026-01-01\terror\tlib/x.go:1\tcannot open" + "x" * 900
    said = "\n".join([*(f"2026\tfatal\t{n}" for n in range(9)), "goroutine 1 error:", tells])
    shown = serve.complaints(said).splitlines()
    assert len(shown) == 5
    assert shown[-1].startswith("  2026-01-01\terror")
    assert all(len(line) <= 602 for line in shown)
    assert "goroutine" not in serve.complaints(said)
