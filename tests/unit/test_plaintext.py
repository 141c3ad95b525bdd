"""A secret that stands in a stack file in plain text is told, without its value."""

from __future__ import annotations

from typing import Any

import pytest

from etcd_component.plaintext import plain_secrets

SECRET = "s3cret-4711"


def warnings(config: dict[str, Any], *encrypted: str) -> list[str]:
    return plain_secrets(config.get, lambda key: key in encrypted)


@pytest.mark.parametrize(
    "key", ["etcd_root_password", "etcd_ca_key", "sshPrivateKey", "sshPrivateKeyPassphrase"]
)
def test_a_plain_secret_is_named_and_an_encrypted_one_is_not(key: str) -> None:
    (said,) = warnings({key: SECRET})
    assert f"etcd:{key} is in the stack file in plain text" in said
    assert f"`pulumi config set --secret 'etcd:{key}'`" in said
    assert SECRET not in said
    assert warnings({key: SECRET}, key) == []
    assert warnings({}) == []


def test_passwords_inside_the_inventory_are_found_by_their_path() -> None:
    inventory = {
        "etcd": {
            "hosts": {"10.10.10.10": {"etcd_seq": 1, "etcd_root_password": SECRET}},
            "vars": {
                "etcd_root_password": SECRET,
                "etcd_root_password_generation": 2,
                "etcd_users": {"app": {"password": SECRET, "roles": ["app"]}, "tool": {}},
            },
        }
    }
    said = warnings({"inventory": inventory})
    assert [one.split(" ", 1)[0] for one in said] == [
        'etcd:inventory.etcd.hosts["10.10.10.10"].etcd_root_password',
        "etcd:inventory.etcd.vars.etcd_root_password",
        "etcd:inventory.etcd.vars.etcd_users.app.password",
    ]
    assert all("--secret --path 'etcd:inventory." in one for one in said)
    assert SECRET not in "".join(said)
    assert warnings({"inventory": inventory}, "inventory") == []
