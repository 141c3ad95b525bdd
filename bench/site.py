"""Where is measured: a lab of its own, with Pulumi state and a stack file of its own."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bench.process import Measured, measure
from etcd_component import load
from lab import Lab, LabError, check

ROOT = Path(__file__).parent.parent
SIZES: Mapping[int, str] = {1: "one", 3: "three", 5: "five"}
"""Sizes that are measured, and the stack files of the project that have them."""

CHANGE: dict[str, Any] = {"etcd_snapshot_count": 20000}
"""A setting that needs a restart of each member, other than by default."""

_SUBNET = "10.10.15"
_STACK = "bench"
_BOOTED_SECONDS = 30


class Site:
    """Machines, state and configuration; nothing of it outlives the measurement."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        """`directory` is empty and goes away with the measurement."""
        self.lab = lab
        self.directory = directory
        self._config_file = directory / f"Pulumi.{_STACK}.yaml"
        (directory / "state").mkdir()
        (directory / "Pulumi.yaml").write_text("name: etcd\nruntime: python\n")
        self.environ = {
            **os.environ,
            "ETCD_SITE": str(lab.site_file),
            "PULUMI_BACKEND_URL": f"file://{directory}/state",
            "PULUMI_CONFIG_PASSPHRASE": "bench",
        }
        # Here and not in the project, because it writes a salt into the stack file.
        self._run(["pulumi", "stack", "init", _STACK], directory)
        self._salt = yaml.safe_load(self._config_file.read_text())

    def configure(
        self, size: int, hosts: Mapping[int, Mapping[str, Any]] | None = None, **changed: Any
    ) -> dict[str, Any]:
        """Write the project's stack of that size for this lab; the inventory that it holds.

        `hosts` are further hosts by number, or more about one that the stack has; each is on the
        node of its number.
        """
        text = (ROOT / "stacks" / f"Pulumi.{SIZES[size]}.yaml").read_text()
        stack = yaml.safe_load(text.replace("10.10.10.", f"{_SUBNET}."))
        inventory: dict[str, Any] = stack["config"]["etcd:inventory"]
        for group in inventory.values():
            group["vars"].update(changed)
            for seq, more in (hosts or {}).items():
                group["hosts"][self.lab.address(seq - 1)] = {"etcd_seq": seq, **more}
        self._write(stack)
        return inventory

    def configure_fleet(
        self, clusters: int, size: int, changed: Mapping[int, Mapping[str, Any]] | None = None
    ) -> None:
        """Write a stack of so many clusters of one size.

        `changed` has settings by the number of the cluster that has them, counted from 1.
        """
        inventory = {
            f"etcd{number}": {
                "hosts": {
                    self.lab.address((number - 1) * size + seq - 1): {"etcd_seq": seq}
                    for seq in range(1, size + 1)
                },
                "vars": {"etcd_cluster": f"etcd{number}", **(changed or {}).get(number, {})},
            }
            for number in range(1, clusters + 1)
        }
        self._write({"config": {"etcd:inventory": inventory}})

    def _write(self, stack: Mapping[str, Any]) -> None:
        self._config_file.write_text(yaml.safe_dump({**self._salt, **stack}))

    def state_kib(self) -> float:
        """The stack's state, its secrets encrypted, before a backend compresses it."""
        exported = self._run(["pulumi", "stack", "export", "--stack", _STACK], ROOT)
        return len(json.dumps(json.loads(exported), separators=(",", ":"))) / 1024

    def pulumi(self, *words: str) -> Measured:
        """Run and measure `pulumi` on the stack, as a person would run it in the project."""
        return measure(
            ["pulumi", *words, "--stack", _STACK, "--config-file", str(self._config_file)],
            environ=self.environ,
            cwd=ROOT,
        )

    def up(self) -> Measured:
        """`pulumi up`, as `make up` runs it."""
        return self.pulumi("up", "--yes", "--skip-preview")

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in the clear."""
        words = ["pulumi", "stack", "output", "--json", "--show-secrets", "--stack", _STACK]
        outputs: dict[str, Any] = json.loads(self._run(words, ROOT))
        return outputs

    def etcd_version(self) -> str:
        """The release that the configured stack runs."""
        settings = {"inventory": self.configure(1)}
        return load(settings.get, self.environ).clusters[0].settings.version

    def started(self) -> list[str]:
        """The process IDs of etcd on all nodes: others after a restart."""
        return [
            f"{node.number}: {self.lab.exec(node.number, 'pidof', 'etcd').stdout.strip()}"
            for node in self.lab.nodes()
            if node.running
        ]

    def fresh(self, size: int) -> None:
        """Give `size` nodes an empty disk, and wait until they have booted to the end."""
        for node in self.lab.nodes():
            self.lab.kill(node.number)
            self.lab.wipe(node.number)
        self.lab.up(size)
        give_up = time.monotonic() + _BOOTED_SECONDS
        for node in self.lab.nodes():
            state = "starting"
            while node.running and state == "starting" and time.monotonic() < give_up:
                time.sleep(0.2)
                done = self.lab.exec(node.number, "systemctl", "is-system-running", check=False)
                state = done.stdout.strip()

    def _run(self, command: list[str], cwd: Path) -> str:
        done = subprocess.run(
            command, cwd=cwd, env=self.environ, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
        return done.stdout


@contextmanager
def bench_lab(say: Callable[[str], None]) -> Iterator[Lab]:
    """A lab for the measurement alone, gone afterwards; what a killed run left goes first.

    `say` is told what takes long. Raises LabError where a lab cannot run.
    """
    check.install_packages(say)
    if problems := check.findings():
        raise LabError("\n".join(problems))
    lab = Lab.named("bench", _SUBNET, say)
    lab.down()
    try:
        lab.up(1)
        yield Lab(lab.naming)
    finally:
        lab.down()
