"""Who logs in is no part of the diff: another login to the same machine changes nothing."""

import dataclasses
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from etcd_component import previous
from etcd_component.model import Cluster, Login
from etcd_component.previous import Previous
from tests.unit.exported import export
from tests.unit.recording import PASSWORD, PRIVATE_KEY, Recording, Registered, cluster, record

OTHER_KEY = "-----BEGIN OPENSSH PRIVATE KEY----- of a colleague"
COMMAND, COPY = REMOTE = ("command:remote:Command", "command:remote:CopyToRemote")


def state_of(recording: Recording, *, revealed: bool = True, silent: str = "") -> Previous:
    """The state after an update that registered this; one Command may have left no proof."""
    return previous.parse(export(recording, stdout={silent: ""}, revealed=revealed))


def as_logged_in(model: Cluster, **login: Any) -> Cluster:
    """The same cluster by another login."""
    instances = [
        dataclasses.replace(
            one,
            node=dataclasses.replace(one.node, login=dataclasses.replace(one.node.login, **login)),
        )
        for one in model.instances
    ]
    return dataclasses.replace(model, instances=tuple(instances))


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recording]:
    """Registers a cluster on a stack with a state."""
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)

    def run(model: Cluster, state: Previous, **more: Any) -> Recording:
        with mock.patch("etcd_component.previous.found", return_value=state):
            return record(model, **more)

    return run


def changed(before: Recording, after: Recording) -> set[str]:
    """Names of what a provider would update on machines."""
    return {
        name
        for (kind, name), one in after.resources.items()
        if kind in REMOTE and _compared(one) != _compared(before.resources[kind, name])
    } & dialling(after)


def dialling(recording: Recording) -> set[str]:
    """Names of what reaches a machine when it is updated."""
    return {*recording.node_commands, *(name for kind, name in recording.resources if kind == COPY)}


def _compared(one: Registered) -> dict[str, Any]:
    return {key: value for key, value in one.inputs.items() if key not in one.ignore_changes}


def connection(recording: Recording, name: str, kind: str = COMMAND) -> Any:
    return recording.resources[kind, name].inputs["connection"]["value"]


LOGINS: list[dict[str, Any]] = [
    {"private_key": OTHER_KEY},
    {"private_key": OTHER_KEY, "private_key_passphrase": "a passphrase"},
    {"private_key": None, "agent": True},
    {"user": "colleague"},
    {"user": "root", "sudo": False},
    {"bastion": Login("10.0.0.1", 22, "hop", False, OTHER_KEY, None, False, "ssh-ed25519 BBBB")},
    {"host_key": "ecdsa-sha2-nistp256 AAAA"},
    {"host_key": None},
]


@pytest.mark.parametrize("login", LOGINS, ids="-".join)
def test_another_login_changes_nothing(
    again: Callable[..., Recording], login: dict[str, Any]
) -> None:
    first = again(cluster(1), Previous())
    after = again(as_logged_in(cluster(1), **login), state_of(first))
    assert changed(first, after) == set()


def test_a_changed_setting_runs_with_the_login_of_today_and_nothing_else_does(
    again: Callable[..., Recording],
) -> None:
    first = again(cluster(2), Previous())
    model = as_logged_in(cluster(2, snapshot_count=5000), private_key=OTHER_KEY, user="colleague")
    after = again(model, state_of(first))
    rows = {f"etcd-{n}-{step}" for n in (1, 2) for step in ("config", "rollout")}
    assert changed(first, after) == rows
    for name in rows:
        assert connection(after, name)["user"] == "colleague"
        assert after.command(name).script.startswith("sudo -n /usr/local/sbin/etcd-node")
        assert after.command(name).is_secret("connection")
    assert connection(after, "etcd-1-tls")["user"] == "admin"


def test_root_runs_what_changes_without_sudo_and_what_stays_keeps_it(
    again: Callable[..., Recording],
) -> None:
    first = again(cluster(1), Previous())
    model = as_logged_in(cluster(1, snapshot_count=5000), user="root", sudo=False)
    after = again(model, state_of(first))
    assert after.command("etcd-1-config").script.startswith("/usr/local/sbin/etcd-node config")
    assert after.command("etcd-1-tls").script.startswith("sudo -n /usr/local/sbin/etcd-node tls")
    assert not after.command("etcd-1-tls").is_secret("create")


def test_where_the_claim_runs_again_the_agent_comes_to_the_login_of_today_first(
    again: Callable[..., Recording],
) -> None:
    first = again(cluster(1), Previous())
    model = as_logged_in(cluster(1, rm_data=False), user="colleague", private_key=OTHER_KEY)
    after = again(model, state_of(first))
    group = {"etcd-1-login", "etcd-1-agent", "etcd-1-node"}
    assert changed(first, after) == group
    path = after.resources[COPY, "etcd-1-agent"].inputs["remotePath"]
    assert "-colleague-" in path
    assert path in after.command("etcd-1-node").inputs["update"]
    assert path in after.command("etcd-1-node").inputs["delete"]
    assert connection(after, "etcd-1-login")["user"] == "colleague"
    assert connection(after, "etcd-1-agent", COPY)["user"] == "colleague"
    # The same user with another key finds what is there.
    same = again(as_logged_in(cluster(1, rm_data=False), private_key=OTHER_KEY), state_of(first))
    assert changed(first, same) == {"etcd-1-node"}


