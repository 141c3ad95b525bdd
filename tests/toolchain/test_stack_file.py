"""A stack file in stacks/ is everybody's: no run on the lab writes into it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.toolchain.conftest import put_program

ROOT = Path(__file__).parents[2]
STACK_FILE = "config:\n      etcd:answer: 42   # as a person wrote it\n"


class Checkout:
    """A checkout with the wrapper of `make env`, and a lab that holds state."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "check out"
        shutil.copytree(ROOT / "toolchain", self.root / "toolchain", symlinks=True)
        put_program(
            self.root,
            "import pulumi\npulumi.export('answer', pulumi.Config('etcd').require_int('answer'))\n",
            "stackConfigDir: stacks\nconfig: {'etcd:answer': {type: integer}}\n",
        )
        (self.root / "stacks").mkdir()
        self.stack_file = self.root / "stacks/Pulumi.three.yaml"
        self.stack_file.write_text(STACK_FILE)
        self.lab = directory / "lab"
        (self.lab / "pulumi").mkdir(parents=True)
        self.backend = f"file://{self.lab}/pulumi"

    def pulumi(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.root / "toolchain/bin/pulumi", "--non-interactive", *arguments],
            cwd=self.root,
            env={
                **os.environ,
                "PULUMI_ETCD_LAB": str(self.lab),
                "PULUMI_BACKEND_URL": self.backend,
                "PULUMI_CONFIG_PASSPHRASE": "for a test",
                "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    if shutil.which("pulumi") is None:
        pytest.skip(
            'needs the engine: run by `make test-toolchain`, or after eval "$(make -s env)"'
        )
    checkout = Checkout(tmp_path)
    checkout.pulumi("stack", "init", "three")
    return checkout


def test_a_run_on_the_lab_leaves_the_stack_file_as_it_was(checkout: Checkout) -> None:
    assert checkout.stack_file.read_text() == STACK_FILE
    for operation in (("up", "--yes", "--skip-preview"), ("preview",), ("destroy", "--yes")):
        checkout.pulumi(*operation, "--stack", "three")
        assert checkout.stack_file.read_text() == STACK_FILE


def test_an_edited_stack_file_counts_at_once(checkout: Checkout) -> None:
    checkout.pulumi("up", "--yes", "--skip-preview", "-s", "three")
    checkout.stack_file.write_text(STACK_FILE.replace("42", "43"))
    checkout.pulumi("up", "--yes", "--skip-preview", "-s", "three")
    assert checkout.pulumi("stack", "output", "answer", "-s", "three") == "43\n"


def test_a_new_stack_is_selected_and_needs_no_name(checkout: Checkout) -> None:
    checkout.pulumi("up", "--yes", "--skip-preview")
    assert checkout.stack_file.read_text() == STACK_FILE


def test_a_setting_that_a_person_makes_lands_in_their_file(checkout: Checkout) -> None:
    checkout.pulumi("config", "set", "etcd:answer", "44", "--stack", "three")
    assert "44" in checkout.stack_file.read_text()
    assert "encryptionsalt" not in checkout.stack_file.read_text()


def test_a_secret_that_a_person_sets_can_be_used(checkout: Checkout) -> None:
    checkout.pulumi("config", "set", "--secret", "etcd:answer", "45", "--stack", "three")
    assert "45" not in checkout.stack_file.read_text()
    checkout.pulumi("up", "--yes", "--skip-preview", "--stack", "three")
    shown = checkout.pulumi("config", "get", "etcd:answer", "--stack", "three")
    assert shown == "45\n"


def test_a_stack_of_somebodys_own_is_pulumis_business(checkout: Checkout, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    checkout.backend = f"file://{own}"
    checkout.pulumi("stack", "init", "three")
    assert "encryptionsalt" in checkout.stack_file.read_text()
