"""The `tls` plugin: keys, certificate requests and certificates.

The official plugin is a bridge to a Terraform provider. What shows of that is kept here: a change
is found by comparing a plan with the state, and the state carries the bridge's note
(`__pulumi_raw_state_delta`) on how to read it back.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulumi.runtime.proto import provider_pb2

from .provider import Checked, Operation, Provider, Read, unimplemented
from .times import nanoseconds
from .usages import ALLOWED_USES
from .wire import (
    UNKNOWN,
    Properties,
    ProviderError,
    Value,
    has_unknown,
    is_unknown,
    not_supported,
    read_properties,
    reveal,
    secret,
)

if TYPE_CHECKING:
    from types import ModuleType

DELTA = "__pulumi_raw_state_delta"
_META = "__meta"
_HOUR = 3600 * 1_000_000_000

_SUBJECT_FIELDS = (
    "commonName",
    "country",
    "emailAddress",
    "locality",
    "organization",
    "organizationalUnit",
    "postalCode",
    "province",
    "serialNumber",
    "streetAddresses",
)
_CURVES = ("P224", "P256", "P384", "P521")
_ALGORITHMS = ("RSA", "ECDSA", "ED25519")
_WRITE_ONLY = tuple(
    f"{name}Wo{part}" for name in ("privateKeyPem", "caPrivateKeyPem") for part in ("", "Version")
)
"""Inputs that `tls` has since 5.6.0. The resources are otherwise those of 5.5.1, as recorded."""


@dataclass(frozen=True)
class Schema:
    """What the plugin needs to know of one resource type.

    Attributes:
        required, optional: names of its inputs.
        defaults: values of inputs that are not given.
        computed: outputs that only exist once the resource does.
        secrets: inputs and outputs to be marked as secret.
        lists: list inputs, of which the state delta says whether they are there.
        in_place: inputs that may change without a replacement.
        computed_stay: whether computed outputs keep their value in a plan that replaces.
        meta: the note on the schema's version in the state.
    """

    required: frozenset[str]
    optional: frozenset[str]
    computed: frozenset[str]
    defaults: Properties = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    in_place: frozenset[str] = frozenset()
    computed_stay: bool = True
    meta: str | None = None

    @property
    def inputs(self) -> frozenset[str]:
        """All input names."""
        return self.required | self.optional

    @property
    def renewable(self) -> bool:
        """Whether it is a certificate, which comes up for renewal."""
        return "validityPeriodHours" in self.required


_CERTIFICATE_INPUTS = frozenset(
    ["isCaCertificate", "maxPathLength", "setSubjectKeyId", "earlyRenewalHours"]
)
_CERTIFICATE_OUTPUTS = frozenset(["certPem", "id", "validityStartTime", "validityEndTime"])
_CERTIFICATE_DEFAULTS: Properties = {
    "earlyRenewalHours": 0,
    "isCaCertificate": False,
    "setSubjectKeyId": False,
}
_NAMES = frozenset({"dnsNames", "ipAddresses", "uris"})

PRIVATE_KEY = "tls:index/privateKey:PrivateKey"
CERT_REQUEST = "tls:index/certRequest:CertRequest"
SELF_SIGNED = "tls:index/selfSignedCert:SelfSignedCert"
LOCALLY_SIGNED = "tls:index/locallySignedCert:LocallySignedCert"

SCHEMAS = {
    PRIVATE_KEY: Schema(
        required=frozenset({"algorithm"}),
        optional=frozenset({"ecdsaCurve", "rsaBits"}),
        computed=frozenset(
            [
                "id",
                "privateKeyOpenssh",
                "privateKeyPem",
                "privateKeyPemPkcs8",
                "publicKeyFingerprintMd5",
                "publicKeyFingerprintSha256",
                "publicKeyOpenssh",
                "publicKeyPem",
            ]
        ),
        defaults={"ecdsaCurve": "P224", "rsaBits": 2048},
        secrets=frozenset({"privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"}),
        computed_stay=False,
        meta='{"schema_version":"1"}',
    ),
    CERT_REQUEST: Schema(
        required=frozenset({"privateKeyPem"}),
        optional=_NAMES | {"subject"},
        computed=frozenset({"certRequestPem", "id", "keyAlgorithm"}),
        secrets=frozenset({"privateKeyPem"}),
        lists=_NAMES,
    ),
    SELF_SIGNED: Schema(
        required=frozenset({"allowedUses", "privateKeyPem", "validityPeriodHours"}),
        optional=_CERTIFICATE_INPUTS | _NAMES | {"subject", "setAuthorityKeyId"},
        computed=_CERTIFICATE_OUTPUTS | {"keyAlgorithm"},
        defaults=_CERTIFICATE_DEFAULTS | {"setAuthorityKeyId": False},
        secrets=frozenset({"privateKeyPem"}),
        lists=_NAMES | {"allowedUses"},
        in_place=frozenset({"earlyRenewalHours"}),
    ),
    LOCALLY_SIGNED: Schema(
        required=frozenset(
            ["allowedUses", "caCertPem", "caPrivateKeyPem", "certRequestPem", "validityPeriodHours"]
        ),
        optional=_CERTIFICATE_INPUTS,
        computed=_CERTIFICATE_OUTPUTS | {"caKeyAlgorithm"},
        defaults=_CERTIFICATE_DEFAULTS,
        secrets=frozenset({"caPrivateKeyPem"}),
        lists=frozenset({"allowedUses"}),
        in_place=frozenset({"earlyRenewalHours"}),
    ),
}


class TlsProvider(Provider):
    """The resources of `tls` 5.6.2, without its functions and its write-only keys."""

    version = "5.6.2"

    def __init__(self, engine: Any, now: Callable[[], int] = time.time_ns) -> None:
        """Serve `engine`; `now` is the time in nanoseconds since 1970."""
        super().__init__(engine)
        self._now = now

    async def Handshake(self, request: Any, context: Any) -> Any:  # noqa: D102
        await unimplemented(context, "Handshake is not yet implemented")

    async def CheckConfig(  # noqa: D102
        self, request: provider_pb2.CheckRequest, context: Any
    ) -> provider_pb2.CheckResponse:
        inputs = read_properties(request.news)
        if "proxy" in inputs:
            reason = str(not_supported("The provider's option proxy"))
            failure = provider_pb2.CheckFailure(property="proxy", reason=reason)
            return provider_pb2.CheckResponse(inputs=request.news, failures=[failure])
        return provider_pb2.CheckResponse(inputs=request.news)

    async def DiffConfig(  # noqa: D102
        self, request: provider_pb2.DiffRequest, context: Any
    ) -> provider_pb2.DiffResponse:
        return provider_pb2.DiffResponse()

    async def Configure(  # noqa: D102
        self, request: provider_pb2.ConfigureRequest, context: Any
    ) -> provider_pb2.ConfigureResponse:
        return provider_pb2.ConfigureResponse(
            supportsPreview=True, acceptResources=True, supports_autonaming_configuration=True
        )

    def check(self, call: Operation, inputs: Properties) -> Checked:
        """Validate `inputs` and mark the secrets among them."""
        schema = _schema(call)
        plain = reveal(inputs)
        failures = [
            f"Missing required property '{name}'" for name in sorted(schema.required - plain.keys())
        ]
        beyond = sorted(plain.keys() - schema.inputs)
        failures += [
            str(not_supported(f"The property {name}"))
            if name in _WRITE_ONLY
            else f"Unknown property '{name}'"
            for name in beyond
        ]
        failures += _value_failures(call.name, plain)
        return Checked(_sealed(inputs, schema.secrets, unknowns=True), tuple(failures))

    def diff(self, call: Operation, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:
        """Compare the state with what a plan makes of the new inputs."""
        schema = _schema(call)
        state = reveal(read_properties(request.olds))
        planned = self._plan(schema, reveal(read_properties(request.news)), state)
        names = (planned.keys() | state.keys()) - {DELTA, _META} - set(request.ignoreChanges)
        changed = {name for name in names if planned.get(name) != state.get(name)}
        replaced = changed & (schema.inputs - schema.in_place)
        if is_unknown(planned.get("readyForRenewal")):
            replaced |= changed & {"readyForRenewal"}
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME
            if changed
            else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted(changed),
            replaces=sorted(replaced),
        )

    async def create(self, call: Operation, inputs: Properties) -> tuple[str, Properties]:
        """Make the key, the request or the certificate."""
        schema = _schema(call)
        planned = self._plan(schema, reveal(inputs), None)
        if call.preview:
            return "", _sealed(planned, schema.secrets)
        known = {name: value for name, value in planned.items() if not has_unknown(value)}
        made = await self._make(call, known)
        return made["id"], _stored(schema, known | made)

    async def update(self, call: Operation, state: Properties, inputs: Properties) -> Properties:
        """Take over inputs that need no new certificate."""
        schema = _schema(call)
        planned = self._plan(schema, reveal(inputs), reveal(state))
        if call.preview:
            return _sealed(planned, schema.secrets)
        if has_unknown(planned):
            raise ProviderError("the resource has to be replaced, not updated")
        return _stored(schema, planned)

    def read(self, call: Operation, inputs: Properties, state: Properties) -> Read:
        """Return the state as it is, and whether a certificate is due by now."""
        schema = _schema(call)
        if not state:
            raise not_supported(f"Importing a {call.token}")
        plain = reveal(state)
        if schema.renewable and self._is_due(plain):
            plain["readyForRenewal"] = True
        found = _sealed(plain, schema.secrets)
        found[DELTA] = _sealed_delta(plain[DELTA]) if DELTA in plain else _delta(schema, plain)
        return Read(_sealed(inputs, schema.secrets, unknowns=True), found)

    async def delete(self, call: Operation, state: Properties) -> None:
        """Forget the resource: it exists nowhere but in the state."""
        _schema(call)

    async def _make(self, call: Operation, planned: Properties) -> Properties:
        certificates = await asyncio.to_thread(_load_certificates)
        try:
            return await asyncio.to_thread(_made, certificates, call, planned, self._now())
        except certificates.CertificateError as error:
            call.log.error(error.logged)  # noqa: TRY400  the engine's log
            raise

    def _plan(self, schema: Schema, inputs: Properties, state: Properties | None) -> Properties:
        """Return what the outputs will be, with UNKNOWN for what only making it tells.

        `state` is None for a new resource.
        """
        planned = schema.defaults | {
            name: value for name, value in inputs.items() if value is not None
        }
        optional = {"maxPathLength"} & schema.optional - planned.keys()
        if schema.renewable:
            planned["readyForRenewal"] = _renewed_at_once(planned)
        if state is None:
            return planned | dict.fromkeys(schema.computed | optional, UNKNOWN)
        stay = {name: state[name] for name in schema.computed | optional if name in state}
        if not schema.computed_stay and any(planned[name] != state.get(name) for name in planned):
            stay = dict.fromkeys(schema.computed, UNKNOWN)
        planned |= stay
        if schema.renewable and self._is_due(planned):
            planned["readyForRenewal"] = UNKNOWN
        return planned

    def _is_due(self, certificate: Properties) -> bool:
        end, early = certificate.get("validityEndTime"), certificate.get("earlyRenewalHours", 0)
        if end is None or is_unknown(end) or is_unknown(early):
            return False
        return self._now() >= _nanoseconds(end) - int(early) * _HOUR


def _schema(call: Operation) -> Schema:
    if call.token not in SCHEMAS:
        raise not_supported(f"The resource type {call.token}")
    return SCHEMAS[call.token]


def _load_certificates() -> "ModuleType":
    from . import certificates  # takes a third of a second, so only when something is made

    return certificates


def _nanoseconds(text: str) -> int:
    try:
        return nanoseconds(text)
    except ValueError as error:
        raise ProviderError(f"Failed to parse data from string: {text}") from error


def _made(certificates: Any, call: Operation, planned: Properties, now: int) -> Properties:
    """Make what `call` asks for; runs in a thread, as an RSA key takes up to seconds."""
    made: Properties
    if call.token == PRIVATE_KEY:
        key = certificates.generate(
            planned["algorithm"], int(planned["rsaBits"]), planned["ecdsaCurve"]
        )
        made = certificates.describe(key)
    elif call.token == CERT_REQUEST:
        made = certificates.request(planned)
    elif call.token == SELF_SIGNED:
        made = certificates.self_signed(planned, now)
    else:
        made = certificates.locally_signed(planned, now)
    return made


def _renewed_at_once(planned: Properties) -> Value:
    """Tell whether a certificate is due from the moment it is made."""
    early, validity = planned.get("earlyRenewalHours"), planned.get("validityPeriodHours")
    if is_unknown(early) or is_unknown(validity):
        return UNKNOWN
    return int(early or 0) >= int(validity or 0)


def _sealed(properties: Properties, names: frozenset[str], *, unknowns: bool = False) -> Properties:
    """Return `properties` with `names` marked as secret; an unknown one only if `unknowns`."""
    return {
        name: secret(value) if name in names and (unknowns or not is_unknown(value)) else value
        for name, value in properties.items()
    }


def _stored(schema: Schema, outputs: Properties) -> Properties:
    stored = _sealed(outputs, schema.secrets)
    stored[DELTA] = _delta(schema, outputs)
    if schema.meta:
        stored[_META] = schema.meta
    return stored


def _delta(schema: Schema, outputs: Properties) -> Value:
    """Return the bridge's note on how the outputs differ from the Terraform state.

    Without it the official plugin cannot read a state that this one wrote. A value that is absent
    here is null there; a list is a list; the one subject is a list of one.
    """
    noted = {name: _delta_of(outputs.get(name), {"arr": {}}) for name in schema.lists}
    if "maxPathLength" in schema.optional and outputs.get("maxPathLength") is None:
        noted["maxPathLength"] = _replaced_by(None)
    if "subject" in schema.optional:
        subject = outputs.get("subject")
        noted["subject"] = _replaced_by([]) if subject is None else _subject_delta(subject)
    return {"obj": {"ps": noted} if noted else {}}


def _delta_of(value: Value, present: Value) -> Value:
    return _replaced_by(None) if value is None else present


def _replaced_by(raw: Value) -> Value:
    return secret({"replace": {"raw": raw}})


def _subject_delta(subject: Properties) -> Value:
    noted = {name: _replaced_by(None) for name in _SUBJECT_FIELDS if subject.get(name) is None}
    if subject.get("streetAddresses") is not None:
        noted["streetAddresses"] = {"arr": {}}
    return {"plu": {"i": {"obj": {"ps": noted, "renamed": {"streetAddresses": "street_address"}}}}}


def _sealed_delta(delta: Value) -> Value:
    """Return a stored note as the official plugin sends it, with its replacements secret."""
    if not isinstance(delta, dict):
        return delta
    if delta.keys() == {"replace"}:
        return secret(delta)
    return {name: _sealed_delta(item) for name, item in delta.items()}


def _value_failures(resource: str, inputs: Properties) -> list[str]:
    """Return what is wrong with known inputs, in the official plugin's sentences."""
    failures = []
    for name, attribute, words in (
        ("algorithm", "algorithm", _ALGORITHMS),
        ("ecdsaCurve", "ecdsa_curve", _CURVES),
    ):
        if name in inputs:
            failures += _word_failure(resource, name, attribute, inputs[name], words)
    uses = inputs.get("allowedUses")
    if isinstance(uses, list):
        for index, use in enumerate(uses):
            place, attribute = f"allowedUses[{index}]", f"allowed_uses[{index}]"
            failures += _word_failure(resource, place, attribute, use, ALLOWED_USES)
    for name, attribute in (
        ("earlyRenewalHours", "early_renewal_hours"),
        ("validityPeriodHours", "validity_period_hours"),
    ):
        value = inputs.get(name)
        if isinstance(value, int | float) and value < 0:
            failures.append(
                f"Invalid Attribute Value. Attribute {attribute} value must be at least 0,"
                f" got: {value:.0f}. Examine values at '{resource}.{name}'."
            )
    return failures


def _word_failure(
    resource: str, place: str, attribute: str, value: Value, words: tuple[str, ...]
) -> list[str]:
    if is_unknown(value) or value in words:
        return []
    known = " ".join(f'"{word}"' for word in words)
    sentence = (
        f"Invalid Attribute Value Match. Attribute {attribute} value must be one of: [{known}],"
        f" got: \"{value}\". Examine values at '{resource}.{place}'."
    )
    return [sentence]
