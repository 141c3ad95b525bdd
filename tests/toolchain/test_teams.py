"""What the page for teams has people type works as it stands there, on a small program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.live.readme import broken_promises, script, steps
from tests.toolchain.conftest import ROOT, put_program

PAGE = (ROOT / "docs/teams.md").read_text()
WORKFLOW = ".github/workflows/etcd.yml"
PROGRAM = """\
import pulumi
config = pulumi.Config()
pulumi.export("version", config.require("version"))
pulumi.Stash("release", input=config.require("version"))
pulumi.export("password", config.require_secret("password"))
"""


class Person:
    """Somebody with a stack `prod` in a directory of theirs, in a checkout like this one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.checkout = home / "checkout"
        lines = 'eval "$(make -s env STACK=prod)" && env -0'
        environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("PULUMI")},
            "HOME": str(home),
            "PULUMI_ETCD_CACHE": os.environ.get("PULUMI_ETCD_CACHE")
            or str(Path.home() / ".cache/pulumi-etcd"),
            "UV_CACHE_DIR": str(Path.home() / ".cache/uv"),
        }
        shown = subprocess.run(
            ["sh", "-euc", lines],
            cwd=self.checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        self.environment = dict(one.split("=", 1) for one in shown.split("\0") if "=" in one) | {
            "PULUMI_CONFIG_PASSPHRASE": "correct horse battery staple",
            "PULUMI_SKIP_CONFIRMATIONS": "true",
        }
        self.types("pulumi login file://$HOME/etcd-state")

    @classmethod
    def make(cls, home: Path) -> Person:
        """With the stack as a first update has left it."""
        checkout = home / "checkout"
        checkout.mkdir()
        put_program(checkout, PROGRAM, "stackConfigDir: stacks\n")
        for name in ("toolchain", "lab", "Makefile"):
            (checkout / name).symlink_to(ROOT / name)
        (checkout / "stacks").mkdir()
        (home / "etcd-state").mkdir(mode=0o700)
        person = cls(home)
        person.types("pulumi stack init prod\npulumi config set --secret password only-for-a-test")
        person.up("1")
        return person

    def types(self, lines: str, **environment: str) -> str:
        """What a shell prints that is set up for Pulumi; it ends at the first failure."""
        done = subprocess.run(
            ["bash", "-euc", lines],
            cwd=self.checkout,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def up(self, version: str) -> None:
        self.types(f"pulumi config set --stack prod version {version}")
        self.types("pulumi up --stack prod --yes --skip-preview")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Person:
    if shutil.which("pulumi") is None:
        pytest.skip(
            'needs the engine: run by `make test-toolchain`, or after eval "$(make -s env)"'
        )
    return Person.make(tmp_path_factory.mktemp("first"))


@pytest.fixture
def person(first: Person, tmp_path: Path) -> Person:
    """One for each test, which may change everything."""
    shutil.copytree(first.home, tmp_path / "home", symlinks=True)
    return Person(tmp_path / "home")


def test_every_command_of_the_page_does_what_it_says(person: Person) -> None:
    before, after = (
        [one for one in steps(part) if WORKFLOW not in one.command]
        for part in PAGE.split("## Locks")
    )
    assert len(before + after) > 14, "the page's marks are gone"
    printed = person.types(script(before))
    assert broken_promises(before, printed) == []
    lock = person.home / "etcd-state/.pulumi/locks/organization/etcd/prod/lock.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps({"pid": 1, "username": "ada", "hostname": "laptop"}))

    printed = person.types(script(after))

    assert broken_promises(after, printed) == []
    assert not lock.exists()
    # It has moved, and its secrets with it.
    new = {"PULUMI_BACKEND_URL": f"file://{person.home}/etcd-state-new"}
    shown = person.types("pulumi stack output --stack prod --json --show-secrets", **new)
    assert json.loads(shown[shown.index("{") :]) == {"version": "1", "password": "only-for-a-test"}
    old = {"PULUMI_BACKEND_URL": f"file://{person.home}/etcd-state"}
    assert "prod" not in person.types("pulumi stack ls", **old)
    assert (person.checkout / "stacks/Pulumi.prod.yaml").exists()


def test_an_earlier_state_is_what_an_earlier_update_left(person: Person) -> None:
    person.up("2")
    back = PAGE[PAGE.index("## Back to an earlier state") : PAGE.index("## Moving")]
    # The one before the last, where the page takes the last.
    typed = script(steps(back)).replace("tail -n 1", "tail -n 2 | head -n 1")
    assert (
        "1" in person.types(f"{typed}\npulumi stack output --stack prod version").splitlines()[-1]
    )


def test_the_pipeline_previews_and_updates(person: Person) -> None:
    (written,) = (one for one in steps(PAGE) if WORKFLOW in one.command)
    (person.checkout / WORKFLOW).parent.mkdir(parents=True)
    person.types(written.command)
    jobs = yaml.safe_load((person.checkout / WORKFLOW).read_text())["jobs"]
    secrets = {"PULUMI_BACKEND_URL": f"file://{person.home}/etcd-state"}
    for name, shown in (("preview", "~ input"), ("up", "[diff: ~input]")):
        assert {"PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"} == set(jobs[name]["env"])
        person.types("pulumi config set --stack prod version 3", **secrets)
        typed = "\n".join(step["run"] for step in jobs[name]["steps"] if "run" in step)
        assert shown in person.types(typed, **secrets)
    person.types("pulumi preview --stack prod --expect-no-changes", **secrets)


def test_a_locked_stack_names_who_has_it(person: Person) -> None:
    lock = person.home / "etcd-state/.pulumi/locks/organization/etcd/prod/lock.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps({"pid": 1, "username": "ada", "hostname": "laptop"}))
    said = person.types("! pulumi up --yes --skip-preview --stack prod 2>&1")
    assert "the stack is currently locked by" in said
    assert "ada@laptop" in said
