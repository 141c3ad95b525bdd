"""What the language host of an official Pulumi does with the program, without that host.

Its source is in `sdk/python/cmd/pulumi-language-python` and `sdk/python/toolchain/uv.go` of Pulumi.
The host that is built here is an old one, which asks pip and knows nothing of runtime options.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import yaml
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

ROOT = Path(__file__).parents[2]
COPIED = ("Pulumi.yaml", "__main__.py", "pyproject.toml", "uv.lock")
STASH = "pulumi:index:Stash"
STACK = "pulumi:pulumi:Stack"

_MARKERS = """\
import json, sys
from packaging.markers import Marker
wanted = json.load(sys.stdin)
print(json.dumps([name for name, marker in wanted if not marker or Marker(marker).evaluate()]))
"""


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """The engine's side, as far as the program needs it: resources are what they are told to be.

    `state` has outputs of resources that were there before, by name. While `waits` is not set, no
    resource but the stack is answered.
    """

    def __init__(self) -> None:
        self.state: dict[str, dict[str, Any]] = {}
        self.registered: list[str] = []
        self.waits = threading.Event()
        self.waits.set()
        self.asked = threading.Event()

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: N802
        # Without output values, inputs are plain.
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id != "outputValues")

    def RegisterResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.registered.append(request.type)
        if request.type != STACK:
            self.asked.set()
            self.waits.wait()
        urn = f"urn:pulumi:test::etcd::{request.type}::{request.name}"
        if request.type == STASH:
            request.object.update({"output": request.object["input"]})
        request.object.update(self.state.get(request.name, {}))
        # A certificate's ID is its serial number.
        return resource_pb2.RegisterResourceResponse(urn=urn, id="4660", object=request.object)

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "an engine that is older than the question")

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()


class Engine(engine_pb2_grpc.EngineServicer):
    """Keeps what is said to the person, as pairs of a severity and a text."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.said.append((engine_pb2.LogSeverity.Name(request.severity), request.message))
        return empty_pb2.Empty()


@dataclass
class Ended:
    """How a run of the program ended."""

    status: int
    printed: str
    said: list[tuple[str, str]]
    registered: list[str]

    def texts(self, severity: str) -> list[str]:
        return [text for kind, text in self.said if kind == severity]


@dataclass
class OfficialHost:
    """A copy of the project, and what the host does there before and when it runs the program."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    monitor: Monitor = field(default_factory=Monitor)
    engine: Engine = field(default_factory=Engine)

    @classmethod
    def make(cls, directory: Path) -> OfficialHost:
        for name in COPIED:
            shutil.copy(ROOT / name, directory)
        package = directory / "etcd_component"
        shutil.copytree(
            ROOT / "etcd_component", package, ignore=shutil.ignore_patterns("__pycache__")
        )
        (directory / ".venv").symlink_to(ROOT / ".venv")
        # Nothing may be fetched, and nothing be found in what was fetched before.
        offline = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(directory / "uv-cache")}
        kept = {name: text for name, text in os.environ.items() if not name.startswith("UV_")}
        return cls(directory, kept | offline)

    @property
    def options(self) -> Mapping[str, str]:
        """The runtime options of the project."""
        options: dict[str, str] = yaml.safe_load((self.directory / "Pulumi.yaml").read_text())[
            "runtime"
        ]["options"]
        return options

    @property
    def python(self) -> Path:
        return self.directory / self.options["virtualenv"] / "bin" / "python"

    def requirements(self) -> dict[str, str]:
        """Packages and their versions, as the host lists them before each run."""
        if self.options["toolchain"] == "pip":
            listed = self._run([str(self.python), "-m", "pip", "list", "-v", "--format", "json"])
            return {each["name"]: each["version"] for each in json.loads(listed)}
        project = tomllib.loads((self.directory / "pyproject.toml").read_text())["project"]
        exported = self._uv(
            "export", "--package", project["name"], "--locked", "--format", "pylock.toml"
        )
        packages = tomllib.loads(exported)["packages"]
        markers = [(each["name"], each.get("marker", "")) for each in packages]
        self.sync()
        here = json.loads(self._run([str(self.python), "-c", _MARKERS], json.dumps(markers)))
        return {each["name"]: each["version"] for each in packages if each["name"] in here}

    def locked(self) -> dict[str, str]:
        """The same from the lock file itself, as hosts of 3.226 to 3.27x read it."""
        packages = tomllib.loads((self.directory / "uv.lock").read_text())["package"]
        return {each["name"]: each["version"] for each in packages if "version" in each}

    def sync(self) -> None:
        """What comes before each process that the host starts."""
        self._uv("sync", "--inexact")

    def _uv(self, *words: str) -> str:
        environment = self.directory / self.options["virtualenv"]
        return self._run(["uv", *words], UV_PROJECT_ENVIRONMENT=str(environment))

    def _run(self, command: list[str], stdin: str = "", **environment: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stderr}"
        return done.stdout

    def run(self, config: Mapping[str, Any], *, preview: bool = False) -> Ended:
        """Run the program to its end."""
        with self._started(config, preview=preview) as process:
            printed, _ = process.communicate(timeout=120)
        return Ended(process.returncode, printed, self.engine.said, self.monitor.registered)

    def interrupt(self, config: Mapping[str, Any]) -> Ended:
        """Interrupt the program while it waits for the engine, as an engine does that gives up."""
        self.monitor.waits.clear()
        with self._started(config, preview=False) as process:
            assert self.monitor.asked.wait(60), "the program registered nothing"
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            try:
                printed, _ = process.communicate(timeout=20)
            finally:
                process.kill()
                self.monitor.waits.set()
        return Ended(process.returncode, printed, self.engine.said, self.monitor.registered)

    @contextmanager
    def _started(
        self, config: Mapping[str, Any], *, preview: bool
    ) -> Iterator[subprocess.Popen[str]]:
        self.sync()
        server = grpc.server(futures.ThreadPoolExecutor(64))
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(self.monitor, server)
        engine_pb2_grpc.add_EngineServicer_to_server(self.engine, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        said = {f"etcd:{key}": _text(value) for key, value in config.items()}
        words = {
            "monitor": f"127.0.0.1:{port}",
            "engine": f"127.0.0.1:{port}",
            "project": "etcd",
            "stack": "test",
            "organization": "organization",
            "root_directory": self.directory,
            "pwd": self.directory,
            "dry_run": str(preview).lower(),
            "parallel": "4",
        }
        options = [word for name, value in words.items() for word in (f"--{name}", str(value))]
        try:
            with subprocess.Popen(
                [self.python, "-u", executor(), *options, self.directory],
                cwd=self.directory,
                env={
                    **self.environment,
                    "PULUMI_CONFIG": json.dumps(said),
                    "PULUMI_CONFIG_SECRET_KEYS": "[]",
                    "VIRTUAL_ENV": str(self.directory / self.options["virtualenv"]),
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process:
                yield process
        finally:
            server.stop(None)


def executor() -> Path:
    """Pulumi's own program that runs programs, beside the language host."""
    host = shutil.which("pulumi-language-python")
    assert host
    return Path(host).resolve().parent / "pulumi-language-python-exec"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
