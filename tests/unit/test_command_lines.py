"""What login shells make of the command lines that are sent, and what travels on standard input."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from unittest import mock

import pulumi
import pytest
from pulumi.runtime.rpc import UNKNOWN

from etcd_component import contact, previous
from etcd_component.model import Permission, Role
from tests.unit.recording import Recording, cluster, record

SHELLS = ("sh", "bash", "dash", "zsh", "fish", "tcsh")
"""Login shells that people have. `sh` is always there, the others where they are installed."""

HOSTILE = (
    *(
        "",
        " ",
        "it's",
        "''",
        "'a'",
        "a\\",
        "\\",
        "\\\\",
        "\\n",
        "\\'",
        "!",
        "!!",
        "a!b",
        "!x",
        "\\!",
    ),
    *("{a,b}", "{version}", "^a^b", "$HOME", "$(id)", "`id`", "~", "~root", "=ls", "%self", "%1"),
    *("*", "?", "[a]", "(x)", "#x", "a;b", "&&", "|", "<x", ">x", '"q"', "a b", "é漢", "a=b", "-x"),
)


def _shells() -> list[str]:
    return [one for one in SHELLS if shutil.which(one)]


def _read_by(shell: str, script: str, printer: Path) -> list[list[str]]:
    """The words that this shell hands on of each command line, the program's own left out."""
    done = subprocess.run(
        [shell, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{printer}:/usr/bin:/bin", "HOME": str(printer)},
    )
    assert done.returncode == 0, (shell, done.stderr)
    return [line.split("\0")[:-1] for line in done.stdout.split("\n")[:-1]]


@pytest.fixture
def printer(tmp_path: Path) -> Path:
    """A directory in which `sudo` prints its arguments."""
    program = tmp_path / "sudo"
    program.write_text("#!/bin/sh\nfor one; do printf '%s\\0' \"$one\"; done\necho\n")
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("shell", _shells())
def test_every_login_shell_reads_hostile_words_as_they_are(shell: str, printer: Path) -> None:
    options = [*HOSTILE, *itertools.permutations(HOSTILE[:15], 2)]
    line = contact.command_line(["sudo"], options)
    wanted = [word for one in options for word in ([one] if isinstance(one, str) else one)]
    assert _read_by(shell, line, printer) == [wanted]


@pytest.fixture(scope="module")
def hostile() -> Recording:
    """A cluster with everything on it that has a command line, under values that are allowed."""
    keys = [one for one in HOSTILE if one]
    roles = (
        Role("hostile", tuple(Permission("readwrite", "prefix", one) for one in keys)),
        Role("ranges", tuple(Permission("read", "range", one, one + "~") for one in keys)),
        Role("all", (Permission("write", "prefix", ""),)),
    )
    return record(cluster(3, roles=roles))


def test_a_command_line_is_made_of_plain_words(hostile: Recording, printer: Path) -> None:
    lines = [
        line
        for one in hostile.node_commands.values()
        for name in ("create", "update", "delete")
        if isinstance(line := one.inputs.get(name), str)
    ]
    assert len(lines) > 30
    for line in lines:
        assert line.startswith("sudo -n "), line
    for shell in _shells():
        read = _read_by(shell, "\n".join(lines), printer)
        for line, words in zip(lines, read, strict=True):
            # Nothing was lost or added on the way: quoted again, it is the same.
            again = " ".join(map(contact.quoted, words))
            assert again == line.removeprefix("sudo ").replace(" \\\n  ", " "), shell


def test_what_no_shell_keeps_is_refused() -> None:
    for word in ("a\nb", "a\x00", "\x1b[0m", "a\r"):
        with pytest.raises(ValueError, match="do not print"):
            contact.quoted(word)


# ---- what is sent on standard input


def test_a_machine_without_the_program_is_spoken_to_with_what_is_sent(hostile: Recording) -> None:
    """Create, update and delete get the same standard input, so the command line says which."""
    one = hostile.command("etcd-1-node").inputs
    assert one["create"].startswith("sudo -n sh -s -- claim ")
    assert one["update"].startswith("sudo -n sh -s -- claim ")
    assert one["delete"].startswith("sudo -n sh -s -- uninstall ")
    assert one["stdin"] == contact.start("etcd-node")


@pytest.mark.parametrize("text", [contact.log_in("etcd-node"), contact.start("etcd-node")])
@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_a_transfer_that_broke_off_does_nothing(shell: str, text: str) -> None:
    if not shutil.which(shell):
        assert shell != "sh"
        return
    assert subprocess.run([shell, "-n"], input=text, text=True, check=False).returncode == 0
    for cut in (10, 300, 2000, len(text) // 2, len(text) - 40, len(text) - 3):
        done = subprocess.run(
            # It would fail at its first command, and differently.
            [shell, "-s", "--", "status"],
            input=text[:cut],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert done.returncode != 0, cut
        assert "yntax" in done.stderr or "nexpected" in done.stderr or "unterminated" in done.stderr
        assert done.stdout == ""


# ---- proof that the program has spoken


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "\n",
        "This account is currently not available.\n",
        "sudo -n sh -s -- claim --cluster etcd\n",
        contact.start("etcd-node"),
        "it ran [etcd-node rollout done]\nand then something else\n",
        "[etcd-node rollout done]",
    ],
)
def test_what_is_no_proof(stdout: str) -> None:
    assert not contact.proves(stdout)


def test_the_last_line_of_a_run_is_proof() -> None:
    assert contact.proves("etcd-1: fit\netcd-1: fit [etcd-node claim done]\n")
    assert contact.proves("etcd-3 is removed [etcd-node remove-member done]")
    assert contact.proves("all 3 targets are scraped [etcd-monitor serve done]")


def test_a_run_without_proof_fails_and_nothing_follows_it() -> None:
    for name, said in (("etcd-1-node", "Welcome!"), ("etcd-2-tls", "a secret")):
        recording = Recording()
        with pytest.raises(pulumi.RunError) as failed:
            record(cluster(3), state={name: {"stdout": said}}, recording=recording)
        told = str(failed.value)
        assert told.startswith(f"{name}: admin@10.10.10.1")
        assert "our program did not run there" in told
        assert "forced command" in told
        # What comes on standard input may be echoed.
        assert ("It answered 'Welcome!'" in told) is (name == "etcd-1-node")
        assert "a secret" not in told
        commands = set(recording.commands)
        assert name in commands
        assert "etcd-1-rollout" not in commands
        if name == "etcd-1-node":
            assert not {"etcd-1-binary", "etcd-1-tls", "etcd-1-config", "etcd-1-member"} & commands


def test_what_depends_on_a_command_that_failed_still_does() -> None:
    # So it is for the program after `--continue-on-error` and `--target`: nothing is known of it.
    recording = record(cluster(), state={"etcd-1-rollout": {"stdout": UNKNOWN}})
    needs = recording.command("etcd-2-rollout").needs
    assert ("command:remote:Command", "etcd-1-rollout") in needs


def test_a_preview_asks_for_no_proof() -> None:
    state = {"etcd-1-node": {"stdout": "nothing that proves anything"}}
    assert "etcd-1-rollout" in record(cluster(1), preview=True, state=state).commands


def _logging(stdout: str, *before: str) -> object:
    """How a Command is registered after a run that printed this, and was registered like that."""
    inputs = {"create": "etcd-node claim", **({"logging": before[0]} if before else {})}
    found = previous.Previous(
        commands={"etcd-1-node": previous.Command("etcd-1-node", inputs, stdout)}
    )
    with mock.patch("etcd_component.previous.found", return_value=found):
        return record(cluster(1)).command("etcd-1-node").inputs.get("logging")


def test_a_command_without_proof_runs_again_and_then_never_again() -> None:
    proof = "the machine is fit [etcd-node claim done]"
    assert _logging(proof) is None
    assert _logging("") == "stdoutAndStderr"
    assert _logging(proof, "stdoutAndStderr") == "stdoutAndStderr"
    assert _logging("", "stdoutAndStderr") is None


@pytest.mark.parametrize("shell", _shells())
def test_every_login_shell_loads_the_program_from_standard_input(shell: str) -> None:
    line, program = contact.loaded(["help"])
    done = subprocess.run([shell, "-c", line], input=program, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"usage: etcd-node COMMAND" in done.stdout


def test_a_program_that_comes_incomplete_does_nothing() -> None:
    line, program = contact.loaded(["help"])
    done = subprocess.run(["sh", "-c", line], input=program[:-1], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"etcd-node: this program came incomplete; run this again\n"
