"""What `--replace` would break is refused before anything is registered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etcd_component.previous import UNKNOWN, Previous, parse
from etcd_component.replacements import demanded, refusals

BEGINNING = "urn:pulumi:prod::etcd::etcd:index:Cluster$"
INSTANCE = f"{BEGINNING}etcd:index:Instance$command:remote:Command::"
CA = f"{BEGINNING}etcd:index:Pki$tls:index"


def resource(urn: str, **more: Any) -> dict[str, Any]:
    kind = urn.split("::")[2].rpartition("$")[2]
    return {"urn": urn, "type": kind, "inputs": {"create": "sudo etcd-node"}, **more}


def state(*more: dict[str, Any]) -> Previous:
    steps = ("node", "config", "member", "rollout")
    commands = [f"{INSTANCE}etcd-{seq}-{step}" for seq in (1, 2, 3) for step in steps]
    resources = [
        *map(resource, commands),
        resource(f"{BEGINNING}command:remote:Command::etcd-genesis", inputs={"triggers": ["a"]}),
        resource(f"{BEGINNING}pulumi:index:Stash::etcd-owner", outputs={"output": ["0123"]}),
        resource(f"{CA}/privateKey:PrivateKey::etcd-ca"),
        resource(f"{CA}/selfSignedCert:SelfSignedCert::etcd-ca"),
        resource(f"{BEGINNING}etcd:index:Instance$tls:index/privateKey:PrivateKey::etcd-1"),
        resource(
            "urn:pulumi:prod::etcd::etcd:index:Monitor$command:remote:Command::monitor-1.2.3.4-node"
        ),
        resource(f"{BEGINNING}command:remote:Command::etcd-user-node"),
        resource(
            "urn:pulumi:prod::etcd::etcd:index:Monitor$tls:index/selfSignedCert:SelfSignedCert::"
            "monitor-ca"
        ),
        *more,
    ]
    return parse(json.dumps({"deployment": {"resources": resources}}))


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (f"{INSTANCE}etcd-1-node", "etcd-1 would be taken off its machine, data included"),
        ("**etcd-2-node", "raise etcd_repair on its host"),
        ("**monitor-1.2.3.4-node", "the monitor would be taken off its machine"),
        ("**etcd-genesis", "remembered for ever"),
        ("**::etcd-owner", "remembered for ever"),
        (f"{CA}/privateKey:PrivateKey::etcd-ca", "with another CA at once"),
        ("**SelfSignedCert::etcd-ca", "takes over from another in steps"),
        ("**-member", "etcd-1, etcd-2, etcd-3: these members of cluster etcd would leave it"),
    ],
)
def test_what_would_break_is_refused_with_what_to_do_instead(pattern: str, problem: str) -> None:
    (found,) = refusals(state(), [pattern])
    assert problem in str(found)


@pytest.mark.parametrize(
    "pattern",
    [
        f"{INSTANCE}etcd-1-member",
        "**etcd-1-config",
        "**-rollout",
        "**PrivateKey::etcd-1",
        # The engine, too, lets one star end at a colon.
        "*etcd-1-node",
        f"{INSTANCE}etcd-9-node",
        "**etcd-user-node",
        "**monitor-ca",
    ],
)
def test_what_may_be_made_anew_is_not(pattern: str) -> None:
    assert refusals(state(), [pattern]) == ()


def test_what_the_state_has_as_tainted_is_replaced_without_an_option() -> None:
    (found,) = refusals(state(resource(f"{INSTANCE}etcd-4-node", taint=True)), [])
    assert found.place == "`taint` of etcd-4-node"


def test_where_the_state_is_not_known_nothing_is_replaced() -> None:
    assert "nobody looked" in str(refusals(UNKNOWN, ["**etcd-1-config"]))
    assert refusals(UNKNOWN, []) == ()


def test_the_demand_is_in_options_and_in_the_environment() -> None:
    words = ["pulumi", "up", "--replace", "one", "--target-replace=two", "--yes", "--replace"]
    assert demanded(words, {}) == ("one", "two")
    assert demanded([], {"PULUMI_OPTION_TARGET_REPLACE": "three,four"}) == ("three", "four")
