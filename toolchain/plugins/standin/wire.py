"""Property values as they travel between engine and provider.

A value is what its JSON form says: None, bool, float, str, list or dict. Secrets and assets keep
their wrapping dict, unknowns their marker string, so that a value that is only passed on arrives as
it came. Names and markers are those of `sdk/go/common/resource` of Pulumi.
"""

import unicodedata
from typing import Any, TypeAlias

from google.protobuf import struct_pb2  # type: ignore[import-untyped]

Value: TypeAlias = Any
"""A property value: None, bool, float, str, list of values or dict of values."""

Properties: TypeAlias = dict[str, Value]
"""The inputs or outputs of a resource by name."""

SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  a marker
_ASSET = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS = frozenset(
    {
        UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


class ProviderError(Exception):
    """A failure a person has to read; its text is the whole message, secrets not included.

    `deadline` says that time ran out, which the official plugins report with a code of its own.
    """

    def __init__(self, message: str, *, deadline: bool = False) -> None:
        """Take the message as the person shall read it."""
        super().__init__(message)
        self.deadline = deadline


def not_supported(what: str) -> ProviderError:
    """Return the error for `what` the official plugin can do and this one cannot."""
    return ProviderError(f"{what} is not supported by the stand-in; use the official Pulumi plugin")


def read(value: struct_pb2.Value) -> Value:
    """Return the plain form of one protobuf value."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {name: read(item) for name, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [read(item) for item in value.list_value.values]
    if kind is None or kind == "null_value":
        return None
    return getattr(value, kind)


def read_properties(struct: struct_pb2.Struct) -> Properties:
    """Return the plain form of a protobuf struct."""
    return {name: read(item) for name, item in struct.fields.items()}


def _write(target: struct_pb2.Value, value: Value) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, dict):
        target.struct_value.SetInParent()
        for name, item in value.items():
            _write(target.struct_value.fields[name], item)
    else:
        target.list_value.SetInParent()
        for item in value:
            _write(target.list_value.values.add(), item)


def write_properties(properties: Properties) -> struct_pb2.Struct:
    """Return the protobuf form of `properties`."""
    struct = struct_pb2.Struct()
    for name, value in properties.items():
        _write(struct.fields[name], value)
    return struct


def _signed(value: Value, signature: str) -> bool:
    return isinstance(value, dict) and value.get(SIGNATURE) == signature


def is_secret(value: Value) -> bool:
    """Tell whether `value` is wrapped as a secret."""
    return _signed(value, _SECRET)


def is_asset(value: Value) -> bool:
    """Tell whether `value` is an asset (a file or a text)."""
    return _signed(value, _ASSET)


def is_archive(value: Value) -> bool:
    """Tell whether `value` is an archive."""
    return _signed(value, _ARCHIVE)


def is_unknown(value: Value) -> bool:
    """Tell whether `value` is known only after an update, as a whole."""
    return isinstance(value, str) and value in _UNKNOWNS


def secret(value: Value) -> Value:
    """Wrap `value` as a secret, unless it is one."""
    return value if is_secret(value) else {SIGNATURE: _SECRET, "value": value}


def reveal(value: Value) -> Value:
    """Return `value` without the secret wrappings in it, at any depth."""
    if is_secret(value):
        return reveal(value.get("value"))
    if isinstance(value, dict):
        return {name: reveal(item) for name, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def has_unknown(value: Value) -> bool:
    """Tell whether `value` is unknown or holds something unknown at any depth."""
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return is_unknown(value)


def complete_asset(value: Value) -> Value:
    """Return an asset with all three of its fields, as the official plugins send it."""
    return {"path": "", "text": "", "uri": "", **value} if is_asset(value) else value


ADD, DELETE, UPDATE = "ADD", "DELETE", "UPDATE"


def _is_leaf(value: Value) -> bool:
    return is_secret(value) or is_asset(value) or is_archive(value)


def _same(old: Value, new: Value) -> bool:
    if _is_leaf(old) and _is_leaf(new) and not is_secret(old):
        # the engine sends the contents only with the call that needs them
        return bool(old.get("hash") == new.get("hash") and old[SIGNATURE] == new[SIGNATURE])
    return bool(old == new)


def difference(old: Properties, new: Properties) -> dict[str, str]:
    """Return what changed from `old` to `new`: path of the property to ADD, DELETE or UPDATE.

    Lists and objects are compared item by item (`triggers[0]`), a secret as a whole. Null counts as
    absent.
    """
    changes: dict[str, str] = {}
    _compare_objects(old, new, "", changes)
    return changes


def _compare_objects(old: Properties, new: Properties, path: str, changes: dict[str, str]) -> None:
    for name in sorted(old.keys() | new.keys()):
        step = name if name.replace("_", "a").isalnum() else f'["{name}"]'
        dot = "." if path and not step.startswith("[") else ""
        _compare(old.get(name), new.get(name), f"{path}{dot}{step}", changes)


def _compare(old: Value, new: Value, path: str, changes: dict[str, str]) -> None:
    if _same(old, new):
        return
    if old is None:
        changes[path] = ADD
    elif new is None:
        changes[path] = DELETE
    elif _is_leaf(old) or _is_leaf(new):
        changes[path] = UPDATE
    elif isinstance(old, dict) and isinstance(new, dict):
        _compare_objects(old, new, path, changes)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            _compare(
                old[index] if index < len(old) else None,
                new[index] if index < len(new) else None,
                f"{path}[{index}]",
                changes,
            )
    else:
        changes[path] = UPDATE


_GO_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}
_LAST_ASCII, _LAST_OF_PLANE = 0x7F, 0xFFFF


def go_quote(text: str) -> str:
    """Return `text` quoted as Go's `%q` does, which the official error texts use."""
    return '"' + "".join(_go_escape(char) for char in text) + '"'


def _go_escape(char: str) -> str:
    if char in _GO_ESCAPES:
        return _GO_ESCAPES[char]
    if char == " " or unicodedata.category(char)[0] in "LMNPS":
        return char
    code = ord(char)
    if code <= _LAST_ASCII:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _LAST_OF_PLANE else f"\\U{code:08x}"
