"""`make preflight`: all machines of an inventory are asked; no state is needed, nothing changes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from etcd_component import preflight
from etcd_component.__main__ import main
from etcd_component.status import CannotRead

_PULUMI = """#!/bin/sh
case "$1 $2" in
'config --json') cat {place}/configuration.json ;;
'stack export') cat {place}/state.json || exit 1 ;;
*) echo "error: no stack named '$*'" >&2; exit 1 ;;
esac
"""
# What a machine is asked, and what it answers, stands in files by its address.
_SSH = """#!/bin/sh
[ "$1" != -G ] || exec /usr/bin/ssh "$@"
host=$(sed -n 's/^ *HostName //p' "$2")
for last; do :; done
printf '%s' "$last" >{place}/$host.command
wc -c >{place}/$host.bytes
cat {place}/$host.out
cat {place}/$host.err >&2 2>/dev/null
exit "$(cat {place}/$host.status)"
"""
_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"
FIT = "etcd-1: the machine is fit (amd64, 9000 MiB free)\n"
PROOF = "etcd-1: the machine is fit (amd64, 9000 MiB free) [etcd-node preflight done]\n"
UNFIT = """\
etcd-node: this machine cannot be etcd-2 yet; nothing was changed:
  - the peer port 2380 is held by `perl` (process 7). Cure: stop it.
  - /opt is mounted with noexec. Cure: mount it without.
"""


class Stack:
    """A stack of two machines, and what they answer."""

    def __init__(self, place: Path) -> None:
        self.place = place
        inventory = {
            "etcd": {
                "hosts": {
                    "10.0.0.1": {"etcd_seq": 1},
                    "10.0.0.2": {"etcd_seq": 2, "ansible_user": "ops"},
                },
                "vars": {"etcd_cluster": "etcd", "etcd_data": "/srv/etcd", "etcd_quota": "4GiB"},
            }
        }
        values = {
            "etcd:inventory": {"value": json.dumps(inventory), "objectValue": inventory},
            "etcd:sshPrivateKey": {"value": _KEY, "secret": True},
            "etcd:sshHostKeyChecking": {"value": "false"},
        }
        (place / "configuration.json").write_text(json.dumps(values))
        self.has_in_its_state()
        self.answer("10.0.0.1", FIT + PROOF)
        self.answer("10.0.0.2", (FIT + PROOF).replace("etcd-1", "etcd-2"))

    def has_in_its_state(self, **owners: str) -> None:
        """Nothing but who made the clusters: the first update was cut off."""
        resources: list[dict[str, Any]] = [
            {
                "urn": f"urn:pulumi:prod::etcd::etcd:index:{kind}$pulumi:index:Stash::{name}",
                "type": "pulumi:index:Stash",
                "inputs": {"input": owner},
                "outputs": {"input": owner, "output": owner},
            }
            for kind, name, owner in (
                *(("Cluster", f"{cluster}-owner", owner) for cluster, owner in owners.items()),
                ("Monitor", "etcd-owner", "the monitor's"),
            )
        ]
        role = {"type": "command:remote:Command", "inputs": {"delete": "etcd-node drop-role"}}
        stem = "urn:pulumi:prod::etcd::etcd:index:Cluster$command:remote:Command"
        resources.append(role | {"urn": f"{stem}::etcd-role-owner"})
        state = {"version": 3, "deployment": {"resources": resources} if owners else None}
        (self.place / "state.json").write_text(json.dumps(state))

    def answer(self, host: str, out: str = "", err: str = "", status: int = 0) -> None:
        for name, text in (("out", out), ("err", err), ("status", str(status))):
            (self.place / f"{host}.{name}").write_text(text)

    def asked(self, host: str) -> list[str]:
        return shlex.split((self.place / f"{host}.command").read_text())


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    for name, text in (("pulumi", _PULUMI), ("ssh", _SSH)):
        (tmp_path / name).write_text(text.format(place=tmp_path))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Stack(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["etcd_component", "preflight", "prod"])
    return int(main()), capsys.readouterr().out


def test_a_line_for_each_machine_that_is_fit(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = run(monkeypatch, capsys)
    assert status == 0
    assert said.splitlines() == [
        "etcd-1 (10.0.0.1): the machine is fit (amd64, 9000 MiB free)",
        "etcd-2 (10.0.0.2): the machine is fit (amd64, 9000 MiB free)",
    ]


def test_each_is_asked_for_its_own_instance_and_gets_the_program(stack: Stack) -> None:
    preflight.preflight("prod", {})
    first, second = stack.asked("10.0.0.1"), stack.asked("10.0.0.2")
    assert first[0] == "python3"
    assert second[:3] == ["sudo", "-n", "python3"]
    assert first[first.index("preflight") :][:5] == [
        *("preflight", "--cluster", "etcd", "--owner", "none"),
    ]
    for option, value in (
        ("--name", "etcd-2"),
        ("--address", "10.0.0.2"),
        ("--data", "/srv/etcd"),
        ("--quota", str(4 << 30)),
        ("--peers", "etcd-1=https://10.0.0.1:2380"),
    ):
        assert second[second.index(option) + 1] == value
    assert int((stack.place / "10.0.0.1.bytes").read_text()) > 100_000


def test_machines_of_a_first_update_that_was_cut_off_are_the_stack_s_own(stack: Stack) -> None:
    stack.has_in_its_state(etcd="0123", other="4567")
    preflight.preflight("prod", {})
    words = stack.asked("10.0.0.1")
    assert words[words.index("--owner") + 1] == "0123"


def test_one_that_is_not_fit_says_all_of_it_and_the_status_is_1(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.answer("10.0.0.2", "warning: etcd-2: the disk is slow\n", UNFIT, 1)
    status, said = run(monkeypatch, capsys)
    assert status == 1
    assert "etcd-1 (10.0.0.1): the machine is fit" in said
    assert "etcd-2 (10.0.0.2): not fit:\n  - the peer port 2380 is held by `perl`" in said
    assert "  - /opt is mounted with noexec. Cure: mount it without.\n" in said
    assert "  warning: etcd-2: the disk is slow\n" in said


@pytest.mark.parametrize(
    ("out", "err", "status", "words"),
    [
        ("", "ssh: connect to host 10.0.0.1 port 22: Connection refused\n", 255, "refused"),
        ("", "sh: python3: not found\n", 127, "install the package `python3`"),
        # A forced command that says yes to all.
        ("welcome\n", "", 0, "not that of etcd-node, but `welcome`"),
        (FIT, "", 0, "not that of etcd-node"),
    ],
)
def test_a_machine_that_does_not_answer_is_not_fit(
    stack: Stack, out: str, err: str, status: int, words: str
) -> None:
    stack.answer("10.0.0.1", out, err, status)
    first, second = preflight.preflight("prod", {})
    assert (first.is_fit, second.is_fit) == (False, True)
    assert "could not be looked at" in first.words
    assert words in first.words


def test_a_stack_that_cannot_be_read_is_an_error(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = json.loads((stack.place / "configuration.json").read_text())
    values = {**good}
    values["etcd:inventory"] = {"value": "{}"}
    (stack.place / "configuration.json").write_text(json.dumps(values))
    assert run(monkeypatch, capsys) == (3, "")
    (stack.place / "state.json").unlink()
    (stack.place / "configuration.json").write_text(json.dumps(good))
    with pytest.raises(CannotRead, match="does not give the state of the stack prod"):
        preflight.preflight("prod", {})
    (stack.place / "configuration.json").unlink()
    with pytest.raises(CannotRead, match="does not give the configuration of the stack prod"):
        preflight.preflight("prod", {})
