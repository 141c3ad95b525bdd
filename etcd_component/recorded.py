"""Values of a Pulumi state as `pulumi stack export` prints them."""

import json
from collections.abc import Mapping
from typing import Any, Final

from etcd_component.ssh import DEFAULT_PORT, Login

COMMAND: Final = "command:remote:Command"

_MARK: Final = "4dabf18193072939515e22adb298388d"
_OF_SECRETS: Final = "1b47061264138c4ac30d75fd1eb44270"


def is_secret(value: Any) -> bool:
    """Whether a value is secret; encrypted, or in the clear under the name `plaintext`."""
    # Assets and resources have the same mark with another value.
    return isinstance(value, Mapping) and value.get(_MARK) == _OF_SECRETS


def is_revealed(value: Any) -> bool:
    """Whether a value is secret and in the clear."""
    return is_secret(value) and "plaintext" in value


def revealed(value: Any) -> Any:
    """A value with what is secret in it in the clear."""
    if is_revealed(value):
        return revealed(json.loads(value["plaintext"]))
    if isinstance(value, dict):
        return {key: revealed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [revealed(each) for each in value]
    return value


def sealed(value: Any) -> dict[str, Any]:
    """A value as a secret, as `pulumi stack import` takes it and encrypts it."""
    return {_MARK: _OF_SECRETS, "plaintext": json.dumps(value)}


def login_of(inputs: Mapping[str, Any]) -> Login:
    """How a Command of a state gets to its machine; `inputs` with secrets in the clear."""
    script = str(inputs.get("delete") or inputs.get("create") or "")
    return _login(revealed(inputs["connection"]), sudo=script.startswith("sudo"))


def _login(connection: Mapping[str, Any], *, sudo: bool) -> Login:
    proxy = connection.get("proxy")
    key = connection.get("privateKey")
    return Login(
        host=connection["host"],
        port=int(connection.get("port") or DEFAULT_PORT),
        user=connection.get("user") or "root",
        sudo=sudo,
        private_key=key,
        private_key_passphrase=connection.get("privateKeyPassword"),
        agent=not key,
        host_key=connection.get("hostKey"),
        bastion=_login(proxy, sudo=False) if proxy else None,
    )
