"""The `tls` stand-in: what it makes is sound, and comes up for renewal in time."""

import asyncio
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from standin.tls import (
    CERT_REQUEST,
    DELTA,
    LOCALLY_SIGNED,
    PRIVATE_KEY,
    SELF_SIGNED,
    TlsProvider,
)

from .support import Served, served

HOUR = 3600 * 1_000_000_000
START = 1_800_000_000 * 1_000_000_000
SIG = "4dabf18193072939515e22adb298388d"


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


def plain(value: Any) -> Any:
    """What the engine makes of a value for a plugin that takes no secrets."""
    if isinstance(value, dict):
        if SIG in value:
            return plain(value["value"])
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def urn(token: str) -> str:
    return f"urn:pulumi:s::p::{token}::r"


async def create(plugin: Served, token: str, **properties: Any) -> dict[str, Any]:
    reply = await plugin.call("Create", {"urn": urn(token), "properties": properties})
    outputs: dict[str, Any] = plain(reply["properties"])
    return outputs


async def diff(
    plugin: Served, token: str, state: dict[str, Any], **news: Any
) -> tuple[list[str], list[str]]:
    request = {"urn": urn(token), "id": state["id"], "olds": state, "news": news}
    reply = await plugin.call("Diff", request)
    return reply.get("diffs", []), reply.get("replaces", [])


