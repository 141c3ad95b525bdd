"""The stand-in plugins answer every recorded call as the official plugins did.

Each call is replayed on its own: a request carries all that its answer depends on. Masked is only
what is random or timed, and of those the shape is compared.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from standin.command import CommandProvider
from standin.times import nanoseconds
from standin.tls import TlsProvider

from .support import Host, Recorded, Served, black_hole, free_port, recordings, running, served

RECORDED_AT = nanoseconds("2026-11-22T09:23:40Z")
"""Seconds after the recording's certificates were made: `leaf-due` is due, the others are not."""

SECRET = "4dabf18193072939515e22adb298388d"
LAB_KEY = "<lab ssh private key>"

# What cannot be matched, with the reason. Empty: everything is.
UNMATCHED: dict[str, str] = {}

CALLS = list(recordings())
PROVIDERS: dict[str, Callable[[Any], Any]] = {
    "command": CommandProvider,
    "tls": lambda engine: TlsProvider(engine, lambda: RECORDED_AT),
}


def test_recordings_cover_every_kind_of_call() -> None:
    methods = {(call.plugin, call.method) for call in CALLS}
    for method in ("Check", "Diff", "Create", "Update", "Read", "Delete", "Cancel", "Configure"):
        assert {("command", method), ("tls", method)} <= methods
    assert len(CALLS) > 500


@pytest.mark.parametrize("run", sorted({call.run for call in CALLS}))
def test_replies_as_recorded(run: str) -> None:
    asyncio.run(_replay([call for call in CALLS if call.run == run]))


async def _replay(calls: list[Recorded]) -> None:
    with black_hole() as silent:
        await _replay_against(calls, {"10.10.10.10:2222": free_port(), "10.10.10.99:22": silent})


async def _replay_against(calls: list[Recorded], nowhere: dict[str, int]) -> None:
    async with (
        running(Host(hostname="node-10")) as node_10,
        running(Host(hostname="node-11", key=node_10.key)) as node_11,
        served(PROVIDERS["command"]) as command,
        served(PROVIDERS["tls"]) as tls,
    ):
        hosts = {"10.10.10.10": node_10, "10.10.10.11": node_11}
        providers = {"command": command, "tls": tls}
        wrong = [
            f"{call.where}: {problem}"
            for call in calls
            if (problem := await _compare(call, providers[call.plugin], hosts, nowhere))
        ]
    assert not wrong, "\n\n".join(wrong)


async def _compare(
    call: Recorded, provider: Served, hosts: dict[str, Host], nowhere: dict[str, int]
) -> str | None:
    """Replay one call; return what differs."""
    if call.where in UNMATCHED:
        return None
    stage = _Stage(call, hosts, nowhere)
    try:
        reply = await provider.call(call.method, stage.request)
    except grpc.RpcError as error:
        code = "".join(word.capitalize() for word in error.code().name.split("_"))
        got = stage.as_recorded(f"rpc error: code = {code} desc = {error.details()}")
        return None if got == call.error else f"error {got!r}, recorded {call.error!r}"
    if call.error:
        return f"no error, recorded {call.error!r}"
    expected = _masked(call, call.response or {})
    got = _masked(call, stage.as_recorded(reply))
    if got != expected:
        return f"\n  got      {got}\n  recorded {expected}"
    return _wrong_making(call, reply) if call.method == "Create" else None


class _Stage:
    """Puts the recording's hosts on loopback, and speaks of them by their recorded addresses."""

    def __init__(self, call: Recorded, hosts: dict[str, Host], nowhere: dict[str, int]) -> None:
        self._hosts = hosts
        self._key = next(iter(hosts.values())).private_key
        self._ports = {f"{address}:22": host.port for address, host in hosts.items()} | nowhere
        self._moves = call.plugin == "command" and call.method in ("Create", "Update", "Delete")
        self.request = self._staged(call.request) if self._moves else call.request

    def _staged(self, value: Any) -> Any:
        if isinstance(value, dict):
            staged = {name: self._staged(item) for name, item in value.items()}
            if "host" in value:
                port = self._ports[f"{value['host']}:{value['port']}"]
                staged |= {"host": "127.0.0.1", "port": port}
            if value.get("hostKey") == RIGHT_HOST_KEY:
                staged["hostKey"] = self._hosts[value["host"]].public_host_key
            return staged
        if isinstance(value, list):
            return [self._staged(item) for item in value]
        return self._key if value == LAB_KEY else value

    def as_recorded(self, value: Any) -> Any:
        if not self._moves:
            return value
        if isinstance(value, dict):
            named = {name: self.as_recorded(item) for name, item in value.items()}
            for address, port in self._ports.items():
                if (value.get("host"), value.get("port")) == ("127.0.0.1", port):
                    host, number = address.split(":")
                    named |= {"host": host, "port": int(number)}
            if value.get("hostKey") in {node.public_host_key for node in self._hosts.values()}:
                named["hostKey"] = RIGHT_HOST_KEY
            return named
        if isinstance(value, list):
            return [self.as_recorded(item) for item in value]
        if isinstance(value, str):
            for address, port in self._ports.items():
                value = value.replace(f"127.0.0.1:{port}", address)
            return LAB_KEY if value == self._key else value
        return value


