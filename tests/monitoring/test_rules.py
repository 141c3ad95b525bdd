"""The rules can be read by both engines, and an alert leads to what its documentation says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from etcd_component.monitoring import bundle

ROOT = Path(__file__).parents[2]
RUNBOOKS = (ROOT / "docs/alerts.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", RUNBOOKS, re.MULTILINE | re.DOTALL))
GROUPS = {name: yaml.safe_load(bundle.rules(name))["groups"] for name in bundle.RULES}
ALERTS = [rule for group in GROUPS["alerting"] for rule in group["rules"]]
RECORDS = [rule for group in GROUPS["recording"] for rule in group["rules"]]
SEVERITIES = {"0": "CRIT", "1": "WARN", "2": "INFO"}


@pytest.mark.parametrize("name", bundle.RULES)
def test_both_engines_take_the_rules(programs: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(bundle.rules(name))
    for program, *words in (
        ("promtool", "check", "rules", "--lint=all", "--lint-fatal", str(file)),
        ("vmalert", "-dryRun", f"-rule={file}"),
    ):
        done = subprocess.run(
            [programs / program, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_leads_to_its_section(
    rule: dict[str, dict[str, str]],
) -> None:
    alert, labels, annotations = str(rule["alert"]), rule["labels"], rule["annotations"]
    assert SEVERITIES[labels["level"]] == labels["severity"]
    assert labels["category"] == "etcd"
    assert annotations["runbook_url"] == f"docs/alerts.md#{alert.lower()}"
    assert "{{ $labels." in annotations["summary"]
    assert "{{" not in annotations["description"]
    assert annotations["description"].endswith(".")
    assert SECTIONS[alert].startswith(f"**{labels['severity']}** ")


def test_each_section_is_of_an_alert() -> None:
    assert list(SECTIONS) == [rule["alert"] for rule in ALERTS]


def test_no_name_is_given_twice() -> None:
    for names in ([rule["record"] for rule in RECORDS], [rule["alert"] for rule in ALERTS]):
        assert len(names) == len(set(names))
