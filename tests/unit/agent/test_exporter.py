"""The exporter's units on a machine: put there, changed, refused and taken away."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from etcd_component.agent import exporter, files, host, paths, systemd
from etcd_component.agent.output import Refusal
from etcd_component.agent.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path

SERVICE, TIMER, SOCKET, ANSWER = Paths("etcd").exporter_units
SETTINGS = "name: etcd-1\ndata-dir: /data\n"


@dataclass
class Machine:
    units: Path
    run: Path
    active: set[str] = field(default_factory=set)
    fails: set[tuple[str, ...]] = field(default_factory=set)
    called: list[tuple[str, ...]] = field(default_factory=list)

    def systemctl(self, *words: str) -> bool:
        self.called.append(words)
        if words[0] == "restart":
            self.active |= set(words[1:])
        return words not in self.fails

    def put(self, *, remove: bool = False, **sections: str) -> None:
        names = {"service": SERVICE, "timer": TIMER, "socket": SOCKET, "answer": ANSWER}
        text = "".join(f"--- {names[name]}\n{body}\n" for name, body in sections.items())
        options = SimpleNamespace(cluster="etcd", remove=remove)
        run: Any = SimpleNamespace(options=options, stdin=text)
        exporter.run(run)

    @property
    def there(self) -> set[str]:
        return {path.name for path in self.units.iterdir()}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that is a directory, with an instance."""
    made = Machine(tmp_path / "units", tmp_path / "run")
    for directory in (made.units, made.run, tmp_path / "etc" / "etcd"):
        directory.mkdir(parents=True)
    (tmp_path / "etc" / "etcd" / "etcd.yaml").write_text(SETTINGS)
    monkeypatch.setattr(paths, "CONFIGURATIONS", tmp_path / "etc")
    monkeypatch.setattr(paths, "RUN", made.run)
    monkeypatch.setattr(exporter, "UNITS", made.units)
    monkeypatch.setattr(systemd, "systemctl", made.systemctl)
    monkeypatch.setattr(systemd, "is_active", lambda unit: unit in made.active)
    monkeypatch.setattr(host, "holder_of_port", lambda *_: None)
    monkeypatch.setattr(
        files, "atomic_write", lambda path, content, *_: path.write_text(str(content))
    )
    return made


def listening(port: int) -> str:
    return f"[Socket]\nListenStream=10.0.0.1:{port}"


def test_what_is_sent_is_there_and_what_is_not_goes(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.put(service="[Service]", timer="[Timer]", socket=listening(2381), answer="[Service]")
    assert machine.there == {SERVICE, TIMER, SOCKET, ANSWER}
    assert ("restart", TIMER, SOCKET) in machine.called
    assert "is given to whoever asks at 10.0.0.1:2381" in capsys.readouterr().out
    machine.called.clear()
    machine.put(service="[Service]", timer="[Timer]")
    assert machine.there == {SERVICE, TIMER}
    assert ("disable", "-q", "--now", SOCKET) in machine.called
    assert ("stop", f"{ANSWER[: -len('.service')]}*.service") in machine.called
    assert machine.called[-1] == ("restart", TIMER)


def test_nothing_changes_where_it_is_refused(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refusal, match=f"no section `--- {SERVICE}`"):
        machine.put(timer="[Timer]")
    with pytest.raises(Refusal, match="there is no directory /nowhere for node_exporter"):
        machine.put(service="ExecStart=/x metrics --textfile /nowhere")
    for holder, said in (("`perl` (process 1)", "`perl`"), ("", "the kernel")):
        monkeypatch.setattr(host, "holder_of_port", lambda *_, by=holder: by)
        with pytest.raises(Refusal, match=f"the port 2381, .* is held by {said}"):
            machine.put(service="[Service]", socket=listening(2381))
    assert (machine.there, machine.called) == (set(), [])


def test_its_own_port_is_not_another_s(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.put(service="[Service]", timer="[Timer]", socket=listening(2381))
    monkeypatch.setattr(host, "holder_of_port", lambda *_: "`systemd` (process 1)")
    machine.put(service="[Service]", timer="[Timer]", socket=listening(2381))
    with pytest.raises(Refusal, match="the port 2382"):
        machine.put(service="[Service]", timer="[Timer]", socket=listening(2382))
    machine.active.clear()
    with pytest.raises(Refusal, match="the port 2381"):
        machine.put(service="[Service]", timer="[Timer]", socket=listening(2381))


def test_what_cannot_start_is_said(machine: Machine) -> None:
    machine.fails = {("start", SERVICE)}
    with pytest.raises(Refusal, match="nothing could be written"):
        machine.put(service="[Service]", timer="[Timer]")
    machine.fails = {("restart", TIMER)}
    with pytest.raises(Refusal, match=f"{TIMER} cannot be started"):
        machine.put(service="[Service]", timer="[Timer]")


def test_nothing_is_left_when_it_is_taken_away(machine: Machine, tmp_path: Path) -> None:
    textfiles = tmp_path / "textfiles"
    (textfiles / "etcd-etcd.prom.part").mkdir(parents=True)
    (textfiles / "other.prom").write_text("")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    (textfiles / "etcd-etcd.prom.link").symlink_to(outside)
    machine.put(service=f"ExecStart=/x metrics --textfile {textfiles}", timer="[Timer]")
    (textfiles / "etcd-etcd.prom").write_text("")
    for name in ("etcd.prom", "etcd.prom.123", "other.prom"):
        (machine.run / name).write_text("")
    machine.put(remove=True)
    assert machine.there == set()
    assert [path.name for path in textfiles.iterdir()] == ["other.prom"]
    assert [path.name for path in machine.run.iterdir()] == ["other.prom"]
    assert (outside / "kept").exists()
    machine.called.clear()
    exporter.take_away(Paths("etcd"))
    assert machine.called == []


def test_units_are_known_by_a_checksum_while_they_are_at_work(machine: Machine) -> None:
    assert exporter.units_in_use(Paths("etcd")) == ""
    machine.put(service="[Service]", timer="[Timer]", socket=listening(2381), answer="[Service]")
    content = f"[Service]\n[Timer]\n{listening(2381)}\n[Service]\n"
    assert exporter.units_in_use(Paths("etcd")) == hashlib.sha256(content.encode()).hexdigest()
    machine.active.remove(SOCKET)
    assert exporter.units_in_use(Paths("etcd")) == "stopped"
    for name in (TIMER, SOCKET):
        (machine.units / name).unlink()
    assert exporter.units_in_use(Paths("etcd")) == "stopped"