RIGHT_HOST_KEY = next(
    call.request["news"]["connection"]["value"]["hostKey"]
    for call in CALLS
    if call.method == "Check" and call.request["urn"].endswith("remote:Command::full")
)

_HEX40 = re.compile(r"[0-9a-f]{40}")
_NUMBER = re.compile(r"\d{36,39}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_MD5 = re.compile(r"([0-9a-f]{2}:){15}[0-9a-f]{2}")
_SHA256 = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_SSH_LINE = re.compile(r"(ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/=]+\n")
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END \1-----\n")

# By plugin and type what a real Create makes at random, and what of it must agree.
_RANDOM = {
    "PrivateKey": {
        "id": _HEX40,
        "privateKeyOpenssh": _PEM,
        "privateKeyPem": _PEM,
        "privateKeyPemPkcs8": _PEM,
        "publicKeyFingerprintMd5": _MD5,
        "publicKeyFingerprintSha256": _SHA256,
        "publicKeyOpenssh": _SSH_LINE,
        "publicKeyPem": _PEM,
    },
    "CertRequest": {"id": _HEX40, "certRequestPem": _PEM},
    "SelfSignedCert": {
        "id": _NUMBER,
        "certPem": _PEM,
        "validityStartTime": _TIME,
        "validityEndTime": _TIME,
    },
    "LocallySignedCert": {
        "id": _NUMBER,
        "certPem": _PEM,
        "validityStartTime": _TIME,
        "validityEndTime": _TIME,
    },
}


def _masked(call: Recorded, reply: dict[str, Any]) -> dict[str, Any]:
    """Replace what is random by its shape."""
    masked = dict(reply)
    if call.method == "GetPluginInfo":
        masked["version"] = "<the Python SDK's>"  # which may be newer than what was recorded
    if "diffs" in masked and call.plugin == "command":
        masked["diffs"] = sorted(masked["diffs"])  # the official plugin's order is a Go map's
    if call.method != "Create" or not masked.get("id"):
        return masked
    if call.plugin == "command":
        masked["id"] = re.sub(r"[0-9a-f]{8}$", "<random>", masked["id"])
        return masked
    kind = call.request["urn"].split("::")[2].split(":")[-1]
    assert masked["id"] == masked["properties"]["id"]
    properties = dict(masked["properties"])
    for name, shape in _RANDOM[kind].items():
        properties[name] = _shape(properties[name], shape)
    return {"id": "<random>", "properties": properties}


def _shape(value: Any, shape: re.Pattern[str]) -> Any:
    if isinstance(value, dict) and SECRET in value:
        return {**value, "value": _shape(value["value"], shape)}
    match = shape.fullmatch(value)
    if not match:
        return value
    return f"<{shape.pattern}> {match[1]}" if shape in (_PEM, _SSH_LINE) else f"<{shape.pattern}>"


def _wrong_making(call: Recorded, reply: dict[str, Any]) -> str | None:
    """Compare what was made with what the official plugin made from the same inputs."""
    if call.plugin != "tls" or "id" not in reply:
        return None
    made, recorded = reply["properties"], (call.response or {})["properties"]
    if "publicKeyOpenssh" in made:
        return _wrong_key(made, recorded)
    if "certRequestPem" in _RANDOM[call.request["type"].split(":")[-1]]:
        own = x509.load_pem_x509_csr(made["certRequestPem"].encode())
        official = x509.load_pem_x509_csr(recorded["certRequestPem"].encode())
        if own.tbs_certrequest_bytes != official.tbs_certrequest_bytes:
            return "the request's signed part differs"
        return None if own.is_signature_valid else "the request's signature is wrong"
    return _wrong_certificate(call, made, recorded)


def _wrong_key(made: dict[str, Any], recorded: dict[str, Any]) -> str | None:
    own, official = (
        load_pem_private_key(each["privateKeyPem"]["value"].encode(), None)
        for each in (made, recorded)
    )
    assert hasattr(own, "public_key")
    if type(own) is not type(official) or getattr(own, "key_size", 0) != getattr(
        official, "key_size", 0
    ):
        return "another kind of key"
    public = own.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return None if public.decode() == made["publicKeyPem"] else "the public key is another's"


def _wrong_certificate(
    call: Recorded, made: dict[str, Any], recorded: dict[str, Any]
) -> str | None:
    own, official = (
        x509.load_pem_x509_certificate(each["certPem"].encode()) for each in (made, recorded)
    )
    for name in ("subject", "issuer", "signature_algorithm_oid", "version"):
        if getattr(own, name) != getattr(official, name):
            return f"{name} differs"
    if own.subject.public_bytes() != official.subject.public_bytes():
        return "the subject is written in another way"
    if [(each.oid, each.critical, each.value) for each in own.extensions] != [
        (each.oid, each.critical, each.value) for each in official.extensions
    ]:
        return f"extensions differ: {list(own.extensions)} {list(official.extensions)}"
    if str(own.serial_number) != made["id"]:
        return "the id is not the serial number"
    hours = call.request["properties"]["validityPeriodHours"]
    if (own.not_valid_after_utc - own.not_valid_before_utc).total_seconds() != hours * 3600:
        return "valid for another time"
    ca = call.request["properties"].get("caCertPem", made["certPem"])
    own.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.encode()))
    return None
