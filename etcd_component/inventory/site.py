"""Settings of the stack and of the place one runs from: how to get to machines and releases.

The stack's own settings win over those of the site file, which is named by `ETCD_SITE` and
holds the same keys.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from etcd_component import ssh, versions
from etcd_component.inventory import values, yamlfile
from etcd_component.inventory.parameters import PARAMETERS
from etcd_component.inventory.values import MAX_PORT, Reader, Said
from etcd_component.mistake import Findings, InvalidInventory, Wrong
from etcd_component.suggestion import hint

NAMESPACE: Final = "etcd"
"""The project, and the namespace of its configuration keys."""

SITE_FILE: Final = "ETCD_SITE"
"""The environment variable that names the site file."""

GetSetting = Callable[[str], Any | None]
"""A stack's value of a key without its namespace, parsed and decrypted; None if unset."""


@dataclass(frozen=True, slots=True)
class Site:
    """What reading an inventory needs beside the inventory."""

    access: ssh.Access = field(default_factory=ssh.Access)
    checksums: versions.Checksums = field(default_factory=versions.published)
    archive_url: Said | None = None
    base: Path = field(default_factory=Path)
    """What relative paths in the inventory start from."""
    settled: bool = True
    """False when a setting cannot stand: then no machine is looked up, for it may be another."""
    monitored: bool = False
    """Whether the stack has a monitor, which nodes then tell what etcd does not know."""

    def located(self, written: str) -> Path:
        """The file that a path in the inventory means."""
        return _located(written, self.base, self.access.home)


def _located(written: str, base: Path, home: Path) -> Path:
    if written == "~" or written.startswith("~/"):
        return home / written[2:]
    return base / written


# --- the keys


def _bastion(value: Any) -> ssh.Hop:
    cure = 'write "user@host:port"'
    if ":" in str(value).rpartition("@")[0]:
        raise Wrong("it has a : before the @, as before a password, which is not used", cure)
    found = re.fullmatch(r"(?:([^@]+)@)?(\[[^]]+\]|[^:@]+)(?::(\d+))?", values.text(value))
    if not found:
        raise Wrong(f"{values.shown(value)} is not a bastion", cure)
    user, host, port = found.groups()
    return ssh.Hop(
        user=values.user_name(user) if user else None,
        host=values.address(host.strip("[]")),
        port=values.integer(1, MAX_PORT)(port) if port else None,
        private_key_file=None,
    )


def _key_text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    cure = "set it from the file: `pulumi config set --secret etcd:sshPrivateKey < KEY`"
    raise Wrong("it is not the text of a private key", cure)


def _passphrase(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    raise Wrong("it is not text", "write the passphrase in quotes")


def _monitor(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    cure = "name its machine, such as {host: 10.10.10.20}"
    raise Wrong(f"it is {values.kind(value)}, not a mapping", cure)


SECRETS: Final = ("etcd_root_password", "etcd_ca_cert", "etcd_ca_key")
"""Parameters of the inventory that may be set for all clusters, as secrets."""

KEYS: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "inventory": values.any_mapping,
        "inventoryFile": values.path,
        "etcd_monitor": _monitor,
        "sshUser": values.user_name,
        "sshPort": values.integer(1, MAX_PORT),
        "sshPrivateKeyFile": values.path,
        "sshPrivateKey": _key_text,
        "sshPrivateKeyPassphrase": _passphrase,
        "sshSudo": values.boolean,
        "sshBastion": _bastion,
        "sshBastionPrivateKeyFile": values.path,
        "sshKnownHostsFile": values.path,
        "sshHostKeyChecking": values.boolean,
        "archiveUrl": values.archive_url,
        "checksumsFile": values.path,
        "drift": values.boolean,
        **{name: PARAMETERS[name].read for name in SECRETS},
    }
)
"""Every configuration key and how its value is read."""

_OBJECTS: Final = frozenset({"inventory", "etcd_monitor"})


def parsed(key: str, text: str | None) -> Any | None:
    """A key's value from what Pulumi hands out: text, or an object as JSON; None if it is unset."""
    if not text:
        return None
    try:
        return json.loads(text) if key in _OBJECTS else text
    except ValueError:
        return text  # Whoever reads it says that it is no mapping.


_EITHER: Final = (("inventory", "inventoryFile"), ("sshPrivateKey", "sshPrivateKeyFile"))
"""Two ways to say one thing: only one may be used."""

_FILES: Final = frozenset(key for key in KEYS if key.endswith("File"))


# --- reading them


@dataclass(frozen=True, slots=True)
class Stack:
    """All settings, read."""

    site: Site
    secrets: Mapping[str, str] = field(repr=False)
    inventory: Mapping[Any, Any] | None
    inventory_file: Path | None
    monitor: Said | None
    drift: bool = True
    """Whether a preview looks at nodes and members."""


