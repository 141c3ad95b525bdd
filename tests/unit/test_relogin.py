"""Today's login in the state, without a machine being touched."""

import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from etcd_component import previous
from etcd_component.inventory import Plan
from etcd_component.model import Cluster
from etcd_component.previous import Previous
from etcd_component.recorded import login_of, revealed
from etcd_component.relogin import relogin, rewrite
from etcd_component.status import CannotRead
from tests.unit.exported import export
from tests.unit.recording import Recording, cluster
from tests.unit.test_logins import COMMAND, LOGINS, OTHER_KEY, again, as_logged_in, dialling

__all__ = ["again"]


def deployment_of(recording: Recording) -> Any:
    return json.loads(export(recording, revealed=True))["deployment"]


def logins_of(recording: Recording, deployment: Any) -> dict[str, Any]:
    """By Command that does something on a machine, of what it runs and of what its removal runs."""
    return {
        one["urn"].rpartition("::")[2]: (login_of(one["inputs"]), login_of(one["outputs"]))
        for one in deployment["resources"]
        if one["type"] == COMMAND and one["urn"].rpartition("::")[2] in recording.node_commands
    }


def inputs_of(recording: Recording, deployment: Any) -> dict[str, Any]:
    """All that reaches a machine when it differs, in the clear."""
    return {
        one["urn"]: revealed(one["inputs"])
        for one in deployment["resources"]
        if one["urn"].rpartition("::")[2] in dialling(recording)
    }


@pytest.mark.parametrize("login", LOGINS, ids="-".join)
def test_all_that_is_removed_or_looked_at_has_the_login_of_today_and_nothing_changes(
    again: Callable[..., Recording],
    login: dict[str, Any],
) -> None:
    model = as_logged_in(cluster(1), **login)
    today = model.instances[0].node.login
    first = again(cluster(1), Previous())
    deployment = deployment_of(first)

    done = rewrite(deployment, {(today.host, today.port): today})

    logins = logins_of(first, deployment)
    former = logins.pop("etcd-1-login")
    assert set(logins.values()) == {(today, today)}
    assert today not in former
    assert (done.commands, done.unknown) == (len(logins), ())
    after = again(model, previous.parse(json.dumps({"deployment": deployment})))
    assert inputs_of(after, deployment_of(after)) == inputs_of(after, deployment)


def test_a_machine_that_the_inventory_does_not_name_is_named(
    again: Callable[..., Recording],
) -> None:
    model = cluster(2)
    deployment = deployment_of(again(model, Previous()))
    before = json.dumps(deployment)
    one = model.instances[0].node.login
    done = rewrite(deployment, {(one.host, one.port): one})
    assert (done.commands, done.unknown) == (0, ("10.10.10.11",))
    assert json.dumps(deployment) == before


def relogged(exported: Any, model: Cluster) -> tuple[int, list[str]]:
    """How many Commands of a stack got another login, and each state that was given to Pulumi."""
    with (
        mock.patch("etcd_component.relogin.configured", return_value=Plan((model,), ())),
        mock.patch("etcd_component.backend.ask", return_value=json.dumps(exported)),
        mock.patch("etcd_component.backend.put") as put,
    ):
        done = relogin("prod", {})
    return done.commands, [call.args[1] for call in put.call_args_list]


def test_a_state_is_put_back_whole_and_only_where_a_login_is_another(
    again: Callable[..., Recording],
) -> None:
    model = cluster(1)
    exported = {"version": 3, "deployment": deployment_of(again(model, Previous()))}
    assert relogged(exported, model) == (0, [])
    commands, (state,) = relogged(exported, as_logged_in(model, private_key=OTHER_KEY))
    assert commands > 0
    assert json.loads(state)["version"] == 3
    former, now = (one["deployment"]["resources"] for one in (exported, json.loads(state)))
    assert [one["urn"] for one in now] == [one["urn"] for one in former]


def test_a_state_whose_update_was_cut_off_is_left_alone(again: Callable[..., Recording]) -> None:
    model = cluster(1)
    exported = {"version": 3, "deployment": deployment_of(again(model, Previous()))}
    exported["deployment"]["pending_operations"] = [{"type": "creating"}]
    with pytest.raises(CannotRead, match="was cut off"):
        relogged(exported, as_logged_in(model, private_key=OTHER_KEY))
