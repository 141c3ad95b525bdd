"""The scrape jobs and the list of targets are what Prometheus and VictoriaMetrics take."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from etcd_component import written
from etcd_component.monitoring import Watched, WatchedMember, files
from tests.authority import Authority


@pytest.fixture
def scrape(tmp_path: Path) -> Path:
    """The scrape jobs of two clusters, with all that they refer to beside them."""
    members = tuple(
        WatchedMember(f"etcd-{seq}", ip, f"{host}:2379", "voter", f"{host}:2381")
        for seq, (ip, host) in enumerate(
            [("10.10.10.10", "10.10.10.10"), ("fd00::1", "[fd00::1]"), ("a.example", "a.example")],
            start=1,
        )
    )
    signer = Authority()
    one = Watched("etcd", "3.6.14", members, signer.pem, *signer.issue_client())
    # A name that YAML would take for something else, and nobody who tells of a node.
    other = replace(one, cluster="1e3", members=(replace(members[0], exporter=None),))
    found = files([one, other], str(tmp_path))
    for path in found:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    written.put(tmp_path, found)
    return tmp_path / "scrape.yml"


def test_prometheus_takes_the_scrape_jobs_and_their_targets(scrape: Path, programs: Path) -> None:
    said = checked(programs / "promtool", "check", "config", str(scrape))
    assert "SUCCESS" in said


def test_victoriametrics_takes_the_scrape_jobs(scrape: Path, programs: Path) -> None:
    said = checked(
        programs / "victoria-metrics",
        "-dryRun",
        "-promscrape.config.strictParse",
        f"-promscrape.config={scrape}",
    )
    assert "-promscrape.config is ok" in said


def checked(program: Path, *words: str) -> str:
    done = subprocess.run(
        [program, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
