"""Both engines read the expressions of the dashboards, and vmui shows what is written for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from etcd_component.monitoring import Watched, WatchedMember
from etcd_component.monitoring.dashboards import boards, vmui
from etcd_component.monitoring.dashboards.shape import Board

ROOT = Path(__file__).parents[2]
SERVER = "127.8.4.28:8428"
"""An address that nobody else on this machine listens on."""

MEMBERS = tuple(
    WatchedMember(f"etcd-{n}", f"10.10.10.{n}", f"10.10.10.{n}:2379", "voter", f"10.10.10.{n}:2381")
    for n in range(1, 4)
)
WRITTEN = vmui([Watched("etcd", "3.6.16", MEMBERS, "", "", "")])


@pytest.mark.parametrize("board", boards.BOARDS, ids=lambda board: board.name)
def test_both_engines_take_every_expression(programs: Path, tmp_path: Path, board: Board) -> None:
    asked = [one for row in board.rows for panel in row.panels for one in panel.queries]
    rules = [
        {"record": f"panel_{number}", "expr": one.where('job="etcd",cls=~"etcd"')}
        for number, one in enumerate(asked)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    for program, *words in (
        ("promtool", "check", "rules", "--lint=none", str(file)),
        ("vmalert", "-dryRun", f"-rule={file}"),
    ):
        done = subprocess.run(
            [programs / program, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def victoria(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's VictoriaMetrics with these dashboards, and nothing scraped."""
    place = tmp_path_factory.mktemp("victoria")
    for name, text in WRITTEN.items():
        (place / name).write_text(text)
    with subprocess.Popen(
        [
            programs / "victoria-metrics",
            f"-httpListenAddr={SERVER}",
            f"-storageDataPath={place}/data",
            f"-vmui.customDashboardsPath={place}",
        ],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        said = next((one for one in process.stderr if "started server at" in one), "")
        assert said, process.poll()
        yield f"http://{SERVER}"
        process.terminate()
        process.stderr.read()


@pytest.fixture(scope="module")
def served(victoria: str) -> Iterator[str]:
    """What `make dashboards` serves."""
    files = subprocess.run(
        [ROOT / "toolchain/get-vmui"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with subprocess.Popen(
        [sys.executable, ROOT / "toolchain/vmui/serve.py", files, victoria, "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        yield process.stdout.readline().split()[1].rstrip("/")
        process.terminate()


def answer(url: str) -> Any:
    with urlopen(url) as found:
        return json.load(found)


def test_debian_s_victoriametrics_has_no_vmui(victoria: str) -> None:
    with pytest.raises(HTTPError) as refusal:
        urlopen(f"{victoria}/vmui/")
    assert refusal.value.code == 404


def test_vmui_is_served_beside_it_with_all_dashboards_in_their_order(served: str) -> None:
    with urlopen(served) as page:
        assert page.url.endswith("/vmui/#/dashboards")
        assert "<title>vmui</title>" in page.read().decode()
    told = answer(f"{served}/vmui/custom-dashboards")["dashboardsSettings"]
    assert [one["title"] for one in told] == [
        json.loads(WRITTEN[name])["title"] for name in sorted(WRITTEN)
    ]


def test_a_question_goes_on_to_victoriametrics_and_so_does_a_refusal(served: str) -> None:
    query = urlencode({"query": "vector(7)"})
    found = answer(f"{served}/prometheus/api/v1/query?{query}")
    assert found["data"]["result"][0]["value"][1] == "7"
    with pytest.raises(HTTPError) as refusal:
        urlopen(f"{served}/prometheus/api/v1/query?query=(")
    assert refusal.value.code == 422
