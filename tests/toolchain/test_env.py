"""`eval "$(make -s env)"` makes every `pulumi` command work as it is typed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.toolchain.conftest import Project

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _set_up() -> None:
    if shutil.which("pulumi") is None:
        pytest.skip(
            'needs the engine: run by `make test-toolchain`, or after eval "$(make -s env)"'
        )


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """What of a running lab counts here: its site file, and a client in its place."""
    lab = tmp_path / "lab"
    (lab / "client").mkdir(parents=True)
    (lab / "client/etcdctl").touch(mode=0o755)
    (lab / "site.yaml").touch()
    return lab


def env(stack: str, **environment: str) -> str:
    done = subprocess.run(
        [ROOT / "toolchain/env", stack],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def shell(lines: str, command: str, **environment: str) -> str:
    done = subprocess.run(
        ["sh", "-euc", f"{lines}\n{command}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_only_shell_lines_are_printed(lab: Path) -> None:
    lines = env("three", PULUMI_ETCD_LAB=str(lab))
    assert all(line.startswith(("export ", "unset ")) for line in lines.splitlines())
    assert shell(lines, "echo done") == "done"


def test_the_programs_are_on_the_path_and_the_projects_python_is_first(lab: Path) -> None:
    lines = env("three", PULUMI_ETCD_LAB=str(lab))
    assert shell(lines, "command -v python") == f"{ROOT}/.venv/bin/python"
    assert shell(lines, "command -v pulumi") == f"{ROOT}/toolchain/bin/pulumi"
    assert shell(lines, "command -v etcdctl").endswith("/etcdctl")


PROXY = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"http_proxy": PROXY}, "localhost,127.0.0.1"),
        ({"https_proxy": PROXY, "no_proxy": "a.example"}, "a.example,localhost,127.0.0.1"),
        ({"http_proxy": PROXY, "no_proxy": "127.0.0.1"}, "127.0.0.1"),
        ({}, ""),
    ],
)
def test_a_proxy_is_not_between_pulumi_and_its_program(before: dict[str, str], after: str) -> None:
    cleared = {"http_proxy": "", "https_proxy": "", "grpc_proxy": "", "no_proxy": ""}
    lines = env("none", **{**cleared, **before})
    assert shell(lines, 'echo "$no_proxy"', **{**cleared, **before}) == after


def test_a_program_reaches_its_engine_past_a_proxy(project: Project) -> None:
    proxy = {"http_proxy": PROXY, "no_proxy": ""}
    environment = {**project.backend.environment, **proxy}
    done = subprocess.run(
        ["sh", "-euc", f"{env('none', **proxy)}\npulumi preview --non-interactive --stack three"],
        cwd=project.directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 to create" in done.stdout


def test_a_lab_stack_gets_the_labs_state_and_a_passphrase_of_its_own(lab: Path) -> None:
    lines = env("three", PULUMI_ETCD_LAB=str(lab))
    assert shell(lines, "echo $PULUMI_BACKEND_URL") == f"file://{lab}/pulumi"
    assert shell(lines, "echo $ETCD_SITE") == f"{lab}/site.yaml"
    passphrase = lab / "passphrase"
    assert passphrase.stat().st_mode & 0o777 == 0o600
    assert (lab / "pulumi").stat().st_mode & 0o777 == 0o700
    words = passphrase.read_text()
    assert len(words) > 20
    env("three", PULUMI_ETCD_LAB=str(lab))
    assert passphrase.read_text() == words, "the passphrase changed under its state"


def test_somebodys_own_stack_gets_nothing_of_the_lab(lab: Path) -> None:
    assert str(lab) not in env("prod", PULUMI_ETCD_LAB=str(lab))


def test_a_shell_of_the_lab_is_freed_for_somebodys_own_stack(lab: Path) -> None:
    inside = {"PULUMI_ETCD_LAB": str(lab), "PULUMI_BACKEND_URL": f"file://{lab}/pulumi"}
    lines = env("prod", **inside)
    assert shell(lines, "echo ${PULUMI_BACKEND_URL-none}", **inside) == "none"


@pytest.mark.parametrize(
    ("stack", "before", "after"),
    [
        ("prod", "", "prod"),
        ("prod", "three", "prod"),
        ("prod", "acme/etcd/prod", "acme/etcd/prod"),
        ("three", "prod", "three"),
        ("none", "prod", "prod"),
    ],
)
def test_what_is_typed_acts_on_the_stack_of_the_environment(
    lab: Path, stack: str, before: str, after: str
) -> None:
    around = {"PULUMI_ETCD_LAB": str(lab), "PULUMI_STACK": before}
    assert shell(env(stack, **around), "echo $PULUMI_STACK", **around) == after


def test_without_a_lab_its_stack_is_nobodys(lab: Path) -> None:
    (lab / "site.yaml").unlink()
    around = {"PULUMI_ETCD_LAB": str(lab), "PULUMI_STACK": "prod"}
    assert shell(env("three", **around), "echo $PULUMI_STACK", **around) == "prod"
    inside = {**around, "PULUMI_STACK": "three", "PULUMI_BACKEND_URL": f"file://{lab}/pulumi"}
    assert shell(env("three", **inside), "echo ${PULUMI_STACK-none}", **inside) == "none"


def test_outputs_do_not_scroll_the_result_away(project: Project) -> None:
    lines = env("none")
    environment = project.backend.environment
    words = f"cd '{project.directory}' && pulumi up --yes --skip-preview --stack three"
    done = shell(lines, words, **environment)
    assert "1 created" in done
    assert "answer" not in done
    words = f"cd '{project.directory}' && pulumi stack output answer --stack three"
    assert shell(lines, words, **environment) == "42"


def test_an_agent_that_is_gone_is_not_asked(tmp_path: Path) -> None:
    gone = {"SSH_AUTH_SOCK": str(tmp_path / "gone")}
    assert shell(env("prod", **gone), "echo ${SSH_AUTH_SOCK-none}", **gone) == "none"


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """The directory of an official Pulumi, as its installer leaves it."""
    directory = tmp_path / "official"
    directory.mkdir()
    for name in ("pulumi", "pulumi-language-python"):
        (directory / name).write_text("#!/bin/sh\necho v3.300.0\n")
        (directory / name).chmod(0o755)
    return directory


def test_an_official_pulumi_fetches_its_own_plugins(official: Path) -> None:
    lines = env("prod", PATH=f"{official}:{os.environ['PATH']}")
    set_ = [line for line in lines.splitlines() if line.startswith("export ")]
    assert not any("PULUMI_HOME" in line or "PLUGIN" in line for line in set_)
    assert shell(lines, "command -v pulumi") == str(official / "pulumi")


SWITCHES = ("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "PULUMI_IGNORE_AMBIENT_PLUGINS")


def built_shell(home: Path, *directories: Path) -> dict[str, str]:
    """A shell that used an engine built here, to whose PATH directories were added at the end."""
    path = ":".join([os.environ["PATH"], *map(str, directories)])
    return {"PATH": path, "PULUMI_HOME": str(home), **dict.fromkeys(SWITCHES, "true")}


def test_a_shell_of_a_built_engine_is_freed_for_an_official_pulumi(
    official: Path, tmp_path: Path
) -> None:
    before = built_shell(tmp_path / "another checkout/.pulumi-home", official)
    lines = env("prod", **before)
    for name in ("PULUMI_HOME", *SWITCHES):
        assert shell(lines, f"echo ${{{name}-none}}", **before) == "none"
    for name in ("pulumi", "pulumi-language-python"):
        assert shell(lines, f"command -v {name}", **before) == str(official / name)


def test_the_built_engine_is_on_the_path_no_more_where_the_official_one_is_in_two_places(
    official: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (official / "pulumi-language-python").rename(elsewhere / "pulumi-language-python")
    before = built_shell(tmp_path / ".pulumi-home", official, elsewhere)
    found = shell(env("prod", **before), "command -v pulumi-language-python", **before)
    assert found == str(elsewhere / "pulumi-language-python")


def test_a_pulumi_home_of_somebody_s_own_stays(official: Path, tmp_path: Path) -> None:
    before = built_shell(tmp_path / "home", official)
    lines = env("prod", **before)
    for name in ("PULUMI_HOME", *SWITCHES):
        assert shell(lines, f"echo ${name}", **before) == before[name]


@pytest.mark.parametrize("stack", ["three", "prod"])
def test_removing_a_stack_leaves_its_file(project: Project, stack: str, lab: Path) -> None:
    project.pulumi("config", "set", "etcd:answer", "42", "--stack", "three")
    file = project.directory / "Pulumi.three.yaml"
    words = f"cd '{project.directory}' && pulumi stack rm three --yes"
    lines = env(stack, PULUMI_ETCD_LAB=str(lab))
    lines = f"unset PULUMI_OPTION_PRESERVE_CONFIG\n{lines}"
    shell(f"{lines}\nexport PULUMI_BACKEND_URL='file://{project.backend.directory}'", words)
    assert "etcd:answer" in file.read_text()


def test_the_path_does_not_grow_with_every_use() -> None:
    once = shell(env("prod"), "echo $PATH")
    twice = shell(env("prod", PATH=once), "echo $PATH", PATH=once)
    assert once.count("/engine-v") == twice.count("/engine-v") <= 1
