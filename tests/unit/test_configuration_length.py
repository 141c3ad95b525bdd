"""A configuration that Linux would not pass to the program is found before the engine tries."""

import errno
import os
import subprocess
import sys

import pytest

from etcd_component import backend
from toolchain import configuration
from toolchain.configuration import LONGEST, length


def test_the_length_is_that_of_the_string_which_the_engine_makes() -> None:
    # As Pulumi 3.274 passes it.
    made = r'PULUMI_CONFIG={"etcd:inventory":"{\"x\":\"\u003cä\u0026\"}","etcd:sshUser":"dba"}'
    values = {"etcd:inventory": '{"x":"<ä&"}', "etcd:sshUser": "dba"}
    assert length(values) == len(made.encode()) + 1


@pytest.mark.skipif(os.sysconf("SC_PAGE_SIZE") != 4096, reason="the limit is 32 pages")
def test_linux_takes_the_longest_and_no_byte_more() -> None:
    def start(size: int) -> None:
        name = "PULUMI_CONFIG"
        environment = {name: "x" * (size - len(name) - len("=\0"))}
        subprocess.run(["/bin/true"], env=environment, check=True)

    start(LONGEST)
    with pytest.raises(OSError) as refused:
        start(LONGEST + 1)
    assert refused.value.errno == errno.E2BIG


@pytest.mark.parametrize(("more", "status"), [(0, 0), (1, 1)])
def test_a_longer_one_is_refused_with_the_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: int, status: int
) -> None:
    frame = length({"etcd:inventory": ""})
    values = {"etcd:inventory": "x" * (LONGEST - frame + more)}
    monkeypatch.setattr(backend, "configuration", lambda stack: values)
    monkeypatch.setattr(sys, "argv", ["configuration", "prod"])
    assert configuration.main() == status
    assert ("set etcd:inventoryFile" in capsys.readouterr().err) == bool(status)


def test_what_pulumi_cannot_say_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(stack: str) -> None:
        raise backend.NoAnswer("no stack")

    monkeypatch.setattr(backend, "configuration", refuse)
    monkeypatch.setattr(sys, "argv", ["configuration", "prod"])
    assert configuration.main() == 0