def test_what_was_brought_to_another_login_stays_where_the_claim_is_recorded_with_today_s(
    again: Callable[..., Recording],
) -> None:
    first = again(cluster(1), Previous())
    model = as_logged_in(cluster(1), user="colleague", private_key=OTHER_KEY)
    state = state_of(first)
    ours = state_of(again(model, Previous())).commands["etcd-1-node"]
    theirs = state.commands["etcd-1-node"]
    claim = dataclasses.replace(theirs, secrets=ours.secrets)
    state = dataclasses.replace(state, commands={**state.commands, "etcd-1-node": claim})
    after = again(model, state)
    assert changed(first, after) == {"etcd-1-node"}  # which is so in that state
    assert "-admin-" in after.resources[COPY, "etcd-1-agent"].inputs["remotePath"]


def test_a_login_that_brought_nothing_yet_is_followed_by_that_of_today(
    again: Callable[..., Recording],
) -> None:
    first = again(cluster(1), Previous())
    state = dataclasses.replace(state_of(first), copies={})
    after = again(as_logged_in(cluster(1), user="colleague"), state)
    assert connection(after, "etcd-1-login")["user"] == "colleague"


def test_another_agent_is_copied_by_the_login_of_today(
    again: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = again(cluster(1), Previous())
    state = state_of(first)
    (copy,) = state.copies.values()
    source = {**copy.inputs["source"], "hash": "0" * 64}
    older = dataclasses.replace(copy, inputs={**copy.inputs, "source": source})
    state = dataclasses.replace(state, copies={copy.name: older})
    after = again(as_logged_in(cluster(1), private_key=OTHER_KEY), state)
    assert changed(first, after) == {"etcd-1-agent"}


@pytest.mark.parametrize(
    "machine",
    [
        {"host": "10.10.10.99"},
        {"port": 2222},
        {"host_key": "ssh-ed25519 BBBB"},
        {"host": "10.10.10.99", "private_key": OTHER_KEY},
    ],
    ids="-".join,
)
def test_another_way_to_the_machine_is_a_change(
    again: Callable[..., Recording], machine: dict[str, Any]
) -> None:
    first = again(cluster(1), Previous())
    after = again(as_logged_in(cluster(1), **machine), state_of(first))
    assert changed(first, after) == dialling(first)


def test_a_host_key_is_pinned_where_none_was(again: Callable[..., Recording]) -> None:
    first = again(as_logged_in(cluster(1), host_key=None), Previous())
    after = again(cluster(1), state_of(first))
    assert "etcd-1-config" in changed(first, after)


def test_what_left_no_proof_runs_again_by_the_login_of_today(
    again: Callable[..., Recording],
) -> None:
    first = again(cluster(1), Previous())
    state = state_of(first, silent="etcd-1-tls")
    after = again(as_logged_in(cluster(1), private_key=OTHER_KEY), state)
    assert changed(first, after) == {"etcd-1-tls"}
    assert connection(after, "etcd-1-tls")["privateKey"] == OTHER_KEY


def test_what_a_preview_does_not_know_is_a_difference_and_the_rest_is_shown(
    again: Callable[..., Recording],
) -> None:
    first = again(cluster(1), Previous())
    # In a preview of the tests no certificate is known.
    after = again(as_logged_in(cluster(1), private_key=OTHER_KEY), state_of(first), preview=True)
    assert connection(after, "etcd-1-tls")["privateKey"] == OTHER_KEY
    assert connection(after, "etcd-1-config")["privateKey"] == PRIVATE_KEY
    assert (
        after.command("etcd-1-tls").inputs["create"] == first.command("etcd-1-tls").inputs["create"]
    )


def test_without_the_secrets_of_the_state_the_login_is_today_s(
    again: Callable[..., Recording],
) -> None:
    first = again(cluster(1), Previous())
    after = again(as_logged_in(cluster(1), private_key=OTHER_KEY), state_of(first, revealed=False))
    assert connection(after, "etcd-1-config")["privateKey"] == OTHER_KEY


def test_secrets_of_the_state_are_in_no_text(again: Callable[..., Recording]) -> None:
    state = state_of(again(cluster(1), Previous()))
    assert PRIVATE_KEY in str(state.commands["etcd-1-config"].secrets)
    for secret in (PRIVATE_KEY, PASSWORD):
        assert secret not in repr(state)
        assert secret not in repr(state.commands["etcd-1-member"].login)


def test_what_should_be_says_nothing_of_who_logs_in(again: Callable[..., Recording]) -> None:
    first = again(cluster(1), Previous())
    after = again(as_logged_in(cluster(1), user="root", sudo=False), state_of(first))
    one, other = (
        recording.resources["etcd:index:Instance", "etcd-1"].outputs for recording in (first, after)
    )
    assert one == other
