"""Each alert fires when it should and not when it should not, in Prometheus and VictoriaMetrics.

All cases stand side by side as clusters of one monitor, so none sees what is another's.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from etcd_component.monitoring import bundle
from lab.cache import cache_home, locked
from tests.monitoring.cases import CASES, SPARED, Firing
from tests.monitoring.series import MINUTES, Series

RULES = {name: yaml.safe_load(bundle.rules(name))["groups"] for name in bundle.RULES}
GROUPS = {rule["alert"]: group["name"] for group in RULES["alerting"] for rule in group["rules"]}
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in RULES["alerting"] for rule in group["rules"]
}
Fired = list[tuple[str, Firing, dict[str, str]]]
"""Cluster, alert, labels of the instance."""


@pytest.fixture(scope="session")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Series, Fired]:
    """A directory with the rules of all cases' clusters, their series, and what they fire."""
    series = Series()
    fired: Fired = []
    for case in CASES:
        cls = case.__name__
        for one in case(series, cls):
            fired.append((cls, one, series.member(cls, one.seq)))
    place = tmp_path_factory.mktemp("rules")
    declared = [one for one in series.watched if one.version]
    for path, text in bundle.files(declared, str(place)).items():
        if path.startswith("rules/"):
            (place / Path(path).name).write_text(text)
    return place, series, fired


def expected(alert: str, fired: Fired) -> list[dict[str, Any]]:
    """What an alert says of all clusters, as the testers write it."""
    rule = ALERTS[alert]
    return [
        {
            "exp_labels": rule["labels"] | member | one.labels,
            "exp_annotations": rule["annotations"] | {"summary": one.summary},
        }
        for cls, one, member in fired
        if one.alert == alert
    ]


def write(monitor: tuple[Path, Series, Fired], name: str, *, group_names: bool) -> Path:
    place, series, fired = monitor
    wanted = [
        {
            "eval_time": f"{MINUTES - 1}m",
            "alertname": alert,
            "exp_alerts": expected(alert, fired),
            **({"groupname": GROUPS[alert]} if group_names else {}),
        }
        for alert in ALERTS
    ]
    file = place / f"{name}.yml"
    order = [
        *(f"etcd-model-{one.cluster}" for one in series.watched if one.version),
        *(group["name"] for groups in RULES.values() for group in groups),
    ]
    # JSON is YAML, and is written ten times as fast.
    text = json.dumps(
        {
            "rule_files": ["model.yml", "recording.yml", "alerting.yml"],
            "evaluation_interval": "2m",
            "group_eval_order": order,
            "tests": [
                {
                    "interval": "1m",
                    "input_series": series.written(),
                    "alert_rule_test": wanted,
                }
            ],
        }
    )
    file.write_text(text)
    return file


def run(*words: str | Path, **environment: str) -> None:
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-20000:]


def test_prometheus_fires_what_is_expected(
    programs: Path, monitor: tuple[Path, Series, Fired]
) -> None:
    file = write(monitor, "prometheus", group_names=False)
    run(programs / "promtool", "test", "rules", file)


def test_victoriametrics_fires_what_is_expected(
    programs: Path, monitor: tuple[Path, Series, Fired]
) -> None:
    file = write(monitor, "victoriametrics", group_names=True)
    # It listens on a port and has a directory in TMPDIR, both of which it does not choose.
    with locked(cache_home() / ".vmalert-tool.lock"):
        run(programs / "vmalert-tool", "unittest", f"-files={file}", TMPDIR=str(file.parent))


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(
    monitor: tuple[Path, Series, Fired],
) -> None:
    assert set(ALERTS) == {one.alert for _, one, _ in monitor[2]}
    fires = {(cls, one.alert) for cls, one, _ in monitor[2]}
    silent = {
        alert for alert, near in SPARED.items() if any((one, alert) not in fires for one in near)
    }
    assert set(ALERTS) == silent