async def authority(plugin: Served, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    key = await create(plugin, PRIVATE_KEY, algorithm="ECDSA", ecdsaCurve="P256")
    inputs: dict[str, Any] = {
        "privateKeyPem": key["privateKeyPem"],
        "allowedUses": ["cert_signing"],
        "validityPeriodHours": 100,
        "isCaCertificate": True,
        "subject": {"commonName": "ca"},
        **more,
    }
    return key, await create(plugin, SELF_SIGNED, **inputs)


@pytest.mark.parametrize("curve", ["P224", "P256", "P384", "P521"])
def test_keys_on_every_curve_read_back(curve: str) -> None:
    async def test() -> None:
        async with served(TlsProvider) as plugin:
            made = await create(plugin, PRIVATE_KEY, algorithm="ECDSA", ecdsaCurve=curve)
            keys = [
                load_pem_private_key(made[name].encode(), None)
                for name in ("privateKeyPem", "privateKeyPemPkcs8")
            ]
            for key in keys:
                assert isinstance(key, ec.EllipticCurvePrivateKey)
                assert key.curve.key_size == int(curve[1:])
            openssh = [
                value for name, value in made.items() if "penssh" in name or "Finger" in name
            ]
            if curve == "P224":
                assert openssh == [""] * 4
            else:
                load_ssh_private_key(made["privateKeyOpenssh"].encode(), None)
                assert all(openssh)

    asyncio.run(test())


def test_an_rsa_key_has_the_bits_asked_for_and_its_fingerprints_are_openssh_s(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with served(TlsProvider) as plugin:
            made = await create(plugin, PRIVATE_KEY, algorithm="RSA", rsaBits=3072)
            key = load_pem_private_key(made["privateKeyPem"].encode(), None)
            assert isinstance(key, rsa.RSAPrivateKey)
            assert key.key_size == 3072
            public = tmp_path / "key.pub"
            public.write_text(made["publicKeyOpenssh"])
            for kind, name in (("md5", "Md5"), ("sha256", "Sha256")):
                shown = subprocess.run(
                    ["ssh-keygen", "-l", "-E", kind, "-f", public],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
                assert made[f"publicKeyFingerprint{name}"] in shown

    asyncio.run(test())


def test_a_certificate_is_replaced_in_its_renewal_window_and_not_before() -> None:
    async def test() -> None:
        clock = Clock()
        async with served(lambda engine: TlsProvider(engine, clock)) as plugin:
            key, ca = await authority(plugin, earlyRenewalHours=10)
            inputs = {
                "privateKeyPem": key["privateKeyPem"],
                "allowedUses": ["cert_signing"],
                "validityPeriodHours": 100,
                "isCaCertificate": True,
                "subject": {"commonName": "ca"},
                "earlyRenewalHours": 10,
            }
            clock.now = START + 90 * HOUR - 1
            assert await diff(plugin, SELF_SIGNED, ca, **inputs) == ([], [])
            clock.now += 1
            due = (["readyForRenewal"], ["readyForRenewal"])
            assert await diff(plugin, SELF_SIGNED, ca, **inputs) == due
            read = {"urn": urn(SELF_SIGNED), "id": ca["id"], "inputs": inputs, "properties": ca}
            found = plain((await plugin.call("Read", read))["properties"])
            assert found == {**ca, "readyForRenewal": True}
            assert await diff(plugin, SELF_SIGNED, found, **inputs) == due
            clock.now -= 1
            inputs["earlyRenewalHours"] = 11
            assert await diff(plugin, SELF_SIGNED, ca, **inputs) == (
                ["earlyRenewalHours", "readyForRenewal"],
                ["readyForRenewal"],
            )

    asyncio.run(test())


def test_a_chain_verifies() -> None:
    async def test() -> None:
        async with served(TlsProvider) as plugin:
            ca_key, ca = await authority(plugin, maxPathLength=1)
            key = await create(plugin, PRIVATE_KEY, algorithm="RSA")
            request = await create(
                plugin,
                CERT_REQUEST,
                privateKeyPem=key["privateKeyPem"],
                subject={"commonName": "n1", "emailAddress": "a@b.c", "organization": "ö"},
                dnsNames=["n1"],
                ipAddresses=["10.0.0.1", "fd00::1"],
            )
            leaf = await create(
                plugin,
                LOCALLY_SIGNED,
                caCertPem=ca["certPem"],
                caPrivateKeyPem=ca_key["privateKeyPem"],
                certRequestPem=request["certRequestPem"],
                allowedUses=["server_auth", "key_encipherment"],
                validityPeriodHours=10,
            )
            root = x509.load_pem_x509_certificate(ca["certPem"].encode())
            made = x509.load_pem_x509_certificate(leaf["certPem"].encode())
            made.verify_directly_issued_by(root)
            constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
            assert constraints == x509.BasicConstraints(ca=True, path_length=1)
            names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert names.get_values_for_type(x509.DNSName) == ["n1"]
            addresses = [str(each) for each in names.get_values_for_type(x509.IPAddress)]
            assert addresses == ["10.0.0.1", "fd00::1"]
            assert made.subject.rfc4514_string() == "CN=n1,O=ö"

    asyncio.run(test())


async def _refused(plugin: Served, token: str, **properties: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        await create(plugin, token, **properties)
    text: str = caught.value.details()
    return text


def test_bad_inputs_are_named_and_no_key_is_quoted() -> None:
    async def test() -> None:
        async with served(TlsProvider) as plugin:
            key, ca = await authority(plugin)
            pem = key["privateKeyPem"]
            other = await create(plugin, PRIVATE_KEY, algorithm="ED25519")
            request = await create(plugin, CERT_REQUEST, privateKeyPem=pem)
            signing = {
                "caCertPem": ca["certPem"],
                "caPrivateKeyPem": other["privateKeyPem"],
                "certRequestPem": request["certRequestPem"],
                "allowedUses": ["server_auth"],
                "validityPeriodHours": 1,
            }
            wrong = await _refused(plugin, LOCALLY_SIGNED, **signing)
            assert wrong == (
                "Failed to create certificate:"
                " x509: provided PrivateKey doesn't match parent's PublicKey"
            )
            signing["caCertPem"] = pem
            text = await _refused(plugin, LOCALLY_SIGNED, **signing)
            assert text == (
                "Failed to parse CA certificate PEM:"
                ' invalid PEM type - expected "CERTIFICATE", got "EC PRIVATE KEY"'
            )
            broken = pem.replace("M", "N")
            text = await _refused(plugin, CERT_REQUEST, privateKeyPem=broken)
            assert text.startswith("Failed to parse private key PEM: failed to parse private key")
            assert not set(broken.split()[5:-4]) & set(text.split())
            named = await _refused(
                plugin,
                SELF_SIGNED,
                privateKeyPem=pem,
                allowedUses=[],
                validityPeriodHours=1,
                isCaCertificate=True,
            )
            assert named.startswith("Invalid Certificate Subject: Must contain at least one")

    asyncio.run(test())


def test_what_came_after_the_recordings_is_refused_clearly() -> None:
    properties = {"privateKeyPemWo": "a key", "privateKeyPemWoVersion": 1}

    async def test() -> None:
        async with served(TlsProvider) as plugin:
            request = {"urn": urn(CERT_REQUEST), "news": properties}
            reasons = [each["reason"] for each in (await plugin.call("Check", request))["failures"]]
        for name in properties:
            assert any(f"The property {name} is not supported by" in one for one in reasons)
        assert "a key" not in str(reasons)

    asyncio.run(test())


def test_a_failure_is_logged_in_the_official_words() -> None:
    async def test() -> None:
        async with served(TlsProvider) as plugin:
            await _refused(plugin, CERT_REQUEST, privateKeyPem="nope")
            [(severity, message)] = plugin.engine.diagnostics()
            assert severity == "ERROR"
            assert message == (
                "[ERROR] failed to decode PEM block: decoded bytes 0, undecoded 4:"
                " Failed to parse private key PEM"
            )

    asyncio.run(test())


def test_a_note_of_a_newer_official_plugin_is_kept() -> None:
    async def test() -> None:
        async with served(TlsProvider) as plugin:
            key = await create(plugin, PRIVATE_KEY, algorithm="ED25519")
            key[DELTA] = {"obj": {"ps": {"new": {"replace": {"raw": 1}}}}}
            request = {
                "urn": urn(PRIVATE_KEY),
                "id": key["id"],
                "inputs": {"algorithm": "ED25519"},
                "properties": key,
            }
            reply = await plugin.call("Read", request)
            assert plain(reply["properties"]) == key

    asyncio.run(test())


def test_an_ed25519_certificate_s_key_id_is_the_terraform_provider_s_own() -> None:
    """It hashes the key as an OCTET STRING, unlike RFC 5280 (`generateSubjectKeyID` there)."""

    async def test() -> None:
        async with served(TlsProvider) as plugin:
            key = await create(plugin, PRIVATE_KEY, algorithm="ED25519")
            made = await create(
                plugin,
                SELF_SIGNED,
                privateKeyPem=key["privateKeyPem"],
                allowedUses=[],
                validityPeriodHours=1,
                setSubjectKeyId=True,
                setAuthorityKeyId=True,
            )
            certificate = x509.load_pem_x509_certificate(made["certPem"].encode())
            raw = certificate.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            expected = hashlib.sha1(b"\x04\x20" + raw).digest()
            extensions = certificate.extensions
            own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            issuer = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
            assert own.digest == issuer.key_identifier == expected

    asyncio.run(test())


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Invoke", {"tok": "tls:index/getPublicKey:getPublicKey"}),
        ("Create", {"urn": urn("tls:index/other:Other")}),
        ("Read", {"urn": urn(PRIVATE_KEY), "id": "imported"}),
    ],
)
def test_what_it_cannot_do_is_refused_clearly(method: str, request_: dict[str, Any]) -> None:
    async def test() -> None:
        async with served(TlsProvider) as plugin:
            with pytest.raises(grpc.RpcError) as caught:
                await plugin.call(method, request_)
            assert "not supported by the stand-in" in caught.value.details()

    asyncio.run(test())
