"""The cluster's etcdctl, as a person calls it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from etcd_component.agent import commands, etcdctl, frame
from tests.unit.agent.fake_machine import ALONE, Machine, machine

__all__ = ["machine"]


def test_what_is_not_given_is_this_machine_s(machine: Machine) -> None:
    machine.configure()
    wanted = etcdctl.environment(machine.paths, ("get", "k"), {"HOME": "/root", "TERM": "x"})
    assert wanted == {
        "HOME": "/root",
        "TERM": "x",
        "ETCDCTL_ENDPOINTS": "https://10.0.0.1:2379",
        "ETCDCTL_CACERT": f"{machine.paths.pki}/ca.crt",
        "ETCDCTL_CERT": f"{machine.paths.pki}/server.crt",
        "ETCDCTL_KEY": f"{machine.paths.pki}/server.key",
    }


def test_what_is_given_stays_and_is_never_set_twice(machine: Machine) -> None:
    machine.configure()
    words = ("--endpoints", "a", "--key=b", "--cacerts", "get")
    wanted = etcdctl.environment(machine.paths, words, {"ETCDCTL_CERT": "c", "ETCDCTL_CACERT": ""})
    assert wanted == {"ETCDCTL_CERT": "c", "ETCDCTL_CACERT": f"{machine.paths.pki}/ca.crt"}


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_no_proxy_is_between_a_cluster_and_its_etcdctl(machine: Machine, name: str) -> None:
    machine.configure()
    assert name not in etcdctl.environment(machine.paths, (), {name: "http://proxy"})


@pytest.mark.parametrize(
    ("words", "given", "expected"),
    [
        (("get", "k"), {}, True),
        (("get", "k"), {"ETCDCTL_USER": ""}, True),
        (("get", "k"), {"ETCDCTL_USER": "root:p"}, False),
        (("--user", "root"), {}, False),
        (("--user=root:p", "get"), {}, False),
        (("get", "-h"), {}, False),
        (("--help",), {}, False),
    ],
)
def test_when_a_login_is_hinted_at(
    words: tuple[str, ...], given: dict[str, str], expected: bool
) -> None:
    assert etcdctl.needs_login(words, given) is expected


# ---- as a program of its own


def put(machine: Machine, script: str, cluster: str = "etcd") -> None:
    program = machine.root / f"opt/etcd/clusters/{cluster}/bin/etcdctl"
    machine.write(program, f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def call(machine: Machine, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    # Its signal handlers are not this process's.
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    return frame.main(commands.NODE, ["etcdctl", *words])


def test_its_words_are_not_read_and_its_status_is_ours(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    machine.configure()
    monkeypatch.setenv("TERM", "some")
    put(machine, 'echo "$# $*|$ETCDCTL_ENDPOINTS|$TERM"; exit 5')
    with pytest.raises(SystemExit) as ended:
        call(machine, monkeypatch, "get", "--prefix", "", "a b")
    assert ended.value.code == 5
    captured = capfd.readouterr()
    assert captured.out == "4 get --prefix  a b|https://10.0.0.1:2379|some\n"
    assert "etcd wants a login for most things" in captured.err


def test_who_gives_a_login_is_not_told_to(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    machine.configure()
    put(machine, "exit 5")
    with pytest.raises(SystemExit):
        call(machine, monkeypatch, "--user", "root", "get")
    assert capfd.readouterr() == ("", "")


def test_help_is_etcdctl_s_own(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    machine.configure()
    put(machine, "echo theirs")
    with pytest.raises(SystemExit) as ended:
        call(machine, monkeypatch, "--help")
    assert (ended.value.code, capfd.readouterr()) == (0, ("theirs\n", ""))


def test_which_cluster_is_meant(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ETCD_CLUSTER", raising=False)
    assert call(machine, monkeypatch, "get") == 1
    assert "this machine has no instance of any cluster" in capfd.readouterr().err
    machine.configure()
    text = machine.paths.configuration.read_text()
    machine.write(machine.root / "etc/etcd/another/etcd.yaml", text)
    put(machine, "echo one")
    put(machine, "echo two", "another")
    for cluster, said in {"": "one\n", "another": "two\n"}.items():
        monkeypatch.setenv("ETCD_CLUSTER", cluster)
        with pytest.raises(SystemExit):
            call(machine, monkeypatch, "get")
        assert capfd.readouterr() == (said, "")
    machine.paths.configuration.unlink()
    monkeypatch.setenv("ETCD_CLUSTER", "")
    with pytest.raises(SystemExit):
        call(machine, monkeypatch, "get")
    assert capfd.readouterr().out == "two\n"
    monkeypatch.setenv("ETCD_CLUSTER", "../x")
    assert call(machine, monkeypatch, "get") == 1
    monkeypatch.setenv("ETCD_CLUSTER", "third")
    assert call(machine, monkeypatch, "get") == 1
    assert "clusters/third/bin/etcdctl is missing" in capfd.readouterr().err


_CALL = (
    # Whoever runs the tests may ignore it, as nohup does.
    f"{ALONE}import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL);"
    "from etcd_component.agent.etcdctl import _run_to_its_end as run;"
    "sys.exit(run(sys.argv[1:], {'PATH': '/usr/bin:/bin'}))"
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_it_ends_etcdctl(tmp_path: Path, number: signal.Signals) -> None:
    script = f"echo $$ >{tmp_path}/pid; exec sleep 60"
    running = subprocess.Popen([sys.executable, "-c", _CALL, "sh", "-c", script])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.02)
    time.sleep(0.1)
    running.send_signal(number)
    assert running.wait(10) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_keyboard_s_interrupt_is_for_etcdctl_to_take(tmp_path: Path) -> None:
    script = f"trap 'exit 7' INT; echo $$ >{tmp_path}/pid; while :; do sleep 0.1; done"
    words = [sys.executable, "-c", _CALL, "sh", "-c", script]
    running = subprocess.Popen(words, start_new_session=True)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(10) == 7


# ---- the wrapper


def test_somebody_else_s_etcdctl_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    wrapper = tmp_path / "etcdctl"
    monkeypatch.setattr(etcdctl, "ETCDCTL", wrapper)
    etcdctl.install()
    lines = wrapper.read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines[1].startswith("# Written by etcd-node")
    assert [line for line in lines if not line.startswith("#")] == [
        'exec /usr/local/sbin/etcd-node etcdctl "$@"'
    ]
    assert wrapper.stat().st_mode & 0o777 == 0o755
    wrapper.write_text("#!/bin/sh\n# Written by etcd-node: of an older version\n")
    etcdctl.install()
    assert wrapper.read_text().splitlines() == lines
    wrapper.write_text("theirs")
    etcdctl.install()
    assert wrapper.read_text() == "theirs"
