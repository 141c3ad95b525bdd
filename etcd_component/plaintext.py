"""Secrets that a stack file holds in plain text, for everybody who has the checkout."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_KEYS = ("etcd_root_password", "etcd_ca_key", "sshPrivateKey", "sshPrivateKeyPassphrase")
_FIELDS = frozenset({"etcd_root_password", "etcd_ca_key", "password"})


def plain_secrets(value: Callable[[str], Any], is_secret: Callable[[str], bool]) -> list[str]:
    """A warning for each secret that stands in the stack file unencrypted, without its value.

    `value` gives a key's value, None when it is unset; `is_secret` says whether it is encrypted.
    An object with one encrypted value counts as encrypted: Pulumi does not tell its parts apart.
    """
    paths = [key for key in _KEYS if value(key) and not is_secret(key)]
    if not is_secret("inventory"):
        paths += _fields(value("inventory"), "inventory")
    return [
        f"etcd:{path} is in the stack file in plain text; encrypt it:"
        f" `pulumi config set --secret {'--path ' if '.' in path else ''}'etcd:{path}'`"
        " asks for the value. Change it, too, if others have seen the file"
        for path in paths
    ]


def _fields(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        return
    for name, each in value.items():
        # Keys of a path that have a dot, such as addresses, are written in brackets.
        below = f'{path}["{name}"]' if "." in str(name) else f"{path}.{name}"
        if name in _FIELDS and isinstance(each, str | int) and each:
            yield below
        yield from _fields(each, below)
