"""From what a person wrote to a value of the model: one reader for each kind of value.

A reader raises Wrong, which says what is wrong and what to write instead.
"""

import dataclasses
import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from etcd_component import versions
from etcd_component.mistake import Wrong
from etcd_component.model import GIVEN, ROOT, Authority
from etcd_component.suggestion import hint

Reader = Callable[[Any], Any]
"""From what a person wrote to a value of the model. Raises Wrong."""

MAX_PORT: Final = 65535
MAX_ELECTION_MS: Final = 50000
"""etcd refuses more (`embed/config.go`)."""
TICKS_PER_ELECTION: Final = 5
"""etcd refuses an election timeout of fewer heartbeats (`embed/config.go`)."""
MAX_PASSWORD_BYTES: Final = 72
"""bcrypt, which etcd stores passwords with, takes no more."""
MAX_NAME: Final = 50
"""Leaves room for `-{seq}` in a certificate's common name of 64 characters."""

MAX_AUTHORITY: Final = 999_999
MAX_ENTRY_NAME: Final = 64
"""A client's name is the common name of its certificate."""

_DURATION_NS: Final = MappingProxyType(
    {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
)
_SIZES: Final = MappingProxyType({"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3})
_YES: Final = frozenset({"yes", "true", "on", "1"})
_NO: Final = frozenset({"no", "false", "off", "0"})
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclasses.dataclass(frozen=True, slots=True)
class Foreign:
    """A YAML value with a tag that only another program understands, such as `!vault`."""

    tag: str


def shown(value: Any) -> str:
    """A value as it is repeated to the person who wrote it, cut to a line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line


def kind(value: Any) -> str:
    """What a value is, for messages that must not repeat it: a secret may be in it."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    return "a mapping" if isinstance(value, Mapping) else names.get(type(value), "something else")


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """A value and where it was written."""

    value: Any = dataclasses.field(repr=False)
    place: str


def plain(value: Any) -> Any:
    """The value, unless it is none or only Ansible can work it out: then raises Wrong."""
    if value is None:
        raise Wrong("it has no value", "give one or take the line out")
    if isinstance(value, Foreign):
        cure = "give the value itself, or set it with `pulumi config set --secret`"
        raise Wrong(f"{value.tag} is read by Ansible only", cure)
    if isinstance(value, str) and re.search(r"\{\{.*\}\}", value, re.DOTALL):
        raise Wrong("a Jinja expression is worked out by Ansible only", "write the value itself")
    return value


# --- readers: plain values


def text(value: Any) -> str:
    """Text, not empty."""
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not text", f'write it in quotes: "{value}"')
    if not value.strip():
        raise Wrong("it is empty", "give a value or take the line out")
    return value.strip()


def boolean(value: Any) -> bool:
    """True or false; also yes, no, on, off, 1 and 0, as for Ansible."""
    word = str(value).strip().lower()
    if isinstance(value, bool | str | int) and word in _YES | _NO:
        return word in _YES
    raise Wrong(f"{shown(value)} is neither true nor false", "write true or false")


def integer(lowest: int, highest: int, unit: str = "") -> Reader:
    """A whole number between two, both included; as text too, without leading zeros."""
    unit = f" {unit}" if unit else ""
    cure = f"write a whole number from {lowest} to {highest}{unit}"

    def read(value: Any) -> int:
        found = whole(value)
        if found is None:
            raise Wrong(f"{shown(value)} is not a whole number", cure)
        if not lowest <= found <= highest:
            raise Wrong(f"{found}{unit} is not between {lowest} and {highest}", cure)
        return found

    return read


generation = integer(1, 999_999)
"""A number that is raised to have something made anew."""


def whole(value: Any) -> int | None:
    """A whole number, also as text without leading zeros; None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[-+]?(0|[1-9][0-9]{0,18})", value.strip()):
        return int(value)
    return value if isinstance(value, int) else None


def choice(*words: str) -> Reader:
    """One of several words."""

    def read(value: Any) -> str:
        if value in words:
            return str(value)
        cure = hint(value, words, f"write one of {', '.join(words)}")
        raise Wrong(f"{shown(value)} is not one of {', '.join(words)}", cure)

    return read


def size(value: Any) -> int:
    """Bytes, as a number or with KiB, MiB or GiB."""
    written = str(value).strip()
    unit = next((unit for unit in _SIZES if unit and written.endswith(unit)), "")
    number = whole(written.removesuffix(unit).strip() if unit else value)
    if number is None or number < 0:
        raise Wrong(f"{shown(value)} is not a size", 'write bytes, or a size such as "8GiB"')
    amount = number * _SIZES[unit]
    smallest, largest = 16 * _SIZES["MiB"], 100 * _SIZES["GiB"]
    if not smallest <= amount <= largest:
        raise Wrong(f"{shown(value)} is not between 16MiB and 100GiB", "choose one, such as 8GiB")
    return amount


def nanoseconds(value: str) -> int | None:
    """A duration as Go writes it (`1h30m`), None if it is none."""
    parts = re.findall(r"([0-9]{1,18})(ns|us|ms|s|m|h)", value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        return None
    return sum(int(number) * _DURATION_NS[unit] for number, unit in parts)


def retention(value: Any) -> str:
    """How much history is kept: a duration, or hours as a bare number, as etcd reads it."""
    hours = whole(value)
    if hours is not None and hours >= 0:
        return f"{hours}h"
    if isinstance(value, str) and nanoseconds(value.strip()) is not None:
        return value.strip()
    raise Wrong(f"{shown(value)} is not a duration", 'write one such as "24h" or "90m"')


def path(value: Any) -> str:
    """A path of a file on the machine that runs the program."""
    written = text(value)
    if not written.isprintable():
        raise Wrong(f"{shown(written)} has characters that do not print", "correct the path")
    return written


def may_hold_login(value: Any) -> bool:
    """Whether an @ stands anywhere in a URL, or in what stands in its place.

    What is before it may be a password, in whatever form: such a text is never repeated.
    """
    return "@" in str(value)


def url_parts(written: str) -> SplitResult:
    """A URL in its parts. Raises Wrong for brackets that hold no IPv6 address."""
    try:
        return urlsplit(written)
    except ValueError:
        raise Wrong("it is not a URL", "write an IPv6 address in brackets, if it has one") from None


# --- readers: names and addresses


def cluster_name(value: Any) -> str:
    """A DNS name in lower case, short enough for a certificate."""
    name = text(value)
    if name == "localhost":
        raise Wrong("every machine has that name", "choose another, such as etcd")
    if len(name) > MAX_NAME:
        raise Wrong(
            f"{shown(name)} has {len(name)} characters",
            f"use {MAX_NAME} or fewer: names of certificates hold 64",
        )
    if all(_LABEL.fullmatch(label) for label in name.split(".")):
        return name
    better = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")
    example = f', such as "{better}"' if better and _LABEL.fullmatch(better) else ""
    raise Wrong(
        f"{shown(name)} is not a DNS name",
        f"use lower-case letters, digits and hyphens between them{example}",
    )


def address(value: Any) -> str:
    """An IP address or a DNS name (RFC 1123), in its one canonical form."""
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not an address", "write the whole address in quotes")
    name = value.strip().lower()
    if "%" in name:
        raise Wrong(f"{shown(value)} has a zone", "use an address that means the same everywhere")
    if name.startswith("[") and name.endswith("]"):
        raise Wrong(f"{shown(value)} has brackets", f'write it without: "{name[1:-1]}"')
    if re.search(r"\[\w+:\w+\]", name):
        raise Wrong(f"{shown(value)} is a range of Ansible", "write each machine on its own line")
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return _host_name(name)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        raise Wrong(f"{shown(value)} is IPv4 in disguise", f'write "{found.ipv4_mapped}"')
    for refused, why in (
        (found.is_unspecified, "means every address"),
        (found.is_multicast, "is a multicast address"),
        (found.is_link_local, "is valid on one link only"),
        (found.is_reserved and not found.is_loopback, "is reserved"),
    ):
        if refused:
            raise Wrong(f"{found} {why}", "write the address that the other members dial")
    return str(found)


def _host_name(name: str) -> str:
    if re.fullmatch(r"[\d.]+", name):
        raise Wrong(f"{shown(name)} is not an IPv4 address", "write four numbers from 0 to 255")
    if re.fullmatch(r"[^:]+:\d+", name):
        cure = "write the address alone; ansible_port is for SSH, etcd_port for clients"
        raise Wrong(f"{shown(name)} has a port", cure)
    if ":" in name:
        raise Wrong(f"{shown(name)} is not an IPv6 address", "correct it, without brackets")
    if len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split(".")):  # noqa: PLR2004
        return name
    raise Wrong(
        f"{shown(name)} is neither an IP address nor a DNS name",
        "use letters, digits and hyphens, with dots between",
    )


def user_name(value: Any) -> str:
    """A login name."""
    name = text(value)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*", name):
        raise Wrong(f"{shown(name)} is not a login name", "write the name alone, such as admin")
    return name


# --- readers: etcd


def place(value: Any, cure: str = "write the path from / on") -> str:
    """An absolute path on a node that needs no quotes anywhere."""
    written = text(value)
    if not written.startswith("/"):
        raise Wrong(f"{shown(written)} is not an absolute path", cure)
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", written) or ".." in written.split("/"):
        raise Wrong(
            f"{shown(written)} has more than letters, digits and . _ - in it, or leads up", cure
        )
    return "/" + "/".join(PurePosixPath(written).parts[1:])


def data_dir(value: Any) -> str:
    """An absolute path of a directory that belongs to one instance alone."""
    cure = "use a directory of its own, such as /data/etcd or /var/lib/etcd"
    written = place(value, cure)
    parts = PurePosixPath(written).parts[1:]
    if len(parts) < 2 or parts in _SHARED:  # noqa: PLR2004
        raise Wrong(f"{shown(written)} is shared with others and would be removed with etcd", cure)
    if parts[0] in _SYSTEM or parts[:2] in _FLEETING:
        raise Wrong(f"{shown(written)} belongs to the system or is lost at a reboot", cure)
    return written


_SYSTEM: Final = frozenset(
    [
        "bin",
        "boot",
        "dev",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "lost+found",
        "proc",
        "root",
        "run",
        "sbin",
        "sys",
        "tmp",
        "usr",
    ]
)
_FLEETING: Final = frozenset({("var", "tmp"), ("var", "run"), ("var", "lock")})
_SHARED: Final = frozenset(
    ("var", name) for name in ["lib", "log", "cache", "spool", "opt", "local", "mail"]
)


def password(value: Any) -> str:
    """A password that etcd can store and a person can type. It is never repeated in a message."""
    if not isinstance(value, str):
        raise Wrong("it is not text", "write the password in quotes")
    if not value:
        raise Wrong("it is empty", "give a password, or take the line out to have one generated")
    if not value.isprintable():
        raise Wrong(
            "it has a line break or another character that does not print",
            "use printable characters",
        )
    length = len(value.encode())
    if length > MAX_PASSWORD_BYTES:
        cure = f"use {MAX_PASSWORD_BYTES} bytes at most: bcrypt takes no more"
        raise Wrong(f"it has {length} bytes", cure)
    return value


# --- readers: who may do what


def by_name(value: Any) -> Mapping[Any, Any]:
    """A mapping from names to entries, which are looked at later."""
    if isinstance(value, Mapping):
        return value
    raise Wrong(f"it is {kind(value)}, not a mapping", "write one `name: ...` a line below it")


def entry_name(value: Any) -> str:
    """The name of a role, a user or a client, as etcd, a shell and a certificate take it."""
    name = text(value)
    if name == ROOT:
        cure = "take it out: root is always there; its password is etcd_root_password"
        raise Wrong("root is not declared", cure)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*", name):
        raise Wrong(
            f"{shown(name)} is not a name",
            "use ASCII letters and digits, and _ . @ - between them",
        )
    if len(name) > MAX_ENTRY_NAME:
        cure = f"use {MAX_ENTRY_NAME} or fewer: names of certificates hold no more"
        raise Wrong(f"{shown(name)} has {len(name)} characters", cure)
    return name


def names(value: Any) -> tuple[str, ...]:
    """A list of names without doubles, in order."""
    cure = "write a list, such as [app]"
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a list", cure)
    if not all(isinstance(one, str) for one in value):
        raise Wrong(f"{shown(value)} has more than names in it", cure)
    if len(set(value)) < len(value):
        raise Wrong(f"{shown(value)} has a name twice", "name each once")
    return tuple(sorted(value))


def key(value: Any) -> str:
    """A key of etcd, of printable characters."""
    found = prefix(value)
    if not found:
        raise Wrong("it is empty", "write the key, such as /app/settings")
    return found


def prefix(value: Any) -> str:
    """What keys begin with; empty for all keys."""
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not text", f'write it in quotes: "{value}"')
    if not value.isprintable():
        raise Wrong(f"{shown(value)} has characters that do not print", "use printable ones")
    return value


def key_range(value: Any) -> tuple[str, str]:
    """The first key of a range, and the first key after it."""
    cure = "write the first key and the first one after the last, such as [/a, /b]"
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:  # noqa: PLR2004
        raise Wrong(f"{shown(value)} is not a list of two keys", cure)
    first, end = key(value[0]), key(value[1])
    if first.encode() >= end.encode():
        raise Wrong(f"{shown(first)} does not come before {shown(end)}", cure)
    return first, end


def directory(value: Any) -> str:
    """A prefix that ends where a name ends: with a slash."""
    found = prefix(value)
    if not found.strip("/"):
        cure = "write one such as /app/; a role in etcd_roles may have every key"
        raise Wrong(f"{shown(found)} covers the keys of all others", cure)
    if not found.startswith("/"):
        raise Wrong(f"{shown(found)} does not begin with a slash", f"write /{found.strip('/')}/")
    if not found.endswith("/"):
        problem = f"{shown(found)} covers {found}2 and {found}-old too"
        raise Wrong(problem, f"end it with a slash: {found}/")
    if "//" in found:
        raise Wrong(f"{shown(found)} has an empty part", "take one of the two slashes out")
    return found


def generations(value: Any) -> tuple[int, ...]:
    """A list of generations without doubles, in order."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a list", "write a list of generations, such as [1]")
    return tuple(sorted({generation(one) for one in value}))


def serials(value: Any) -> tuple[str, ...]:
    """A list of serial numbers of certificates in hex, lower case, without doubles, in order."""
    cure = 'write serial numbers in quotes, as `openssl x509 -serial` gives them: ["0A1B2C"]'
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a list", cure)
    found = set()
    for one in value:
        digits = one.replace(":", "").lower().lstrip("0") if isinstance(one, str) else ""
        if not re.fullmatch(r"[0-9a-f]{1,40}", digits):
            raise Wrong(f"{shown(one)} is not a serial number in hex", cure)
        found.add(digits)
    return tuple(sorted(found))


def pem(kind: str) -> Reader:
    """PEM text of one kind: `CERTIFICATE` or `PRIVATE KEY`. Never repeated in a message.

    What else a file has is left out: `EC PARAMETERS` before a key, text before a certificate.
    """
    cure = f"give PEM text that starts with -----BEGIN {kind}-----"

    def read(value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise Wrong("it is not PEM text", cure)
        if "ENCRYPTED" in value:
            raise Wrong("the key is encrypted", "give it without a passphrase, as a secret")
        lines = "\n".join(line.strip() for line in value.splitlines())
        block = rf"-----BEGIN ([A-Z ]*{kind})-----\n[^-]+\n-----END \1-----"
        blocks = [one[0] for one in re.finditer(block, lines)]
        if not blocks:
            raise Wrong(f"it is not a {kind.lower()} in PEM form", cure)
        return "".join(f"{one}\n" for one in blocks)

    return read


def authority(value: Any) -> Authority:
    """A CA: its number from 1, or the word for the one that is given."""
    if value == GIVEN:
        return GIVEN
    number = whole(value)
    if number is None or not 1 <= number <= MAX_AUTHORITY:
        raise Wrong(
            f"{shown(value)} is neither a number from 1 to {MAX_AUTHORITY} nor the word given",
            "number the CAs that are made here 1, 2 and so on; given is the one of etcd_ca_cert",
        )
    return number


def authorities(value: Any) -> tuple[Authority, ...]:
    """A list of CAs without doubles, in one order however it is written."""
    cure = "write a list, such as [1] or, while 2 takes over from 1, [1, 2]"
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a list", cure)
    found = [authority(one) for one in value]
    if not found:
        raise Wrong("it is empty, so nobody would be trusted", cure)
    if len(set(found)) < len(found):
        raise Wrong(f"{shown(value)} names a CA twice", "name each once")
    return tuple(sorted(found, key=lambda one: (one != GIVEN, one)))


def version(value: Any) -> str:
    """A release that is fit to run."""
    return versions.supported(value.strip() if isinstance(value, str) else str(value))


def template(value: Any) -> str:
    """Text in which only {version} and {arch} are filled in."""
    written = text(value)
    rest = written.replace("{version}", "").replace("{arch}", "")
    if "{" in rest or "}" in rest:
        cure = "only {version} (without v) and {arch} (amd64 or arm64) are filled in"
        raise Wrong(f"{shown(written)} has other braces than those", cure)
    return written


def archive_url(value: Any) -> str:
    """Where the release is fetched from by the nodes, as a template."""
    if may_hold_login(value):
        problem = "it has an @, as after a login, which would be printed"
        raise Wrong(problem, "serve it without a login, under a URL without @")
    written = template(value)
    parts = url_parts(written)
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", written):
        cure = "write an https:// or http:// URL; for a local file set etcd_install: upload"
        raise Wrong(f"{shown(written)} is not a URL that a node can fetch", cure)
    return written


def sha256(value: Any) -> Mapping[str, str]:
    """Checksums by architecture: one for all, or a mapping."""
    sums = value if isinstance(value, Mapping) else dict.fromkeys(versions.ARCHITECTURES, value)
    cure = "write 64 hex digits in quotes, or {amd64: ..., arm64: ...}"
    if not sums or not set(sums) <= set(versions.ARCHITECTURES):
        raise Wrong(f"{shown(value)} is not for {' or '.join(versions.ARCHITECTURES)}", cure)
    for digest in sums.values():
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
            raise Wrong(f"{shown(digest)} is not a SHA-256", cure)
    return MappingProxyType({arch: sums[arch].lower() for arch in sorted(sums)})


def any_mapping(value: Any) -> Mapping[Any, Any]:
    """A mapping with any keys."""
    if isinstance(value, Mapping):
        return value
    cure = "paste the fragment below the key, indented: a group with hosts and vars"
    raise Wrong(f"it is {kind(value)}, not a mapping", cure)


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping with text for keys; what it holds is looked at later."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return value
    cure = "write it as a mapping, such as {max-request-bytes: 3145728}"
    raise Wrong(f"it is {kind(value)}, not a mapping with text for keys", cure)
