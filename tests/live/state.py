"""What a state holds, its secrets included, without asking Pulumi: that takes most of a second.

Source of the format: `pkg/secrets/passphrase/manager.go` of Pulumi.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ROUNDS = 1_000_000
_STACK = "pulumi:pulumi:Stack"


class State:
    """The state of one stack, as its last update left it."""

    def __init__(self, file: Path, passphrase: str) -> None:
        self._latest = json.loads(file.read_text())["checkpoint"].get("latest") or {}
        self._passphrase = passphrase

    @property
    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in the clear."""
        for resource in self._latest.get("resources", []):
            if resource["type"] == _STACK:
                found = self._opened(resource.get("outputs", {}))
                assert isinstance(found, dict)
                return found
        return {}

    def secrets(self) -> Iterator[str]:
        """Every text that is encrypted in a resource.

        Outputs of the stack and of components are made of the others' secrets, and of much that is
        none.
        """
        for resource in self._latest.get("resources", []):
            if resource["custom"]:
                for sealed in _sealed(resource):
                    yield from _texts(self._plain(sealed))

    def _opened(self, value: Any) -> Any:
        if isinstance(value, dict):
            if "ciphertext" in value:
                return self._opened(self._plain(value["ciphertext"]))
            return {name: self._opened(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._opened(each) for each in value]
        return value

    def _plain(self, sealed: str) -> Any:
        _, nonce, text = map(_decoded, sealed.split(":"))
        return json.loads(AESGCM(self._key).decrypt(nonce, text, None))

    @functools.cached_property
    def _key(self) -> bytes:
        salt = self._latest["secrets_providers"]["state"]["salt"].split(":")[1]
        return _key(self._passphrase, salt)


@functools.cache
def _key(passphrase: str, salt: str) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), _decoded(salt), _ROUNDS)


def _decoded(word: str) -> bytes:
    return b"" if word == "v1" else base64.b64decode(word)


def _sealed(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "ciphertext" in value:
            yield value["ciphertext"]
        else:
            for each in value.values():
                yield from _sealed(each)
    elif isinstance(value, list):
        for each in value:
            yield from _sealed(each)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
