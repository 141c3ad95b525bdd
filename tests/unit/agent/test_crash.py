"""Why etcd does not run, read from its journal."""

from __future__ import annotations

import pytest

from etcd_component.agent.crash import Crash, kind_of, last_words, look, read
from etcd_component.agent.systemd import UnitState


def words(*lines: str) -> str:
    return last_words(lines)


def test_a_panic_of_the_log_says_more_than_the_one_of_the_language() -> None:
    line = '{"level":"panic","msg":"tocommit(12) is out of range [lastIndex(0)]"}'
    assert words(line, "panic: tocommit", "goroutine 1 [running]:").startswith("tocommit(12)")
    assert words("panic: assertion failed: x", "goroutine 1") == "panic: assertion failed: x"


def test_a_panic_of_the_language_alone_counts_once_for_each_start() -> None:
    assert words("panic: one", "panic: two") == "panic: one"
    assert words("panic: one", "Starting etcd", "panic: two") == "panic: two"
    assert words("panic: one", "Stopped etcd", "fatal error: two") == "fatal error: two"
    assert words("unexpected fault address 0x1") == "unexpected fault address 0x1"


def test_the_error_belongs_to_the_message() -> None:
    line = '{"level":"fatal","msg":"discovery failed","error":"wal: \\"crc\\" mismatch\\nhere"}'
    assert words(line) == "discovery failed: wal: 'crc' mismatch here"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            '{"level":"warn","msg":"failed to verify flags","error":"x"}',
            "failed to verify flags: x",
        ),
        ('{"level":"error","msg":"failed to load config"}', "failed to load config"),
        ('{"level":"error","msg":"checkInitialHashKV failed"}', "checkInitialHashKV failed"),
        ('{"msg":"checkInitialHashKV failed","level":"warn"}', "checkInitialHashKV failed"),
        ('{"level":"warn","msg":"slow"}', ""),
        ('{"level":"info","msg":"failed to verify flags"}', ""),
        ('{"level":"error","msg":"something else"}', ""),
    ],
)
def test_few_warnings_are_last_words(line: str, found: str) -> None:
    assert words(line) == found


def test_other_forms() -> None:
    assert words("2026-01-01\tfatal\tetcdmain/main.go\tbad") == "etcdmain/main.go\tbad"
    foreign = "the data in /data/member are those of another member of this cluster, so no"
    assert words(foreign) == foreign


def test_one_that_was_ready_after_them_left_no_last_words() -> None:
    fatal = '{"level":"fatal","msg":"bad"}'
    assert words(fatal, '{"msg":"ready to serve client requests"}') == ""
    assert words(fatal, "Started etcd.service - etcd") == ""
    assert words("Started etcd.service", fatal) == "bad"
    assert words(fatal, '{"level":"fatal"}') == "bad"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("listen tcp 10.0.0.1:2380: bind: address already in use", "machine"),
        ("cannot assign requested address", "machine"),
        ("open /data/etcd/member/snap/db: permission denied", "machine"),
        ("Permission denied", "machine"),
        ("operation not permitted", "machine"),
        ("read-only file system", "machine"),
        ("write wal: no space left on device", "machine"),
        ("disk quota exceeded", "machine"),
        ("too many open files", "machine"),
        ("cannot allocate memory", "machine"),
        ("out of memory", "machine"),
        ("tls: failed to find any PEM data", "machine"),
        ("x509: expired", "machine"),
        ("Certificate has expired", "machine"),
        ("private key does not match", "machine"),
        ("error verifying flags, unknown", "machine"),
        ("failed to load config: yaml", "machine"),
        ("flag provided but not defined", "machine"),
        ("lookup etcd-1: no such host", "machine"),
        ("open /etc/etcd/etcd/etcd.yaml: gone", "machine"),
        ("tocommit(12) is out of range [lastIndex(0)]", "data"),
        ("checkInitialHashKV failed: found data inconsistency with peers", "data"),
        ("database file is corrupted", "data"),
        ("Corruption", "data"),
        ("wal: crc mismatch", "data"),
        ("page 3: multiple references", "data"),
        ("freelist: bad", "data"),
        ("failed to open a bbolt", "data"),
        ("version mismatch", "data"),
        ("no snapshot", "data"),
        ("unexpected EOF", "data"),
        ("entry 5 is in conflict with committed entry", "data"),
        ("panic: assertion failed: tx closed", "data"),
        ("unexpected fault address 0x7f", "data"),
        ("fatal error: fault", "data"),
        ("file size too small", "data"),
        ("read /data: input/output error", "data"),
        ("the member has been permanently removed", "data"),
        ("the data in /x are those of another member of this", "data"),
        ("cluster ID mismatch", "data"),
        ("nil pointer dereference", "data"),
        ("proto: illegal tag", "data"),
        ("failed to unmarshal", "data"),
        ("required revision has been compacted", "data"),
        ("member 8e has already been bootstrapped", "unknown"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def test_what_the_machine_lacks_comes_before_what_the_data_lack() -> None:
    assert kind_of("cannot open database: no space left on device") == "machine"


def test_it_is_bounded_and_plain() -> None:
    found = read('{"level":"fatal","msg":"' + "é\u202e" + "x" * 500 + '"}')
    assert found == Crash("x" * 300, "unknown")
    assert read("") == Crash("", "")
    assert not read("{}")


def test_the_cure_is_named_only_where_it_is_one() -> None:
    assert str(Crash()) == ""
    assert str(Crash("bad disk", "machine")) == "does not run: bad disk"
    said = str(Crash("tocommit", "data"))
    assert said.startswith("does not run: tocommit; a raised etcd_reseat has it joined again")


def test_one_that_runs_has_no_crash() -> None:
    active = UnitState("active", "running", 0, False, 1, False, (), "", True)
    assert look("etcd.service", active) == Crash()