def settle(get: GetSetting, environ: Mapping[str, str], findings: Findings) -> Stack:
    """Read the settings; mistakes are added to the findings and their keys left out."""
    said = _layers(get, environ, findings)
    home = Path(environ.get("HOME") or Path.home())
    chosen: dict[str, Any] = {}
    for key, (one, base) in said.items():
        with findings.at(one.place):
            value = KEYS[key](one.value)
            chosen[key] = _located(value, base, home) if key in _FILES else value
    access = _access(chosen, environ, home, findings)
    checksums = versions.published()
    if "checksumsFile" in chosen:
        with findings.at(said["checksumsFile"][0].place):
            checksums = versions.with_sums(checksums, _content(chosen["checksumsFile"]))
    url = (
        Said(chosen["archiveUrl"], said["archiveUrl"][0].place) if "archiveUrl" in chosen else None
    )
    file = chosen.get("inventoryFile")
    base = file.parent if file else Path.cwd()
    return Stack(
        site=Site(
            access,
            checksums,
            url,
            base,
            settled=not findings.mistakes,
            monitored="etcd_monitor" in chosen,
        ),
        secrets={key: chosen[key] for key in SECRETS if key in chosen},
        inventory=chosen.get("inventory"),
        inventory_file=file,
        monitor=said["etcd_monitor"][0] if "etcd_monitor" in chosen else None,
        drift=chosen.get("drift", True),
    )


def _layers(
    get: GetSetting, environ: Mapping[str, str], findings: Findings
) -> dict[str, tuple[Said, Path]]:
    """Every key that is set, with the folder its relative paths start from."""
    _check_stack_names(environ, findings)
    here = Path.cwd()
    stack = {
        key: (Said(value, f"{NAMESPACE}:{key}"), here)
        for key in KEYS
        if (value := get(key)) not in _UNSET
    }
    site = _site_layer(environ, findings)
    for pair in _EITHER:
        for layer in (stack, site):
            if all(key in layer for key in pair):
                place = layer[pair[0]][0].place
                findings.wrong(place, f"{pair[1]} is set too", "keep one of the two")
        if any(key in stack for key in pair):
            site = {key: one for key, one in site.items() if key not in pair}
    return {**site, **stack}


_UNSET: Final[tuple[Any, ...]] = (None, "", {})
"""Pulumi.yaml declares every key, with one of these where nothing is set."""


def _site_layer(environ: Mapping[str, str], findings: Findings) -> dict[str, tuple[Said, Path]]:
    if not environ.get(SITE_FILE):
        return {}
    file = Path(environ[SITE_FILE]).absolute()
    try:
        found = yamlfile.read_mapping(file)
    except InvalidInventory as invalid:
        findings.mistakes.extend(invalid.mistakes)
        return {}
    known = {}
    for key, value in found.items():
        name = str(key).removeprefix(f"{NAMESPACE}:")
        if name not in KEYS:
            findings.wrong(f"{file}: {key}", *_unknown_key(name))
        elif value not in _UNSET:
            known[name] = (Said(value, f"{file}: {key}"), file.parent)
    return known


def _check_stack_names(environ: Mapping[str, str], findings: Findings) -> None:
    """Find misspelt keys: the engine passes over them, but hands their names to the program."""
    try:
        names = json.loads(environ.get("PULUMI_CONFIG") or "{}")
    except ValueError:
        return
    for name in names:
        namespace, _, key = str(name).partition(":")
        if namespace == NAMESPACE and key not in KEYS:
            findings.wrong(name, *_unknown_key(key))


def _unknown_key(name: str) -> tuple[str, str]:
    cure = hint(name, KEYS, f"the settings are {', '.join(KEYS)}")
    return "there is no such setting", cure


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Wrong(f"{file} cannot be read", "correct the path") from None


def _access(
    chosen: Mapping[str, Any], environ: Mapping[str, str], home: Path, findings: Findings
) -> ssh.Access:
    bastion = chosen.get("sshBastion")
    if bastion:
        bastion = replace(bastion, private_key_file=chosen.get("sshBastionPrivateKeyFile"))
    checked = chosen.get("sshHostKeyChecking", True)
    if not checked:
        findings.warn(
            "sshHostKeyChecking is false: whoever answers at an address gets the cluster's keys"
        )
    return ssh.Access(
        user=chosen.get("sshUser"),
        port=chosen.get("sshPort"),
        sudo=chosen.get("sshSudo"),
        private_key=chosen.get("sshPrivateKey"),
        private_key_file=chosen.get("sshPrivateKeyFile"),
        passphrase=chosen.get("sshPrivateKeyPassphrase"),
        agent_socket=_agent(environ, findings),
        home=home,
        known_hosts=chosen.get("sshKnownHostsFile"),
        check_host_keys=checked,
        bastion=bastion,
    )


def _agent(environ: Mapping[str, str], findings: Findings) -> str | None:
    path = environ.get("SSH_AUTH_SOCK")
    if not path:
        return None
    if ssh.agent_answers(path):
        return path
    findings.wrong(
        "SSH_AUTH_SOCK",
        f"no agent answers at {path}, and the command provider then refuses every login",
        "`unset SSH_AUTH_SOCK`, or start an agent",
    )
    return None
