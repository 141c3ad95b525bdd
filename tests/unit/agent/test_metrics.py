"""The text that Prometheus reads, and the one connection that it is given to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from etcd_component.agent import answer
from etcd_component.agent.exposition import Exposition, labels, saved_file
from etcd_component.agent.paths import Paths
from tests.unit.agent.fake_machine import ALONE

COMMON = labels(cls="etcd", ins="etcd-1", ip="10.0.0.1")
SAVED = (
    "# HELP etcd_node_info The release.\n# TYPE etcd_node_info gauge\n"
    f'etcd_node_info{{{COMMON},version="3.6.16"}} 1\n'
    f"etcd_node_written_timestamp_seconds{{{COMMON}}} 1800000000\n"
)


def test_a_gauge_has_its_own_labels_behind_the_common_ones() -> None:
    found = Exposition(COMMON)
    found.gauge("info", "The release.", True, version='a"b\\c\nd')
    found.sample("info", 1.5)
    assert found.text.splitlines() == [
        "# HELP etcd_node_info The release.",
        "# TYPE etcd_node_info gauge",
        'etcd_node_info{cls="etcd",ins="etcd-1",ip="10.0.0.1",version="a\\"b\\\\c\\nd"} 1',
        'etcd_node_info{cls="etcd",ins="etcd-1",ip="10.0.0.1"} 1.5',
    ]


def test_a_connection_gets_what_was_saved_and_the_time() -> None:
    head, _, body = answer.response(SAVED, 1800000030.12345).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert f"Content-Length: {len(body)}" in lines
    assert body.decode().startswith(SAVED)
    assert body.decode().endswith(f"\netcd_node_time_seconds{{{COMMON}}} 1800000030.123\n")


@pytest.mark.parametrize("saved", ["", "half a line", "etcd_node_written_timestamp_seconds{"])
def test_without_metrics_a_connection_hears_so(saved: str) -> None:
    head, _, body = answer.response(saved, 1.0).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert body == b"\n"


def test_they_are_saved_where_they_are_read() -> None:
    assert saved_file("other") == str(Paths("other").metrics)
    assert Path(saved_file("../../etc/shadow")).parent == Paths("etcd").metrics.parent


def test_all_is_read_and_written_though_the_pipe_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, asked = [b"x" * 8192, b"y" * 60000, b"y" * 60000], b""

    def write(_: int, content: bytes) -> int:
        nonlocal asked
        asked += content[:10]
        return len(content[:10])

    limits = []

    def read(_: int, limit: int) -> bytes:
        limits.append(limit)
        return sent.pop(0)[:limit]

    monkeypatch.setattr(os, "read", read)
    monkeypatch.setattr(os, "write", write)
    answer.serve("nowhere")
    assert asked == answer.response("", 0)
    assert limits == [8192, 65536, 5536]


def test_a_scrape_loads_next_to_nothing() -> None:
    """A flood of connections starts as many processes."""
    alone = (
        f"{ALONE}\nsys.argv[1:] = ['answer', '--cluster', 'nowhere']\n"
        "from etcd_component.agent.__main__ import main\nstatus = main()\n"
        "loaded = {'re', 'ssl', 'typing', 'subprocess', 'dataclasses', 'pathlib'}\n"
        "sys.exit(status or ' '.join(sorted(sys.modules.keys() & loaded)))"
    )
    words = [sys.executable, "-IS", "-c", alone]
    done = subprocess.run(words, input=b"", capture_output=True, check=False)
    assert done.stdout.startswith(b"HTTP/1.1 503 "), done.stderr
    assert done.stderr.strip() == b""
