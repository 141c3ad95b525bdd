"""Texts for clients: pure functions from what a client is given to what its program reads."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from etcd_component.model import Client, Cluster, Kind

CA, CERTIFICATE, KEY = "ca.crt", "client.crt", "client.key"


@dataclass(frozen=True, slots=True)
class Given:
    """All that a client needs to use its cluster."""

    cluster: str
    user: str
    kind: Kind
    keys: str
    """The prefix of the keys that it may use; for vip-manager the one key."""
    endpoints: tuple[str, ...]
    """The voters as `host:port`."""
    password: str = field(repr=False)
    ca: str
    """PEM of all CAs to trust."""
    cert: str
    """PEM."""
    key: str = field(repr=False)
    """PEM."""

    @classmethod
    def to(
        cls, client: Client, cluster: Cluster, password: str, ca: str, cert: str, key: str
    ) -> Given:
        """What a declared client is given by its cluster."""
        return cls(
            cluster=cluster.name,
            user=client.name,
            kind=client.kind,
            keys=client.permission.key,
            endpoints=cluster.endpoints,
            password=password,
            ca=ca,
            cert=cert,
            key=key,
        )

    @classmethod
    def read(cls, output: Mapping[str, Any]) -> Given:
        """From what stands in the stack's outputs."""
        found = {one.name: output[one.name] for one in dataclasses.fields(cls)}
        return cls(**found | {"endpoints": tuple(output["endpoints"])})

    @property
    def place(self) -> str:
        """Where its files lie unless somebody says otherwise."""
        return f"/etc/etcd-client/{self.user}"

    @property
    def output(self) -> dict[str, Any]:
        """What stands in the stack's outputs. The texts have the files at `place`."""
        found = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        texts = {name.replace(".", "_").replace("-", "_"): text for name, text in texts_of(self)}
        return found | {"endpoints": list(self.endpoints)} | texts


def texts_of(given: Given, place: str | None = None) -> list[tuple[str, str]]:
    """The texts for this client and the names of their files.

    `place` is the directory of its certificates on the machine where it runs.
    """
    place = place or given.place
    own = {
        "patroni": [("patroni.yml", _patroni)],
        "vip-manager": [("vip-manager.yml", _vip_manager)],
        "plain": [],
    }[given.kind]
    return [(name, text(given, place)) for name, text in (*own, ("etcdctl.env", _etcdctl))]


def _patroni(given: Given, place: str) -> str:
    namespace, _, scope = given.keys.strip("/").rpartition("/")
    lines = [f"# Patroni's keys are /NAMESPACE/SCOPE/...; {given.user} may use {given.keys}"]
    if namespace:
        lines += [f"scope: {_yaml(scope)}", f"namespace: {_yaml(f'/{namespace}')}"]
    else:
        lines += [f"namespace: {_yaml(f'/{scope}')}  # and any scope"]
    lines += ["etcd3:", "  hosts:", *(f"    - {_yaml(one)}" for one in given.endpoints)]
    lines += [
        f"  {name}: {value}"
        for name, value in (
            ("protocol", "https"),
            ("cacert", _yaml(f"{place}/{CA}")),
            ("cert", _yaml(f"{place}/{CERTIFICATE}")),
            ("key", _yaml(f"{place}/{KEY}")),
            ("username", _yaml(given.user)),
            ("password", _yaml(given.password)),
        )
    ]
    return _ended(lines)


def _vip_manager(given: Given, place: str) -> str:
    lines = [
        "# vip-manager 2 or newer. Add the address that is to be held: ip, netmask and interface.",
        "# It is held where the leader's name is the host's; for another name add trigger-value.",
        "dcs-type: etcd",
        "dcs-endpoints:",
        *(f"  - {_yaml(url)}" for url in _urls(given)),
    ]
    lines += [
        f"{name}: {_yaml(value)}"
        for name, value in (
            ("trigger-key", given.keys),
            ("etcd-user", given.user),
            ("etcd-password", given.password),
            ("etcd-ca-file", f"{place}/{CA}"),
            ("etcd-cert-file", f"{place}/{CERTIFICATE}"),
            ("etcd-key-file", f"{place}/{KEY}"),
        )
    ]
    return _ended(lines)


def _etcdctl(given: Given, place: str) -> str:
    return shell_lines(
        {
            "ETCDCTL_ENDPOINTS": ",".join(_urls(given)),
            "ETCDCTL_CACERT": f"{place}/{CA}",
            "ETCDCTL_CERT": f"{place}/{CERTIFICATE}",
            "ETCDCTL_KEY": f"{place}/{KEY}",
            "ETCDCTL_USER": given.user,
            "ETCDCTL_PASSWORD": given.password,
        }
    )


def shell_lines(variables: Mapping[str, str]) -> str:
    """The lines that export etcdctl's variables in any POSIX shell, whatever their values are.

    etcdctl would go to its endpoints through the proxy of $HTTPS_PROXY; to these it does not.
    """
    urls = variables["ETCDCTL_ENDPOINTS"].split(",")
    hosts = ",".join(urlsplit(one).hostname or "" for one in urls)
    return _ended(
        [
            *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
            f'export NO_PROXY="${{NO_PROXY:-${{no_proxy:-}}}},{hosts}"',
        ]
    )


def _urls(given: Given) -> list[str]:
    return [f"https://{one}" for one in given.endpoints]


def _yaml(text: str) -> str:
    """Text in double quotes: what is text without them differs between YAML's versions."""
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=2**30).rstrip("\n")


def _ended(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
